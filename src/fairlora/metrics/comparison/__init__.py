"""Two models on the same rows, and two ways of training over seeds and rows.

`compare` is the public function, `paired` one pair of predictions, `seeds` many runs. The other
files are its steps: `align` the rows, `bootstrap` them, `variance` and `power` of the differences.
"""
