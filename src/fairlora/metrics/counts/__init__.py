"""Rates and means of groups, from a table of counts.

`tally` counts the rows; `rates`, `macro`, `means`, `auc` and `calibration` are what counts come to.
Public through `fairlora.metrics`: `tally`, `Tally`, `membership`.
"""
