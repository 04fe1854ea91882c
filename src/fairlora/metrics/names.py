"""How the metrics are called where people read them."""

from __future__ import annotations

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
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
    "mean_loss": "Mean loss",
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
}
# What grows with disparity and is 0 without, and what falls with it and is 1 without.
GAPS = ("accuracy_gap", "dpd", "eod", "eopp_max", "f1_gap", "auc_gap")
# The two that equalized odds is made of: each of the groups that have it.
ODDS_GAPS = ("tpr_gap", "fpr_gap")
RATIOS = ("dp_ratio", "eo_ratio")
NOT_PERCENT = {"brier", "nll", "mean_loss", "loss_variance", "loss_variance_unbiased"}
