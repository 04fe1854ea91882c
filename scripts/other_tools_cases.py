"""What scripts/other_tools.py asks: inputs, questions, each tool's call, and why it differs."""

from __future__ import annotations

from typing import NamedTuple

# Run by a test that has fairlora and numpy alone.
INPUTS = """
import numpy as np
import fairlora

# Groups a and b, 10 rows positive, 10 not: 6 and 9 positives are chosen, and 1 and 3 others.
y = np.array(([1] * 10 + [0] * 10) * 2)
h = np.repeat([1, 0, 1, 0, 1, 0, 1, 0], [6, 4, 1, 9, 9, 1, 3, 7])
g = np.repeat(["a", "b"], 20)

not_b = np.where(g == "b", 0, h)  # nobody of b is chosen
nobody = np.zeros(40, dtype=int)  # nobody at all
no_positives = np.where(g == "a", 0, y)  # a has no positive row
gone = np.where(np.arange(40) % 10 == 0, None, g)  # 4 rows of no known group
weight = 1 + y + 2 * (g == "a")

# Three classes; class 2 is predicted once, and no row has it.
three, guess = np.array([0] * 6 + [1] * 3 + [0]), np.array([0] * 5 + [1, 1, 1, 0, 2])
# Four classes and three groups.
rng = np.random.default_rng(2)
region, animal = np.array(["x", "y", "z"] * 100), rng.integers(0, 4, 300)
said = np.where((rng.random(300) < 0.6) | (region == "x"), animal, rng.integers(2, 4, 300))

p = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.4, 0.6])
label = np.array([0, 0, 1, 0, 1, 1, 1, 1, 1, 0])
# Six rows on an edge of ten bins, and six a little below.
edge_2, edge_6 = np.repeat([0.2, 0.15], 6), np.repeat([0.6, 0.55], 6)
six = np.repeat([1, 0], 6)
ten_bins = {"confidence": "positive", "positive": 1, "bins": 10}


def gaps(y, h, g=g, **options):
    options = {"positive": 1, "min_group": 1, "bootstrap": 0, **options}
    found = fairlora.audit(y, h, {"g": g}, **options)
    return found.disparities.set_index("metric")["value"]


def groups(y, h, g=g):
    return fairlora.audit(y, h, {"g": g}, positive=1, min_group=1, bootstrap=0).by_group["g"]


def overall(y, h, p=None, **options):
    found = fairlora.audit(y, h, {"g": ["all"] * len(y)}, p, min_group=1, bootstrap=0, **options)
    return {name: one["value"] for name, one in found.to_dict()["overall"].items()}
"""

PEERS = """
import pandas as pd
import torch
import torchmetrics.functional.classification as tm
import aif360.sklearn.metrics as aif360_sklearn
import holisticai.bias.metrics as holisticai
from aequitas.bias import Bias
from aequitas.group import Group
from aif360.datasets import BinaryLabelDataset
from aif360.metrics import ClassificationMetric
from fairlearn.metrics import *
from netcal.metrics import ECE
from sklearn.metrics import *
from torchmetrics.classification import BinaryGroupStatRates

t = torch.tensor
by_g = {"prot_attr": "g", "priv_group": "b"}


def aif360(y, h, weight=None, privileged=1):
    weight = np.ones(40) if weight is None else weight
    frame = pd.DataFrame({"y": y, "g": g == "b", "w": weight}).astype(float)
    true = BinaryLabelDataset(df=frame, label_names=["y"], protected_attribute_names=["g"],
                              instance_weights_name="w")
    said = true.copy()
    said.labels = np.array(h, dtype=float)[:, None]
    return ClassificationMetric(true, said, [{"g": 1 - privileged}], [{"g": privileged}])


def indexed(y):
    return pd.Series(y, index=pd.Index(list(g), name="g", dtype=object))


def aequitas(y, h, g=g):
    frame = pd.DataFrame({"label_value": y, "score": h, "g": pd.Series(list(g), dtype=object)})
    rates, _ = Group().get_crosstabs(frame, attr_cols=["g"])
    return Bias().get_disparity_predefined_groups(
        rates, original_df=frame, ref_groups_dict={"g": "b"}, alpha=0.05, mask_significance=False,
    ).set_index("attribute_value")


def rates(batches):
    metric = BinaryGroupStatRates(num_groups=2)  # of each group: TP, FP, TN, FN over its rows
    for rows in batches:
        metric.update(t(h[rows]), t(y[rows]), t((g == "b").astype(int)[rows]))
    return [float(metric.compute()[f"group_{k}"][0]) for k in (0, 1)]
"""


class Row(NamedTuple):
    """A tool's call, and why its answer is not fairlora's; no reason where it is."""

    tool: str
    call: str
    why: str = ""


