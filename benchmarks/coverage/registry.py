"""All scenarios of audits, in the order of the docs: one line a family."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import measurements
import paired
import rates
import rows
import scores
from scenarios import Scenario


def families() -> list[Callable[[], Iterator[Scenario]]]:
    """The registry: functions that make the scenarios of one family."""
    return [
        rates.group_rate_scenarios,
        rates.disparity_scenarios,
        rates.macro_scenarios,
        rates.one_class_scenarios,
        scores.calibration_scenarios,
        scores.loss_scenarios,
        scores.auc_scenarios,
        rows.cluster_scenarios,
        rows.overlap_scenarios,
        rows.weight_scenarios,
        paired.paired_scenarios,
        measurements.measurement_scenarios,
    ]


def scenarios() -> list[Scenario]:
    """All of them, in the order of the registry."""
    return [scenario for family in families() for scenario in family()]
