"""Room `privacy`: membership inference attacks on scores, and how well they work on each group.

NumPy and SciPy alone: how the models were trained, and by whom, is no concern of this room. Every
attack returns one score an example, larger for a likelier member; `roc` says how well scores tell.
"""

from __future__ import annotations

from fairlora.privacy.audit import attack_audit
from fairlora.privacy.curves import roc
from fairlora.privacy.epsilon import epsilon_lower_bound
from fairlora.privacy.lira import lira_offline, lira_online
from fairlora.privacy.lira_bayes import VariancePrior
from fairlora.privacy.loss import loss_attack
from fairlora.privacy.loss_difference import reference_difference
from fairlora.privacy.page import privacy_page
from fairlora.privacy.paired import PairedPrivacyResult, compare_attacks
from fairlora.privacy.paired_page import paired_privacy_page
from fairlora.privacy.quantile import QuantileAttack
from fairlora.privacy.result import PrivacyResult
from fairlora.privacy.rmia import choose_a, rmia_offline
from fairlora.privacy.shadows import equal_counts
from fairlora.privacy.shift import source_shift
from fairlora.privacy.tokens import (
    base_ratio,
    error_zone,
    min_k,
    min_k_plus,
    window_comparison,
    zlib_ratio,
)

__all__ = [
    "PairedPrivacyResult",
    "PrivacyResult",
    "QuantileAttack",
    "VariancePrior",
    "attack_audit",
    "base_ratio",
    "choose_a",
    "compare_attacks",
    "epsilon_lower_bound",
    "equal_counts",
    "error_zone",
    "lira_offline",
    "lira_online",
    "loss_attack",
    "min_k",
    "min_k_plus",
    "paired_privacy_page",
    "privacy_page",
    "reference_difference",
    "rmia_offline",
    "roc",
    "source_shift",
    "window_comparison",
    "zlib_ratio",
]
