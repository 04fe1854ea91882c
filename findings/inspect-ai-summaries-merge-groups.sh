#!/bin/sh
# inspect_ai 0.3.285: a data frame of a log's samples has other metadata than the samples.
#
# Expected: samples_df gives each sample's metadata as the log has it: two towns ("New  York" with two spaces,
# "New York" with one), and two profiles.
# Seen: one town, and one "profile", the words "Key removed from summary (> 1k)". The frame is made of the log's
# summaries, in which a text loses double spaces and line ends, and a larger object becomes those words: one group
# of all rows. Means by group are then of groups that are merged, without a warning. The docstring speaks of
# "abbreviated metadata ... only scalar values", not of words in their place, nor of spaces; full=True reads all.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    inspect_ai==0.3.285 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PYTHON'
from inspect_ai import Task, eval
from inspect_ai.analysis import samples_df
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match
from inspect_ai.solver import generate

samples = [
    Sample(
        id=k,
        input=f"{k}?",
        target="yes",
        metadata={
            "town": "New  York" if k % 2 else "New York",
            "profile": {"race": "ab"[k % 2], "notes": "x" * 1100},
        },
    )
    for k in range(8)
]
answers = []
for k in range(8):
    answers.append(ModelOutput.from_content("mockllm/model", "yes" if k % 2 else "no"))
    answers[-1].usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
model = get_model("mockllm/model", custom_outputs=answers)
task = Task(MemoryDataset(samples), solver=generate(), scorer=match())
(log,) = eval(task, model=model, log_dir="logs", display="none", max_samples=1)
assert log.status == "success"

stored = read_eval_log(log.location).samples
frame = samples_df("logs", quiet=True)
print("in the log:", sorted({repr(one.metadata["town"]) for one in stored}))
print("in the frame:", sorted(map(repr, set(frame["metadata_town"]))))
print("profiles:", set(frame["metadata_profile"]))
assert len({one.metadata["town"] for one in stored}) == 2
assert {one.metadata["profile"]["race"] for one in stored} == {"a", "b"}
assert set(frame["metadata_town"]) == {"New York"}
assert set(frame["metadata_profile"]) == {"Key removed from summary (> 1k)"}

right = {"New  York": 0, "New York": 0}
for one in stored:
    right[one.metadata["town"]] += one.scores["match"].value == "C"
print("right, of 4 each, by town in the log:", right)
shares = (frame["score_match"] == "C").groupby(frame["metadata_town"]).mean().to_dict()
print("share right, by town in the frame:", shares)
full = samples_df("logs", quiet=True, full=True)
assert set(full["metadata_town"]) == {"New  York", "New York"}
assert right == {"New  York": 4, "New York": 0}
PYTHON
