#!/bin/sh
# sacrebleu 2.6.0: a corpus whose answers are all right has BLEU 0.0 where no answer has four words,
# and more than 100 where they have.
#
# Expected: 100.0 of hypotheses that are their references, or a warning that there is no 4-gram.
# Seen: two answers of three words that are exactly right score 0.0, and nothing is said; right
# answers of five words score 100.00000000000004. Smoothing does not help: there is no 4-gram to
# smooth. `effective_order=True` gives 100 for the short ones, and is off by default for a corpus.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sacrebleu==2.6.0
"$folder/venv/bin/python" -W error - <<'PYTHON'
from sacrebleu.metrics import BLEU

short = ["the nurse left", "the doctor slept"]
long = ["the nurse left the room", "the doctor slept all day"]
scores = {
    "short": BLEU().corpus_score(short, [short]).score,
    "short, effective order": BLEU(effective_order=True).corpus_score(short, [short]).score,
    "long": BLEU().corpus_score(long, [long]).score,
}
print(scores)
assert scores["short"] == 0.0
assert abs(scores["short, effective order"] - 100) < 1e-9
assert scores["long"] == 100.00000000000004
PYTHON
