"""What differs between groups: gaps, ratios and worst groups.

`disparity` has the fairness measures, `extremes` intervals of a maximum over groups, `chance` what
gaps chance alone gives; `subgroups` and `intersections` say which groups there are.
"""
