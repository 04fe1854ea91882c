"""Decisions without labels: selection rates, demographic parity and impact ratios by group.

`audit` takes rows or arrays, `counts` a table of counts, `standards` the tables of a law;
`assemble` puts the numbers together, `page` draws them.
"""
