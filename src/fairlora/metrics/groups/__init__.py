"""What differs between groups: gaps, ratios and worst groups.

`disparity` has the fairness measures, `gaps` their largest differences with intervals, `chance`
what chance alone gives; `subgroups` and `intersections` say which groups there are.
"""
