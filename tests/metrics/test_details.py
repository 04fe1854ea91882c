"""What a page says of the rows: confusion, recalls, rates by threshold, examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from fairlora.metrics import audit
from fairlora.metrics.details import RISK

RNG = np.random.default_rng(0)
N = 600
GROUPS = RNG.choice(["a", "b"], N)


def table(page: Any, title: str) -> list[list[str]]:
    found = next(one for one in page["tables"] if one["title"] == title)
    return [[cell["text"] for cell in row["cells"]] for row in found["rows"]]


def test_confusion_and_recalls_are_those_of_scikit_learn() -> None:
    labels = RNG.integers(0, 3, N)
    predicted = np.where(RNG.random(N) < 0.7, labels, RNG.integers(0, 3, N))
    page = audit(labels, predicted, {"g": GROUPS}, bootstrap=0).page("")
    counts = {g: confusion_matrix(labels[g == GROUPS], predicted[g == GROUPS]) for g in "ab"}
    expected = [
        [g, str(c), f"{row.sum():,}", *(f"{n:,} ({100 * n / row.sum():.1f})" for n in row)]
        for g, whole in counts.items()
        for c, row in enumerate(whole)
    ]
    assert table(page, "Confusion by g") == expected
    recalls = [
        [str(c), *(f"{100 * m[c, c] / m[c].sum():.1f} (n {m[c].sum():,})" for m in counts.values())]
        for c in range(3)
    ]
    assert table(page, "Recall of each class by g") == recalls


def binary(**options: Any) -> tuple[Any, Any, Any]:
    labels = RNG.integers(0, 2, N)
    # Hundredths, so that many rows lie exactly at a threshold.
    probs = (RNG.integers(0, 101, N) / 100).astype(np.float32)
    result = audit(labels, probs >= 0.5, {"g": GROUPS}, probs, bootstrap=0, **options)
    return labels, probs, result


def test_counts_by_threshold_include_rows_at_it() -> None:
    labels, probs, result = binary()
    (found,) = result.page("")["thresholds"]
    for one in found["panels"][0]["groups"]:
        for key, label in (("positives", 1), ("negatives", 0)):
            rows = probs[(one["name"] == GROUPS) & (labels == label)]
            counts = [int((rows >= np.float32(t)).sum()) for t in found["thresholds"]]
            assert one[key] == counts


def test_weighted_rows_have_no_counts_by_threshold() -> None:
    assert binary(weight=np.ones(N) * 2)[2].page("")["thresholds"] == []


def test_examples_are_shown_where_asked_for_and_name_the_risk() -> None:
    labels, probs, result = binary()
    title = f"Examples that g {result.content.disparities['g'].accuracy_worst.group} is failed on"
    plain = result.page("")
    assert title not in [one["title"] for one in plain["tables"]]
    assert RISK not in plain["notes"]
    page = replace(result, rows=replace(result.rows, examples=3)).page("")
    rows = table(page, title)
    assert len(rows) == 3
    assert RISK in page["limits"]
    sure = []
    for row, label, predicted, shown in rows:
        k = int(row)
        assert str(labels[k]) == label != predicted
        sure.append(probs[k] if predicted == "1" else 1 - probs[k])
        assert shown == f"{100 * float(sure[-1]):.1f}"
    assert sure == sorted(sure, reverse=True)
    assert "rows" not in result.to_dict()
