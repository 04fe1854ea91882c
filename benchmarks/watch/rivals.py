"""Evidently or nannyml on the streams of `streams.py`; run by `python benchmarks/watch --rivals`.

    python rivals.py NAME RESULT.json

Each looks at group d alone, whose rows it is given: a slice of the data, as their users watch one.
"""

from __future__ import annotations

import os

# Both report their use to their makers unless told not to.
os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from streams import CHANGE, GROUPS, LOOKS, Stream, rows, stream

warnings.filterwarnings("ignore")
D = len(GROUPS) - 1
# Looks in which something was said, each with the number of the stream.
Looks = tuple[int | None, int | None]


def frame(counts: Stream, looks: slice) -> pd.DataFrame:
    """Rows of group d."""
    label, prediction, look = rows(counts, D, looks)
    return pd.DataFrame({"y": label, "h": prediction, "p": prediction * 1.0, "look": look})


def by_nannyml(counts: Stream) -> list[int]:
    """The looks with an alert of realised accuracy, by its thresholds: 3 deviations of chunks."""
    import nannyml

    base = frame(counts, slice(0, 1)).sample(frac=1, random_state=0)
    calculator = nannyml.PerformanceCalculator(
        y_true="y", y_pred="h", y_pred_proba="p", problem_type="classification_binary",
        metrics=["accuracy"], chunk_size=len(base) // 50,
    )  # fmt: skip
    calculator.fit(base)
    found = calculator.calculate(frame(counts, slice(1, None))).filter(period="analysis")
    return [int(k) + 1 for k in np.flatnonzero(found.to_df()["accuracy"]["alert"].to_numpy())]


def by_evidently(counts: Stream) -> list[int]:
    """The looks with a failed test of accuracy, by its own bounds around the reference."""
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.metrics import Accuracy

    definition = DataDefinition(
        classification=[BinaryClassification(target="y", prediction_labels="h", pos_label=1)]
    )

    def data(part: pd.DataFrame) -> Any:
        return Dataset.from_pandas(part[["y", "h"]], data_definition=definition)

    reference = data(frame(counts, slice(0, 1)))
    later = frame(counts, slice(1, None))
    report = Report([Accuracy()], include_tests=True)
    failed = []
    for look, part in later.groupby("look"):
        result = report.run(data(part), reference).dict()
        if any(str(test["status"]).split(".")[-1] == "FAIL" for test in result["tests"]):
            failed.append(int(look))
    return failed


HOW = {
    "nannyml": (
        by_nannyml,
        30,
        "realised accuracy of that group's rows in chunks of 50, its default thresholds",
    ),
    "evidently": (
        by_evidently,
        3,  # a quarter of a second a look
        "a report of accuracy with its default test against the reference, look by look, of that "
        "group's rows",
    ),
}


def main() -> None:
    name, out = sys.argv[1], Path(sys.argv[2])
    work, streams, how = HOW[name]
    null: list[Looks] = []
    changed: list[Looks] = []
    for number in range(streams):
        still, moved = work(stream(number, False)), work(stream(number, True))
        null.append((still[0] if still else None,) * 2)
        changed.append((moved[0] if moved else None,) * 2)
    found = {"how": how, "numpy": np.__version__, "null": null, "changed": changed}
    found |= {"looks": LOOKS, "change": CHANGE}
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
