"""Names of the metrics as people read them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping

from fairlora.metrics.content import Number
from fairlora.metrics.settings import Confidence

# What no part of a metric's name in a tracker may hold; an underscore before an x begins an escape.
_UNSAFE = re.compile(r"_(?=x)|[^0-9A-Za-z_\-. ]|^ | $|^\.(?=\.?$)")
_ESCAPED = re.compile(r"_x(10[0-9A-F]{4}|[0-9A-F]{0,5})_")
_HALF = re.compile(r"_(?:x[0-9A-F]*)?$")  # what a cut leaves of an escape
# Of MLflow's 250 characters: an attribute, a group, and what stands around them.
_LONGEST = 90
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


def tracker_name(name: str) -> str:
    """A group's name as a part of a metric's name that every experiment tracker keeps as it is.

    MLflow takes ASCII letters, digits, spaces and ``_ - .`` alone (transformers makes "_" of
    anything else, and of two groups one metric), a slash would lead into another folder, and 250
    characters are all that it has for a metric. So any other character becomes ``_xHEX_``, its code
    point. Different names stay different, and `untracked_name` gives the name back. What is longer
    than 90 characters is cut, and ends in ``_xx`` and a hash of the whole.

    >>> tracker_name("medium-dark"), tracker_name("<40"), tracker_name("a/b")
    ('medium-dark', '_x3C_40', 'a_x2F_b')
    """
    if not name:
        return "_x_"
    escaped = _UNSAFE.sub(lambda found: f"_x{ord(found[0]):X}_", name)
    if len(escaped) <= _LONGEST:
        return escaped
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_HALF.sub('', escaped[: _LONGEST - 20])}_xx{digest}"


def untracked_name(text: str) -> str:
    """The group's name of `tracker_name`; of one that was cut its beginning, and the hash.

    >>> untracked_name("_x3C_40")
    '<40'
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", text)
