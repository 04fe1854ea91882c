"""Names of the metrics as people read them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from fairlora.metrics.content import Number
from fairlora.metrics.settings import Confidence

OVERALL = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "recall": "Recall",
    "precision": "Precision",
    "fpr": "False positive rate",
    "selection_rate": "Selection rate",
    "f1_min": "Lowest F1 of a class",
    "recall_min": "Lowest recall of a class",
    "f1_gap": "F1 gap over classes",
    "auc": "AUC",
    "ece": "Calibration error (ECE)",
    "mce": "Largest calibration error (MCE)",
    "confidence_gap": "Confidence minus accuracy",
    "brier": "Brier score (0 to 2)",
    "nll": "Negative log-likelihood",
    "mean_loss": "Mean loss",
    "score": "Mean score",
    "label": "Mean label",
    "prediction": "Mean prediction",
    "bias": "Bias (prediction - label)",
    "mae": "Mean absolute error (MAE)",
    "rmse": "Root mean squared error (RMSE)",
    "rank_correlation": "Rank correlation (Spearman)",
}
GROUP = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "selection_rate": "Selection rate",
    "tpr": "TPR",
    "fpr": "FPR",
    "precision": "Precision",
    "auc": "AUC",
    "ece": "ECE",
    "mean_loss": "Loss",
    "eod": "EOD vs rest",
    "sensitive_agreement": "As the group suggests",
    "score": "Mean score",
    "bias": "Bias",
    "mae": "MAE",
    "rmse": "RMSE",
    "rank_correlation": "Rank correlation",
}
DISPARITY = {
    "accuracy_worst": "Worst group's accuracy",
    "accuracy_gap": "Accuracy gap (best - worst)",
    "dpd": "Demographic parity difference",
    "dp_ratio": "Demographic parity ratio",
    "eod": "Equalized odds difference",
    "tpr_gap": "TPR gap",
    "fpr_gap": "FPR gap",
    "eo_ratio": "Equalized odds ratio",
    "eopp_max": "Equal opportunity, one group against the rest",
    "f1_min": "Lowest F1 of a group",
    "recall_min": "Lowest recall of a group",
    "f1_gap": "F1 gap over groups",
    "auc_worst": "Worst group's AUC",
    "auc_gap": "AUC gap (best - worst)",
    "loss_variance": "Variance of the groups' losses",
    "loss_variance_unbiased": "... without the noise of the means",
    "sensitive_agreement": "Predicted as the group suggests",
    "score_gap": "Gap of the mean scores (largest - smallest)",
    "score_lowest": "Lowest mean score of a group",
    "label_gap": "Mean label gap",
    "prediction_gap": "Mean prediction gap",
    "bias_gap": "Bias gap",
    "bias_worst": "... farthest from 0",
    "mae_gap": "MAE gap",
    "mae_worst": "... largest of a group",
    "rmse_gap": "RMSE gap",
    "rmse_worst": "... largest of a group",
    "rank_correlation_gap": "Rank correlation gap",
    "rank_correlation_worst": "... lowest of a group",
}
# What grows with disparity and is 0 without, and what falls with it and is 1 without.
GAPS = ("accuracy_gap", "dpd", "eod", "eopp_max", "f1_gap", "auc_gap")
# The two that equalized odds is made of: each of the groups that have it.
ODDS_GAPS = ("tpr_gap", "fpr_gap")
RATIOS = ("dp_ratio", "eo_ratio")
NOT_PERCENT = {"brier", "nll", "mean_loss", "loss_variance", "loss_variance_unbiased"}
NOT_PERCENT |= {"score", "score_gap", "score_lowest"}
# In the unit of the label, whatever that is.
MEASURED = {"bias", "mae", "rmse", "bias_gap", "mae_gap", "rmse_gap"}
NOT_PERCENT |= MEASURED

# The column of effective sizes in a table of groups, where rows have weights.
EFFECTIVE = {
    "name": "Effective n",
    "align": "right",
    "help": "Rows of one weight that would say as much: (sum w)² / sum w² (Kish).",
}


def measured_text(value: float) -> str:
    """A number of any unit, with four digits that count.

    >>> measured_text(52341.6), measured_text(-3.21456), measured_text(0.00012346)
    ('52342', '-3.215', '0.0001235')
    """
    if value == 0:
        return "0"
    place = math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, 3 - place)}f}" if -6 <= place < 12 else f"{value:.3e}"


def calibration_words(
    ece: Number | None, confidence: Confidence, bins: int, positive: str | None
) -> str:
    """What the ECE of an audit or a comparison is of; empty without one.

    Parameters
    ----------
    ece : the error.
    confidence, bins : of the settings.
    positive : the positive class, if there is one.

    >>> calibration_words(Number(value=0.1, low=None, high=None), "positive", 10, "yes")
    ' ECE: of the probability of class yes, in 10 bins.'
    """
    if ece is None or ece.value is None:
        return ""
    whose = "the predicted class" if confidence == "top" else f"class {positive}"
    return f" ECE: of the probability of {whose}, in {bins} bins."


def positive_fact(positive: str | None) -> list[dict[str, str]]:
    """The positive class as a page's fact; none where there is none."""
    return [] if positive is None else [{"name": "Positive class", "value": positive}]


