"""How sure a number is: intervals, clusters, many comparisons, power.

`design` says how the rows were drawn; `intervals` has the closed forms, `clusters` those of rows
that belong together. Nothing here knows a metric by name.
"""
