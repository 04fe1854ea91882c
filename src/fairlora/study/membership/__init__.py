"""Attacks on a study's models: who was in the training set?

`evidence` reads what an attacker has from the predictions of targets and shadow models, `scores`
runs every attack of the study, `features` keeps the pretrained model's features.
"""
