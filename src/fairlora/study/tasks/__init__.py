"""What a run does with its model, by task: classification and causal language modelling.

`classification` builds a trainer from a spec, `causal_lm` is a whole run of a language model;
`datasets` is what a trainer is fed with, the other files probe finished models.
"""
