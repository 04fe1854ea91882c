"""Two models on the same rows, and two ways of training over seeds and rows.

`compare` is the public function, `paired` compares tables of predictions, of one seed or several.
The steps: `align` the rows, `bootstrap` them for their `noise`, join it with the seeds' in
`variance`, and judge in `verdicts`, which membership attacks and probes are judged by too. `page`
and `verdict_parts` show what was found.
"""
