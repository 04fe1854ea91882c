"""Logs of evaluation tools, audited by group: `fairlora.read_log`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.metrics.result import ScoreResult
from fairlora.metrics.scoring import audit_score_table
from fairlora.predictions.join import joins_of
from fairlora.predictions.logs import Log, read_log_table

if TYPE_CHECKING:
    import pandas as pd

    from fairlora.metrics.comparison.compare import PairedResult


class EvaluationLog:
    """A log as a table of scores, and its audits by group.

    Attributes
    ----------
    log : what was read: `format`, `scores`, `notes`, `left_out`.
    """

    def __init__(self, log: Log) -> None:
        self.log = log

    def __repr__(self) -> str:
        scores = ", ".join(self.scores) or "none"
        return f"EvaluationLog({self.log.format}; {len(self):,} samples; scores: {scores})"

    def __len__(self) -> int:
        return int(self.log.table.num_rows)

    @property
    def scores(self) -> list[str]:
        """The names of its scores."""
        return list(self.log.scores)

    @property
    def columns(self) -> list[str]:
        """The names of all columns, groups by their paths ("doc.person.sex")."""
        return list(self.log.table.column_names)

    @property
    def frame(self) -> pd.DataFrame:
        """A row a sample."""
        frame: pd.DataFrame = self.log.table.to_pandas()
        return frame

    def audit(
        self,
        groups: str | Sequence[str] = (),
        score: str | None = None,
        *,
        clusters: str | None = None,
        bin_groups: Mapping[str, Any] | None = None,
        weight: str | None = None,
        join: Mapping[Any, str] | None = None,
        **options: Any,
    ) -> ScoreResult:
        """Audit a score across groups.

        Parameters
        ----------
        groups : columns of attributes.
        score : its name; None takes the only one.
        clusters : column of what rows share; None takes the log's own (samples, of epochs).
        bin_groups : attribute -> edges, or "quantiles:K": numbers read as ranges.
        weight : column of how much each sample counts.
        join : file -> the column of ids (OURS=THEIRS too) by which its columns are joined.
        options : of `Settings`: `level`, `min_group`, `intersect`, ...

        Raises
        ------
        InputError : a column is not there, or several scores and none named.
        """
        names = (groups,) if isinstance(groups, str) else tuple(groups)
        joins = joins_of([Path(path) for path in join or ()], [*(join or {}).values()])
        table = self.log.predictions(score, names, clusters, bin_groups, weight, joins)
        return audit_score_table(table, **options)

    def compare(
        self,
        other: EvaluationLog,
        groups: str | Sequence[str] = (),
        score: str | None = None,
        *,
        margin: float | None = None,
        **options: Any,
    ) -> PairedResult:
        """Compare with another log of the same samples, paired by sample.

        Parameters
        ----------
        other : the second; differences are this log's minus its.
        groups : columns of attributes, of this log.
        score : its name in both; None takes the only one.
        margin : a difference below which the two count as equivalent; None for none.
        options : of `Settings`.

        Raises
        ------
        InputError : the samples are not the same, or as `audit`.
        """
        from fairlora.metrics.comparison.compare import PairedResult
        from fairlora.metrics.comparison.scores import compare_scores
        from fairlora.metrics.settings import Settings
        from fairlora.predictions.pairing import paired_rows

        names = (groups,) if isinstance(groups, str) else tuple(groups)
        first = self.log.predictions(score, names)
        second = other.log.predictions(score, names)
        pair = paired_rows(first, second, self.log.path, other.log.path)
        return PairedResult(compare_scores(*pair, Settings(**options), margin=margin))


def read_log(path: str | Path, filter: str | None = None) -> EvaluationLog:
    """Read a log of lm-evaluation-harness, inspect_ai, lighteval or HELM.

    Parameters
    ----------
    path : a file, or the folder of a HELM run.
    filter : of the harness, the filter; of HELM, the perturbation; None takes the only one.

    Raises
    ------
    InputError : no log of a tool that is known, a damaged one, or several filters.
    """
    return EvaluationLog(read_log_table(Path(path), filter))
