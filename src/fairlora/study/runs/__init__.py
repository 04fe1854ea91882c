"""Runs and their folders: planned, run, resumed, proved, and where they stand.

`cell` is one run, `folder` where it lies, `runner` a whole study, `plan` what it will do and cost.
`search` and `trials` choose settings, `shadow_models` are the further runs of an attack.
"""