class Case(NamedTuple):
    """One question: fairlora's call and those of the others."""

    heading: str
    ours: str
    rows: list[Row]
    said: str = ""


_SIGNED = "the group named unprivileged (a) minus the privileged one (b): signed"
_MEAN = "the mean of both signed differences, which may cancel each other"
_ASKED = "unprivileged over privileged, here 0 in the denominator"
_CLASS = "confidence in class 1, not in the predicted class"

CASES = [
    Case(
        "Equalized odds: the larger gap, the mean, or a ratio",
        'gaps(y, h)["eod"]',
        [
            Row("fairlearn", "equalized_odds_difference(y, h, sensitive_features=g)"),
            Row(
                "fairlearn",
                'equalized_odds_difference(y, h, sensitive_features=g, agg="mean")',
                "the mean of the two gaps, not the larger",
            ),
            Row("AIF360", "aif360(y, h).equalized_odds_difference()"),
            Row("AIF360", "aif360(y, h).average_abs_odds_difference()", "the mean of the two gaps"),
            Row("AIF360", "aif360(y, h).average_odds_difference()", _MEAN),
            Row("HolisticAI", 'holisticai.average_odds_diff(g == "a", g == "b", h, y)', _MEAN),
        ],
    ),
    Case(
        "Equal opportunity: a difference or a ratio",
        'gaps(y, h)["tpr_gap"]',
        [
            Row("fairlearn", "equal_opportunity_difference(y, h, sensitive_features=g)"),
            Row("AIF360", "aif360(y, h).equal_opportunity_difference()", _SIGNED),
            Row(
                "HolisticAI", 'holisticai.equal_opportunity_diff(g == "a", g == "b", h, y)', _SIGNED
            ),
            Row(
                "torchmetrics",
                '[*tm.binary_fairness(t(h), t(y), t((g == "b").astype(int)), "equal_opportunity")'
                ".values()][0]",
                "a ratio: the smallest true positive rate over the largest",
            ),
            Row(
                "Aequitas",
                'aequitas(y, h)["tpr_disparity"]["a"]',
                "a ratio, against the reference group (b)",
            ),
        ],
    ),
    Case(
        "Demographic parity: a difference",
        'gaps(y, h)["dpd"]',
        [
            Row("fairlearn", "demographic_parity_difference(y, h, sensitive_features=g)"),
            Row("AIF360", "aif360(y, h).statistical_parity_difference()", _SIGNED),
            Row("HolisticAI", 'holisticai.statistical_parity(g == "a", g == "b", h)', _SIGNED),
        ],
    ),
    Case(
        "Demographic parity: a ratio",
        'gaps(y, h)["dp_ratio"]',
        [
            Row("fairlearn", "demographic_parity_ratio(y, h, sensitive_features=g)"),
            Row("AIF360", "aif360(y, h).disparate_impact()"),
            Row(
                "AIF360",
                "aif360(y, h, privileged=0).disparate_impact()",
                "the caller names the privileged group: with a in that role it is above 1",
            ),
            Row("HolisticAI", 'holisticai.disparate_impact(g == "a", g == "b", h)'),
            Row("HolisticAI", 'holisticai.four_fifths(g == "b", g == "a", h)'),
            Row("Aequitas", 'aequitas(y, h)["pprev_disparity"]["a"]'),
            Row(
                "torchmetrics",
                '[*tm.binary_fairness(t(h), t(y), t((g == "b").astype(int)), "demographic_parity")'
                ".values()][0]",
            ),
        ],
    ),
    Case(
        "A ratio where one group is never chosen",
        'gaps(y, not_b)["dp_ratio"]',
        [
            Row("fairlearn", "demographic_parity_ratio(y, not_b, sensitive_features=g)"),
            Row("AIF360", "aif360(y, not_b).disparate_impact()", _ASKED),
            Row(
                "AIF360",
                "aif360_sklearn.disparate_impact_ratio(indexed(y), not_b, **by_g)",
            ),
            Row("HolisticAI", 'holisticai.disparate_impact(g == "a", g == "b", not_b)', _ASKED),
            Row("HolisticAI", 'holisticai.four_fifths(g == "a", g == "b", not_b)'),
            Row(
                "Aequitas",
                'aequitas(y, not_b)["pprev_disparity"]["a"]',
                "a fixed 10 stands for a division by zero (`fill_divbyzero`)",
            ),
            Row(
                "Aequitas",
                'aequitas(y, not_b)["pprev_disparity"]["b"]',
                "the reference group against itself",
            ),
        ],
        "AIF360's two interfaces differ: that for scikit-learn answers a division by zero with "
        "`zero_division`, which is 0.",
    ),
    Case(
        "A ratio where nobody is chosen",
        'gaps(y, nobody)["dp_ratio"]',
        [
            Row("fairlearn", "demographic_parity_ratio(y, nobody, sensitive_features=g)"),
            Row("AIF360", "aif360(y, nobody).disparate_impact()"),
            Row(
                "AIF360",
                "aif360_sklearn.disparate_impact_ratio(indexed(y), nobody, **by_g)",
                "`zero_division` is 0: the worst value, of two groups that are treated alike",
            ),
            Row("HolisticAI", 'holisticai.disparate_impact(g == "a", g == "b", nobody)'),
            Row("Aequitas", 'aequitas(y, nobody)["pprev_disparity"]["a"]'),
            Row(
                "torchmetrics",
                '[*tm.binary_fairness(t(nobody), t(y), t((g == "b").astype(int)), '
                '"demographic_parity").values()][0]',
                "a division by zero is 0: the worst value, of two groups that are treated alike",
            ),
        ],
        "fairlora's reason: the rate is 0 for all groups.",
    ),
    Case(
        "The true positive rate of a group without positives",
        'groups(no_positives, h)["tpr"]["a"]',
        [
            Row(
                "fairlearn",
                "MetricFrame(metrics=true_positive_rate, y_true=no_positives, y_pred=h, "
                'sensitive_features=g).by_group["a"]',
                "0 of 0 is 0",
            ),
            Row("AIF360", "aif360(no_positives, h).true_positive_rate(privileged=False)"),
            Row("Aequitas", 'aequitas(no_positives, h)["tpr"]["a"]'),
            Row(
                "scikit-learn",
                'recall_score(no_positives[g == "a"], h[g == "a"])',
                "0 and a warning; `zero_division=np.nan` gives NaN",
            ),
            Row(
                "torchmetrics",
                'tm.binary_recall(t(h[g == "a"]), t(no_positives[g == "a"]))',
                "0 of 0 is 0",
            ),
        ],
    ),
    Case(
        "Equalized odds where a group has no positives",
        'gaps(no_positives, h)["eod"]',
        [
            Row(
                "fairlearn",
                "equalized_odds_difference(no_positives, h, sensitive_features=g)",
                "the undefined rate counts as 0, and is the largest gap",
            ),
            Row(
                "AIF360",
                "aif360(no_positives, h).equalized_odds_difference()",
                "the undefined gap drops out of a maximum: the gap of false positives is left",
            ),
            Row("AIF360", "aif360(no_positives, h).average_odds_difference()"),
            Row(
                "AIF360",
                "aif360_sklearn.average_odds_error(indexed(no_positives), h, **by_g)",
                "the undefined rate counts as 0",
            ),
            Row(
                "HolisticAI",
                'holisticai.average_odds_diff(g == "a", g == "b", h, no_positives)',
                "the undefined rate counts as 0",
            ),
        ],
    ),
    Case(
        "Rows whose group is not known",
        'groups(y, h, gone)["accuracy"]',
        [
            Row(
                "fairlearn",
                "MetricFrame(metrics=accuracy_score, y_true=y, y_pred=h, "
                "sensitive_features=gone).by_group",
                "refused: choose what they are first",
            ),
            Row("Aequitas", 'aequitas(y, h, gone)["accuracy"]', "left out, and not counted"),
        ],
        "fairlora shows them as a row of their own, compares them with no group, and counts them "
        "in a warning.",
    ),
    Case(
        "Groups that come batch by batch",
        '(groups(y, h)["tpr"] / 2).to_list()',
        [
            Row("torchmetrics", "rates([slice(0, 40)])"),
            Row(
                "torchmetrics",
                "rates([slice(0, 20), slice(20, 40)])",
                "the groups present in a batch are numbered anew from 0: the batch of b alone is "
                "counted as group 0",
            ),
        ],
        "The share of true positives in each group (half of its rows are positive). "
        "`TrainerMetrics` of fairlora takes groups by row, not by what a batch has.",
    ),
    Case(
        "Averages over classes: a class that no row has",
        'overall(three, guess)["recall"]',
        [
            Row("scikit-learn", "balanced_accuracy_score(three, guess)"),
            Row(
                "scikit-learn",
                'recall_score(three, guess, average="macro")',
                "the class without rows counts as recall 0",
            ),
            Row(
                "torchmetrics",
                "tm.multiclass_recall(t(guess), t(three), 3)",
                "the class without rows counts as recall 0",
            ),
            Row(
                "torchmetrics",
                "tm.multiclass_accuracy(t(guess), t(three), 3)",
                'its default is "macro": called accuracy, it is the recall above',
            ),
        ],
    ),
    Case(
        "Accuracy of several classes",
        'overall(three, guess)["accuracy"]',
        [
            Row("scikit-learn", "accuracy_score(three, guess)"),
            Row("torchmetrics", 'tm.multiclass_accuracy(t(guess), t(three), 3, average="micro")'),
            Row(
                "torchmetrics",
                "tm.multiclass_accuracy(t(guess), t(three), 3)",
                'its default is "macro", the mean recall of the classes',
            ),
        ],
    ),
    Case(
        "F1 over classes",
        'overall(three, guess)["f1"]',
        [
            Row("scikit-learn", 'f1_score(three, guess, average="macro")'),
            Row("torchmetrics", "tm.multiclass_f1_score(t(guess), t(three), 3)"),
            Row(
                "scikit-learn",
                'f1_score(three, guess, average="weighted")',
                "classes by their rows: the absent one weighs nothing",
            ),
        ],
    ),
    Case(
        "Demographic parity of four classes and three groups",
        'gaps(animal, said, region, positive=None)["dpd"]',
        [
            Row(
                "fairlearn",
                "demographic_parity_difference(animal, said, sensitive_features=region)",
                "class 1 alone",
            ),
            Row(
                "HolisticAI",
                'holisticai.multiclass_statistical_parity(region, said, aggregation_fun="max")',
                "total variation: half the sum of the gaps of all classes, not the largest of them",
            ),
            Row(
                "HolisticAI",
                "holisticai.multiclass_statistical_parity(region, said)",
                "total variation again, its mean over pairs of groups",
            ),
        ],
    ),
    Case(
        "AUC where there is one class",
        'overall([0] * 10, [0] * 10, p, classes=[0, 1])["auc"]',
        [
            Row("scikit-learn", "roc_auc_score([0] * 10, p)"),
            Row(
                "torchmetrics",
                "tm.binary_auroc(t(p), t([0] * 10))",
                "0, the worst value, and a warning",
            ),
        ],
    ),
    Case(
        "Calibration error: whose confidence",
        'overall(label, (p > 0.5).astype(int), p)["ece"]',
        [
            Row(
                "torchmetrics",
                "tm.multiclass_calibration_error(t(np.stack([1 - p, p], 1)), t(label), 2)",
            ),
            Row("torchmetrics", "tm.binary_calibration_error(t(p), t(label))", _CLASS),
            Row("netcal", "ECE(15).measure(p, label)", _CLASS),
        ],
        'With `confidence="positive"` fairlora gives the other two\'s answer.',
    ),
    Case(
        "Calibration error: the edges of bins",
        'overall(six, edge_2 > 0.5, edge_2, **ten_bins)["ece"]',
        [
            Row(
                "netcal",
                "ECE(10).measure(edge_2, six)",
                "bins closed on the left: 0.2 is in [0.2, 0.3)",
            ),
            Row(
                "torchmetrics",
                "tm.binary_calibration_error(t(edge_2), t(six), n_bins=10)",
                "bins closed on the left",
            ),
        ],
        "fairlora's bins are closed on the right, (0.1, 0.2], as in Guo et al. (2017). "
        "Probabilities on an edge are usual where they were rounded, or are means over trees.",
    ),
    Case(
        "Calibration error: an edge and its rounding",
        'overall(six, edge_6 > 0.5, edge_6, **ten_bins)["ece"]',
        [
            Row("netcal", "ECE(10).measure(edge_6, six)"),
            Row(
                "torchmetrics",
                "tm.binary_calibration_error(t(edge_6), t(six), n_bins=10)",
                "closed on the left, as netcal's; whose own edge lies a rounding above 0.6",
            ),
        ],
    ),
    Case(
        "Brier score: halves",
        'overall(label, (p > 0.5).astype(int), p)["brier"]',
        [
            Row("scikit-learn", "brier_score_loss(label, p, scale_by_half=False)"),
            Row(
                "scikit-learn",
                "brier_score_loss(label, p)",
                "half of Brier's (1950) sum over both classes: the positive class alone",
            ),
        ],
    ),
    Case(
        "Log loss of a class that had probability 0",
        'overall([1, 0, 0, 1], [0, 0, 0, 1], [0.0, 0.2, 0.3, 1.0])["nll"]',
        [
            Row(
                "scikit-learn",
                "log_loss([1, 0, 0, 1], [0.0, 0.2, 0.3, 1.0])",
                "0 is taken for float64's spacing at 1 (2.2e-16); by fairlora for float32's "
                "smallest normal number (1.2e-38)",
            ),
        ],
    ),
    Case(
        "Weights",
        'gaps(y, h, weight=weight)["dpd"]',
        [
            Row(
                "fairlearn",
                "demographic_parity_difference(y, h, sensitive_features=g, sample_weight=weight)",
            ),
            Row("AIF360", "aif360(y, h, weight).statistical_parity_difference()", _SIGNED),
            Row(
                "HolisticAI",
                'holisticai.statistical_parity(g == "a", g == "b", h)',
                "takes no weights; signed",
            ),
        ],
    ),
]
