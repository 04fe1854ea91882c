"""Run fairlearn, netcal, torchmetrics and fairlora on the same inputs, and print docs/fairlearn.md.

    python scripts/fairlearn_table.py > docs/fairlearn.md

Every expression that the page shows is evaluated. A row without a reason must give equal values,
and a row with one must not: else the script ends with the row that is wrong.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

PACKAGES = ("fairlearn", "netcal", "torchmetrics", "scikit-learn")

INPUTS = """
import numpy as np
from fairlearn.metrics import *
from sklearn.metrics import accuracy_score, precision_score, recall_score
import fairlora

rng = np.random.default_rng(0)
y, sex = rng.integers(0, 2, 600), rng.choice(["f", "m"], 600)
race = rng.choice(["a", "b", "c"], 600)
h = np.where(rng.random(600) < np.where(race == "a", 0.6, 0.85), y, 1 - y)

metrics = {
    "accuracy": accuracy_score,
    "selection_rate": selection_rate,
    "tpr": true_positive_rate,
    "fpr": false_positive_rate,
    "precision": precision_score,
    "recall": recall_score,
}
frame = MetricFrame(metrics=metrics, y_true=y, y_pred=h, sensitive_features=race)
result = fairlora.audit(y, h, {"race": race}, positive=1)
overall = result.to_dict()["overall"]
groups, pairs = result.by_group["race"], result.pairwise["race"]


def gaps(y, h, groups, **options):
    found = fairlora.audit(y, h, {"g": groups}, **options)
    return found.disparities.set_index("metric")


d = gaps(y, h, race, positive=1)["value"]
"""

EDGES = """
words, said = np.where(y == 1, "yes", "no"), np.where(h == 1, "yes", "no")
three = rng.choice(["cat", "dog", "fox"], 600)
guess = np.where(rng.random(600) < 0.7, three, "cat")
number = {"cat": 0, "dog": 1, "fox": 2}
three_n, guess_n = (np.array([number[c] for c in column]) for column in (three, guess))
gone = np.where(np.arange(600) < 30, None, race)
alike = np.where(rng.random(600) < 0.8, y, 1 - y)
# Groups x and z: z has 3 rows, in the first case of one class alone.
small = np.array(["x"] * 24 + ["z"] * 3)
label, predicted = np.array([0, 1] * 12 + [0, 0, 0]), np.array([0, 1, 1, 1] * 6 + [0, 1, 0])
both = np.array([0, 1] * 12 + [0, 0, 1])
"""

CALIBRATION = """
import torch
from netcal.metrics import ECE
from torchmetrics.classification import BinaryCalibrationError, MulticlassCalibrationError

p = np.clip(np.where(h == 1, rng.uniform(0.4, 1, 600), rng.uniform(0, 0.6, 600)), 0, 1)
h = (p > 0.5).astype(int)
tensor, target = torch.tensor(p), torch.tensor(y)


def ece(**options):
    found = fairlora.audit(y, h, {"race": race}, p, positive=1, **options).to_dict()
    return found["overall"]["ece"]["value"]
