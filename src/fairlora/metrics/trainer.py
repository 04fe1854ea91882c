"""`TrainerMetrics`: group metrics inside the Hugging Face Trainer's evaluation. Needs no torch.

The Trainer hands `compute_metrics` logits and labels and no other column (transformers #31570).
The groups are given once, by position in the evaluation set, and the order in which the Trainer's
loader takes the rows says which position a row has.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import InputError
from fairlora.metrics.assemble import assemble
from fairlora.metrics.counting import OVERALL, Table, Tables, apart, everyone
from fairlora.metrics.counts.tally import Tally, row_scores, tally_scores
from fairlora.metrics.groups.intersections import check_groups, rows_column
from fairlora.metrics.groups.missing import settled
from fairlora.metrics.inputs import positive_name
from fairlora.metrics.labels import tracker_name
from fairlora.metrics.settings import MissingGroup, Settings
from fairlora.predictions import GroupColumn, score_logits
from fairlora.predictions.arrow import first_row
from fairlora.predictions.attributes import named_columns
from fairlora.predictions.classes import class_rules

_OVERALL = ("accuracy", "f1", "recall", "ece", "brier", "nll")
# A loader that lives on is read once for every evaluation.
_EVALUATIONS = 1000
_DISPARITIES = ("accuracy_worst", "accuracy_gap", "dpd", "eod", "eopp_max", "f1_min")
# Of which less is better, by the last part of their names; `FairTrainer` adds the loss's variance.
_LESS_IS_BETTER = ("ece", "brier", "nll", "accuracy_gap", "dpd", "eod", "eopp_max", "loss_variance")
_MORE_IS_BETTER = ("accuracy", "f1", "recall", "accuracy_worst", "f1_min")


class TrainerMetrics:
    """A `compute_metrics` that knows the groups.

        metrics = TrainerMetrics({"race": evaluation["race"]})
        Trainer(model, args, eval_dataset=evaluation, compute_metrics=metrics, ...)

    With ``TrainingArguments(batch_eval_metrics=True)`` it counts batch by batch, and logits are
    never kept. With `FairTrainer`, `columns` name columns that it reads from each evaluation set
    itself: ``TrainerMetrics(columns=["race"])``.

    Parameters
    ----------
    groups : attribute -> (n,) group names of the evaluation set, in its order; or a frame, a
        Series, an array or a list, as of `fairlora.audit`.
    columns : attributes that `bind` reads from an evaluation set.
    classes : names of the logits' columns, in order; default their numbers.
    positive, min_group, bins, missing_group, max_groups : as of `fairlora.audit`; `positive` is a
        name or a number of a class.

    Gives overall metrics ("accuracy", "f1", "ece", ...), disparities ("race/accuracy_gap") and each
    group's accuracy ("race/dark/accuracy"; what a tracker would not keep is spelled by
    `fairlora.metrics.labels.tracker_name`: "<40" is "_x3C_40"); what is undefined is left out. The
    whole audit of the last evaluation is in `last`.

    Rows that the Trainer orders by length
    (``train_sampling_strategy="group_by_length"``) are put back in their places. Raises
    `InputError` where another sampler chooses the order.
    """

    def __init__(
        self,
        groups: Any = None,
        *,
        columns: Sequence[str] = (),
        classes: Any = None,
        positive: Any = None,
        min_group: int = 10,
        bins: int = 15,
        missing_group: MissingGroup = "show",
        max_groups: int | None = None,
    ) -> None:
        named = {} if groups is None else named_columns(groups)
        if not named and not columns:
            raise InputError(
                "no groups", where="TrainerMetrics", expected="groups of the rows, or column names"
            )
        self.columns = tuple(columns)
        self.classes = class_rules(classes).classes
        # No draws in the middle of training: the intervals of the last audit are closed forms.
        self.settings = Settings(
            positive=None if positive is None else positive_name(positive),
            min_group=min_group,
            bins=bins,
            bootstrap=0,
            missing_group=missing_group,
            max_groups=max_groups,
        )
        self.groups = self._columns(named)
        self.last: dict[str, Any] | None = None
        self._order: NDArray[np.int64] | None = None
        self._start()

    def _columns(self, groups: Mapping[str, Any]) -> dict[str, GroupColumn]:
        columns = {}
        for name, values in groups.items():
            column = rows_column(values, f"groups[{name!r}]", None)
            check_groups(name, column.names, len(column), self.settings.max_groups)
            columns[name] = column
        if self.settings.missing_group == "keep":
            return columns
        return {name: settled(column) for name, column in columns.items()}

    def bind(self, columns: Mapping[str, Any]) -> None:
        """Take the groups of another evaluation set."""
        self.groups = self._columns(columns)
        self._start()

    def __call__(self, evaluation: Any, compute_result: bool = True) -> dict[str, float]:
        """Metrics of an `EvalPrediction`; see the class.

        Raises `InputError` where the rows are not those that the groups were given for.
        """
        logits, labels = evaluation.predictions, evaluation.label_ids
        logits = logits[0] if isinstance(logits, tuple | list) else logits
        labels = labels[0] if isinstance(labels, tuple | list) else labels
        try:
            if self._rows == 0:
                trainer = calling_trainer()
                check_direction(getattr(trainer, "args", None))
                self._order = evaluation_order(trainer)
            self._add(_numpy(logits), _numpy(labels))
            return self._checked() if compute_result else {}
        except InputError:
            # The next evaluation begins anew.
            self._start()
            raise

    def _checked(self) -> dict[str, float]:
        for name, column in self.groups.items():
            if len(column) != self._rows:
                raise InputError(
                    "the groups are of another evaluation set",
                    where=f"group column {name!r}",
                    found=f"{len(column):,} rows",
                    expected=f"{self._rows:,}",
                )
        return self._finish()

    def _start(self) -> None:
        self._rows = 0
        self._order = None
        self._tallies: dict[str, Tally] = {}
        self._names: tuple[str, ...] = ()

    def _add(self, logits: NDArray[Any], labels: NDArray[Any]) -> None:
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise InputError(
                "not logits of a classifier",
                where="compute_metrics",
                found=f"logits {logits.shape}, labels {labels.shape}",
                expected="logits (n, classes), labels (n,)",
            )
        n, c = logits.shape
        if self.classes is not None and len(self.classes) != c:
            raise InputError(
                "not as many classes as logits",
                where="classes",
                found=len(self.classes),
                expected=f"{c}, one a column of the logits",
            )
        whole = np.asarray(labels, dtype=np.float64) if labels.dtype.kind not in "iub" else labels
        bad = ~((whole >= 0) & (whole < c) & (whole == np.floor(whole)))
        if bad.any():
            raise InputError(
                "a label without a column of the logits",
                where=f"label of row {self._rows + int(np.flatnonzero(bad)[0]) + 1}",
                found=labels[bad][0],
                expected=f"0 to {c - 1}",
            )
        labels = labels.astype(np.int64)
        broken = ~np.isfinite(logits).all(axis=1)
        if broken.any():
            raise InputError(
                "not a finite number",
                where=f"logits of row {self._rows + first_row(broken)}",
                found=[float(v) for v in logits[broken][0][:8]],
                expected="finite logits",
            )
        scored = score_logits(logits, labels)
        scores = row_scores(labels, scored.predictions, scored.probs)
        self._names = self.classes or tuple(str(k) for k in range(c))
        columns = {OVERALL: GroupColumn((OVERALL,), everyone(n))}
        for name, column in self.groups.items():
            if self._rows + n > len(column):
                raise InputError(
                    "more rows than groups were given for",
                    where=f"group column {name!r}",
                    found=f"{len(column):,} rows",
                    expected=f"at least {self._rows + n:,}",
                )
            part = column.codes[self._places(n, len(column))]
            columns[name] = GroupColumn(column.names, part, column.lists)
        for name, column in columns.items():
            tally = tally_scores(
                labels,
                scored.predictions,
                c,
                column,
                scores,
                loss=scored.loss,
                bins=self.settings.bins,
            )
            held = self._tallies.get(name)
            self._tallies[name] = tally if held is None else held + tally
        self._rows += n

    def _places(self, n: int, size: int) -> NDArray[np.int64]:
        """Where the next `n` rows stand in an evaluation set of `size` rows."""
        if self._order is None:
            return np.arange(self._rows, self._rows + n)
        if len(self._order) != size:
            raise InputError(
                "the groups are of another evaluation set",
                where="TrainerMetrics",
                found=f"{size:,} rows",
                expected=f"{len(self._order):,}",
            )
        return self._order[self._rows : self._rows + n]

    def _finish(self) -> dict[str, float]:
        tables = Tables(
            self._rows,
            self._names,
            Table(self._tallies[OVERALL], no_auc="not computed during training"),
            {
                name: apart(
                    Table(self._tallies[name], no_auc="not computed during training"), self.settings
                )
                for name in self.groups
            },
        )
        self._start()
        content = assemble(tables, self.settings)
        self.last = content.to_dict()
        overall = content.overall.numbers()
        out = {name: overall[name].value for name in _OVERALL}
        for attribute, disparities in content.disparities.items():
            shown, numbers = tracker_name(attribute), disparities.numbers()
            for name in _DISPARITIES:
                out[f"{shown}/{name}"] = numbers[name].value
            for group, row in content.by_group[attribute].items():
                out[f"{shown}/{tracker_name(group)}/accuracy"] = row.accuracy.value
        return {name: float(value) for name, value in out.items() if value is not None}


def check_direction(args: Any) -> None:
    """Raise `InputError` where the best checkpoint would be the worst by a metric of ours.

    transformers takes more as better of every metric whose name does not end in "loss".

    Parameters
    ----------
    args : a Trainer's arguments, or None.
    """
    name = str(getattr(args, "metric_for_best_model", None) or "")
    last = name.rpartition("/")[-1]
    less = any(last == known or last.endswith(f"_{known}") for known in _LESS_IS_BETTER)
    more = any(last == known or last.endswith(f"_{known}") for known in _MORE_IS_BETTER)
    if (less or more) and bool(args.greater_is_better) == less:
        raise InputError(
            f"{'less' if less else 'more'} is better of this metric, and the worst checkpoint "
            "would be kept",
            where=f"metric_for_best_model {name!r}",
            found=f"greater_is_better={args.greater_is_better} (transformers' default is True for "
            "every name that does not end in 'loss')",
            expected=f"greater_is_better={more}",
        )


def calling_trainer() -> Any:
    """The Trainer whose evaluation is running; None where `compute_metrics` is called by hand.

    `EvalPrediction` does not say whose evaluation it is: the Trainer is looked up among the
    callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if hasattr(getattr(caller, "callback_handler", None), "eval_dataloader"):
            return caller
        frame = frame.f_back
    return None


