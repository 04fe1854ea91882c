"""The watch: tallies by period and group, and bounds that hold however often one looks.

Nothing is imported here: see `store`, `batch`, `adding`, `result`.
"""