"""


class Row(NamedTuple):
    """Two expressions that ask the same, and why they differ if they do."""

    theirs: str
    ours: str
    why: str = ""


SAME = [
    Row('frame.overall["accuracy"]', 'overall["accuracy"]["value"]'),
    Row('frame.by_group["accuracy"]', 'groups["accuracy"]'),
    Row('frame.by_group["selection_rate"]', 'groups["selection_rate"]'),
    Row('frame.by_group["tpr"]', 'groups["tpr"]'),
    Row('frame.by_group["recall"]', 'groups["tpr"]'),
    Row('frame.by_group["fpr"]', 'groups["fpr"]'),
    Row('frame.by_group["precision"]', 'groups["precision"]'),
    Row('frame.difference()["accuracy"]', 'd["accuracy_gap"]'),
    Row('frame.group_min()["accuracy"]', 'd["accuracy_worst"]'),
    Row('frame.ratio()["selection_rate"]', 'd["dp_ratio"]'),
    Row("demographic_parity_difference(y, h, sensitive_features=race)", 'd["dpd"]'),
    Row("demographic_parity_ratio(y, h, sensitive_features=race)", 'd["dp_ratio"]'),
    Row("equalized_odds_difference(y, h, sensitive_features=race)", 'd["eod"]'),
    Row("equalized_odds_ratio(y, h, sensitive_features=race)", 'd["eo_ratio"]'),
    Row(
        "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=h, sensitive_features=race, "
        'sample_params={"sample_weight": 1 + y}).difference()',
        'fairlora.audit(y, h, {"race": race}, positive=1, weight=1 + y).disparities'
        '.set_index("metric")["value"]["accuracy_gap"]',
    ),
    Row(
        "equal_opportunity_difference(y, h, sensitive_features=race)",
        'pairs[pairs["metric"] == "tpr"]["value"].abs().max()',
    ),
    Row(
        "equal_opportunity_ratio(y, h, sensitive_features=race)",
        'groups["tpr"].min() / groups["tpr"].max()',
    ),
    Row(
        "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=h, "
        "sensitive_features=np.column_stack([race, sex])).by_group",
        'fairlora.audit(y, h, {"race": race, "sex": sex}, positive=1, '
        'intersect=[("race", "sex")]).by_group["race&sex"]["accuracy"]',
    ),
    Row(
        "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=h, sensitive_features=race, "
        "control_features=sex).difference()",
        '[gaps(y[sex == s], h[sex == s], race[sex == s], positive=1)["value"]["accuracy_gap"] '
        'for s in ("f", "m")]',
    ),
]

OTHER = [
    Row(
        'frame.difference(method="to_overall")["accuracy"]',
        'groups["accuracy_difference"].abs().max()',
        "a group is set against everyone outside it, not against everyone, itself included",
    ),
    Row(
        "demographic_parity_difference(words, said, sensitive_features=race)",
        'gaps(words, said, race, positive="yes")["value"]["dpd"]',
        "fairlearn counts predictions equal to the number 1, of which words have none, and answers "
        "0; fairlora takes any two classes",
    ),
    Row(
        "equalized_odds_difference(words, said, sensitive_features=race)",
        'gaps(words, said, race, positive="yes")["value"]["eod"]',
        "classes that are words",
    ),
    Row(
        "demographic_parity_difference(three_n, guess_n, sensitive_features=race)",
        'gaps(three_n, guess_n, race)["value"]["dpd"]',
        "of three classes fairlearn compares class 1 alone, without saying so; fairlora takes each "
        "against the rest and names the class of the largest value",
    ),
    Row(
        "equalized_odds_difference(three_n, guess_n, sensitive_features=race)",
        'gaps(three_n, guess_n, race)["value"]["eod"]',
        "three classes",
    ),
    Row(
        "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=h, sensitive_features=gone).by_group",
        'fairlora.audit(y, h, {"race": gone}, positive=1).by_group["race"]["accuracy"]',
        "rows without a group are shown, and compared with no group",
    ),
    Row(
        "MetricFrame(metrics=true_positive_rate, y_true=label, y_pred=predicted, "
        "sensitive_features=small).by_group",
        'fairlora.audit(label, predicted, {"g": small}, positive=1, min_group=1)'
        '.by_group["g"]["tpr"]',
        "z has no positive row: its TPR is undefined, not 0",
    ),
    Row(
        "equalized_odds_difference(label, predicted, sensitive_features=small)",
        'gaps(label, predicted, small, positive=1, min_group=1)["value"]["eod"]',
        "equalized odds needs both rates of two groups, whatever `min_group` is",
    ),
    Row(
        "equalized_odds_difference(both, predicted, sensitive_features=small)",
        'gaps(both, predicted, small, positive=1)["value"]["eod"]',
        "z has 3 rows, fewer than `min_group` (10): it is left out, a warning names it, and "
        "nothing is left to compare",
    ),
    Row(
        "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=alike, sensitive_features=race, "
        "n_boot=200, ci_quantiles=[0.025, 0.975], random_state=0).difference_ci()",
        'gaps(y, alike, race, positive=1).loc["accuracy_gap", ["low", "high"]]',
        "the groups are alike but for noise; a percentile interval of a maximum never reaches 0 "
        "(see [uncertainty.md](uncertainty.md))",
    ),
    Row(
        "MetricFrame(metrics=lambda y, h: (h > y).mean(), y_true=y, y_pred=h, "
        "sensitive_features=race).difference()",
        'fairlora.audit(y, h, {"race": race}, positive=1, metrics=accuracy_score)',
        "there are no metrics of one's own: use MetricFrame",
    ),
]

EQUAL_AGAIN = [
    Row(
        "equalized_odds_difference(both, predicted, sensitive_features=small)",
        'gaps(both, predicted, small, positive=1, min_group=1)["value"]["eod"]',
    ),
    Row(
        "demographic_parity_difference(three_n, guess_n, sensitive_features=race)",
        'gaps(three_n == 1, guess_n == 1, race, positive=1)["value"]["dpd"]',
    ),
]

ECES = [
    Row("ECE(bins=15).measure(p, y)", 'ece(confidence="positive")'),
    Row("BinaryCalibrationError(n_bins=15)(tensor, target).item()", 'ece(confidence="positive")'),
    Row(
        "MulticlassCalibrationError(2, n_bins=15)(torch.stack([1 - tensor, tensor], 1), target)"
        ".item()",
        "ece()",
    ),
    Row(
        "ECE(bins=15).measure(p, y)",
        "ece()",
        "the default is the confidence in the predicted class; theirs for two classes is that in "
        'class 1, as with `confidence="positive"`',
    ),
    Row("ECE(bins=10).measure(p, y)", 'ece(confidence="positive", bins=10)'),
]


class Value(NamedTuple):
    """What an expression gave: numbers, or an error; and how it is shown."""

    numbers: tuple[float, ...] | None
    text: str


def evaluated(code: str, names: dict[str, Any]) -> Value:
    """Run an expression, quietly."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = eval(code, names)
    except (TypeError, ValueError) as error:
        return Value(None, f"{type(error).__name__}: {str(error).split('. ')[0].rstrip('.')}")
    index = getattr(found, "index", None)
    numbers = tuple(float(v) for v in np.ravel(np.asarray(found, dtype=float)))
    texts = ["undefined" if np.isnan(v) else f"{v:.4f}" for v in numbers]
    if 1 < len(numbers) <= 4 and index is not None and not callable(index):
        texts = [f"{name} {text}" for name, text in zip(index, texts, strict=True)]
    elif len(numbers) > 4:
        texts = [f"{len(numbers)} values from {min(numbers):.4f} to {max(numbers):.4f}"]
    return Value(numbers, ", ".join(texts))


