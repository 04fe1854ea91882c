"""What finished runs come to: tables, figures, verdicts and the page.

`results` and `measures` read the runs; `page` puts the parts together, `from_disk` from a study's
folder alone. One file for each part: `privacy`, `search`, `shift`, `causal_lm`.
"""