def left_out_fact(left_out: Mapping[str, int]) -> list[dict[str, str]]:
    """The rows that were left out, and why, as a page's fact; none where all were kept."""
    if not left_out:
        return []
    parts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return [{"name": "Left out", "value": f"{sum(left_out.values()):,} rows ({parts})"}]


def weight_fact(weight: str | None, size: float | None = None) -> list[dict[str, str]]:
    """The column of weights and the effective size as a page's fact; none where there are none."""
    if weight is None:
        return []
    said = "" if size is None else f", effective size {size:,.1f}"
    return [{"name": "Weights", "value": f"column {weight}{said}"}]


def weight_words(weight: str | None) -> list[str]:
    """What weights mean for the numbers, for a page's notes; nothing where there are none."""
    if weight is None:
        return []
    return [
        "Every number is by the rows' weights. n are rows; the effective size, (sum w)² / sum w², "
        "is how many rows of one weight would say as much, and what small groups are told by. "
        "Intervals are design-based: rows drawn with replacement, their weights as they are."
    ]


def rows_words(clusters: int | None) -> str:
    """How an audit or a comparison takes the rows as drawn: one by one, or by cluster."""
    if clusters:
        return "Rows of one cluster count as drawn together; intervals are of so drawn clusters."
    return (
        "Intervals take the rows as drawn independently. Several rows of one person or one picture "
        "are not: name what they share (--cluster)."
    )


def in_sentence(label: str) -> str:
    """Return a metric's name as it stands within a sentence.

    >>> in_sentence("Accuracy gap (best - worst)"), in_sentence("F1 gap over groups")
    ('accuracy gap', 'F1 gap over groups')
    """
    head = label.split(" (")[0]
    return head if head[:2] == head[:2].upper() else head[0].lower() + head[1:]


def tracker_names(names: Sequence[str]) -> dict[str, str]:
    """Names of groups for experiment trackers, each its own: name -> name in a metric's name.

    MLflow makes "_" of every letter that is not ASCII, and of most signs; the names that it could
    not tell apart get a number, in their order. It refuses names that lead to another place as a
    path: their slashes become "_".

    >>> tracker_names(["<40", ">40", "dark"])
    {'<40': '<40.1', '>40': '>40.2', 'dark': 'dark'}
    """
    plain = {name: _no_path(name) for name in names}
    alike = Counter(map(_as_mlflow, plain.values()))
    taken = {kept for kept, count in alike.items() if count == 1}
    found = {}
    for name, kept in plain.items():
        if alike[_as_mlflow(kept)] > 1:
            number = 1
            while _as_mlflow(f"{kept}.{number}") in taken:
                number += 1
            kept = f"{kept}.{number}"
            taken.add(_as_mlflow(kept))
        found[name] = kept
    return found


def _as_mlflow(name: str) -> str:
    """The name as transformers hands it to MLflow."""
    return re.sub(r"[^0-9A-Za-z_\-. :/]", "_", name)


def _no_path(name: str) -> str:
    parts = name.split("/")
    if not {"", ".", ".."} & set(parts):
        return name
    return "_".join(parts) + "_" * (len(parts) == 1)