def evaluation_order(trainer: Any) -> NDArray[np.int64] | None:
    """The row numbers in the order of the evaluation that is running, None for their own order.

    Without a Trainer the rows are in their order. Raises `InputError` for an order that cannot be
    known.
    """
    loader = None if trainer is None else trainer.callback_handler.eval_dataloader
    return None if loader is None else loader_order(loader)


def loader_order(loader: Any) -> NDArray[np.int64] | None:
    """The row numbers in a data loader's order, None for their own; see `evaluation_order`."""
    batches: Any = getattr(loader, "batch_sampler", None)
    while hasattr(batches, "batch_sampler"):  # accelerate's, around the loader's own
        batches = batches.batch_sampler
    sampler = getattr(batches, "sampler", None)
    kind = type(sampler).__name__
    shuffled = getattr(loader, "num_workers", 0) > 0 and not getattr(loader, "in_order", True)
    if not shuffled and kind in ("SequentialSampler", "_InfiniteConstantSampler", "NoneType"):
        return None
    order = None
    if not shuffled and kind == "LengthGroupedSampler":
        order = _drawn_order(sampler)
    if order is None:
        raise InputError(
            "which rows these are cannot be known",
            where="TrainerMetrics",
            found="dataloader_in_order=False" if shuffled else f"an evaluation set read by {kind}",
            expected="the rows' own order, or the Trainer's order by length",
        )
    return order


def _drawn_order(sampler: Any) -> NDArray[np.int64] | None:
    """What a sampler gave when it was last read, None if that cannot be found out.

    A copy is read with a generator of the same seed, until that is where the sampler's own is.
    """
    if sampler.generator is None:
        return None
    again = copy.copy(sampler)
    again.generator = sampler.generator.clone_state()
    again.generator.manual_seed(sampler.generator.initial_seed())
    for _ in range(_EVALUATIONS):
        order = np.fromiter(again, dtype=np.int64)
        if bool((again.generator.get_state() == sampler.generator.get_state()).all()):
            return order
    return None


def _numpy(values: Any) -> NDArray[Any]:
    """With `batch_eval_metrics` the Trainer hands over tensors."""
    if hasattr(values, "detach"):
        values = values.detach().float() if values.dtype.is_floating_point else values.detach()
        return np.asarray(values.cpu().numpy())
    return np.asarray(values)
