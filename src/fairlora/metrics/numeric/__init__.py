"""Audits of measurements: labels and predictions that are numbers.

`values` makes per-row values (errors, quantile hits), whose means the score engine of
`fairlora.metrics.scores` judges; `ranks` has the rank correlation, which is no mean.
"""
