"""What the metrics of a page mean, a sentence each: the one glossary of pages and docs.

docs/glossary.md has the same sentences; tests/metrics/test_terms.py holds them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairlora.metrics.labels import DISPARITY, GROUP, OVERALL

_RATES = {
    "accuracy": "share of rows whose prediction is the label",
    "f1": "harmonic mean of precision and recall; of several classes the mean over them",
    "recall": "share of the rows of a class that are predicted as it (the true positive rate)",
    "precision": "share of the rows predicted as a class that are of it",
    "tpr": "true positive rate: share of the positive class's rows that are predicted so",
    "fpr": "false positive rate: share of the other rows that are predicted as the positive class",
    "selection_rate": "share of rows predicted as the positive class",
    "f1_min": "lowest F1 of any class, or of any group",
    "recall_min": "lowest recall of any class, or of any group",
    "f1_gap": "highest less lowest F1",
    "auc": "chance that a row of the class has a higher score than a row outside it; 50 is none",
    "ece": "mean distance between stated confidence and accuracy, over bins of confidence",
    "mce": "that distance in the worst bin",
    "confidence_gap": "mean confidence less accuracy: above 0 the model is too sure",
    "brier": "mean squared distance of the probabilities from the truth; 0 is best, 2 worst",
    "nll": "mean of minus the logarithm of the probability given to the true class",
    "mean_loss": "mean loss of the rows, in nats where it is made of probabilities",
    "eod": "largest difference in TPR or FPR between the group and everyone outside it",
    "sensitive_agreement": "share of rows predicted as their group would suggest",
    "bias": "mean of prediction less label",
    "mae": "mean distance between prediction and label",
    "rmse": "root of the mean squared distance: large errors count more",
    "rank_correlation": "how alike predictions and labels order the rows: 1 the same, 0 not at all",
}
_GAPS = {
    "accuracy_worst": "accuracy of the group that has the lowest",
    "accuracy_gap": "accuracy of the best group less that of the worst",
    "dpd": "largest less smallest selection rate of a group",
    "dp_ratio": "smallest selection rate of a group over the largest",
    "eod": "the larger of the gaps between groups in TPR and in FPR",
    "tpr_gap": "largest less smallest TPR of a group",
    "fpr_gap": "largest less smallest FPR of a group",
    "eo_ratio": "the smaller of the ratios between groups of TPRs and of FPRs",
    "eopp_max": "largest difference in TPR between a group and everyone outside it",
    "f1_min": "F1 of the group that has the lowest",
    "recall_min": "recall of the group that has the lowest",
    "f1_gap": "highest less lowest F1 of a group",
    "auc_worst": "AUC of the group that has the lowest",
    "auc_gap": "highest less lowest AUC of a group",
    "loss_variance": "mean squared distance of the groups' mean losses from their mean",
    "loss_variance_unbiased": "less what chance in the groups' means adds; it may be negative",
    "sensitive_agreement": "share of rows predicted as their group would suggest",
}
# Name on a page -> what it means; where a group's and a gap's name are one, the gap's is told.
TERMS: dict[str, str] = {
    **{OVERALL[name]: text for name, text in _RATES.items() if name in OVERALL},
    **{GROUP[name]: text for name, text in _RATES.items() if name in GROUP},
    **{DISPARITY[name]: text for name, text in _GAPS.items()},
}


def terms_of(
    tables: Iterable[Mapping[str, Any]], known: Mapping[str, str] = TERMS
) -> list[dict[str, str]]:
    """The definitions of the words that head columns and rows of tables, as a page has them.

    >>> table = {"columns": [{"name": "TPR"}], "rows": []}
    >>> terms_of([table])[0]["name"]
    'TPR'
    """
    found: dict[str, str] = {}
    for table in tables:
        names = [column["name"] for column in table["columns"]]
        names += [row["cells"][0]["text"] for row in table["rows"]]
        found |= {name: known[name] for name in names if name in known}
    return [{"name": name, "value": text} for name, text in found.items()]