def agree(one: Value, other: Value) -> bool:
    """Whether both gave the same numbers, to seven digits."""
    if one.numbers is None or other.numbers is None or len(one.numbers) != len(other.numbers):
        return False
    return bool(np.allclose(one.numbers, other.numbers, rtol=1e-6, atol=1e-7, equal_nan=True))


def table(head: str, rows: list[Row], names: dict[str, Any]) -> str:
    """The rows in Markdown, each evaluated; raises where a row is not as it says."""
    reasons = any(row.why for row in rows)
    heads = [head, "fairlora", f"value in {head}", "value in fairlora", "agreement"]
    heads += ["why"] if reasons else []
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        one, other = evaluated(row.theirs, names), evaluated(row.ours, names)
        same = agree(one, other)
        if same is bool(row.why):
            raise SystemExit(f"not as said: {row.theirs} {one.text}, {row.ours} {other.text}")
        cells = [f"`{row.theirs}`", f"`{row.ours}`", one.text, other.text]
        cells += ["equal" if same else "differs", *([row.why] if reasons else [])]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def python(code: str) -> str:
    """A block of Python."""
    return f"```python\n{code.strip()}\n```"


def page() -> str:
    """Run everything, and return the page."""
    names: dict[str, Any] = {}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    exec(INPUTS, names)
    same = table("fairlearn", SAME, names)
    exec(EDGES, names)
    other = table("fairlearn", OTHER, names)
    again = table("fairlearn", EQUAL_AGAIN, names)
    exec(CALIBRATION, names)
    calibration = table("netcal or torchmetrics", ECES, names)
    return f"""# From fairlearn's MetricFrame to `fairlora.audit`

The output of `python scripts/fairlearn_table.py` with {versions}:
every expression was run on the inputs shown. A test runs it again.

{python(INPUTS)}

## Where both agree

{same}

`groups` has each metric's interval beside it (`accuracy_low`, `accuracy_high`), `disparities` has
`low`, `high` and `expected_by_chance`: always, and not with `n_boot` alone.

## Where they differ, on purpose

More inputs:

{python(EDGES)}

{other}

With `min_group=1` and every rate defined the numbers are fairlearn's, and of three classes those of
class 1 are:

{again}

## Calibration error

{python(CALIBRATION)}

{calibration}
"""


if __name__ == "__main__":
    print(page(), end="")
