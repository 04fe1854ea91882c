"""ROC and precision-recall curves by group: points with bands, rates at operating points, gaps.

`roc_scores` holds the sorted scores of a group's two classes, `roc_intervals` the intervals of
rates at thresholds that are themselves estimated, `permutation` what chance gives.
"""
