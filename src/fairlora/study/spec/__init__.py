"""What a run and a study are: the files that people write, as pydantic models.

`run` is one run, `study` a whole study with its sections `search`, `privacy`, `shift` and `engine`;
`expand` makes the arms of a study, `presets` and `smoke` whole studies.
"""
