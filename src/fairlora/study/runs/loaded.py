"""`fairlora.load_run`: a finished run's folder, opened: audit, predictions, settings, model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError
from fairlora.metrics.auditing import audit_predictions
from fairlora.metrics.content import AuditContent
from fairlora.metrics.result import AuditResult
from fairlora.predictions import Predictions, read_predictions
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import RunSpec

if TYPE_CHECKING:
    import pandas as pd

    from fairlora.models import Classifier, LanguageModel


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A finished run; everything is read when it is first asked for.

    Attributes
    ----------
    folder : where it lies.
    """

    folder: RunFolder

    def __repr__(self) -> str:
        return f"LoadedRun({self.spec.method}, seed {self.spec.seed}; {self.path})"

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.folder.path

    @cached_property
    def spec(self) -> RunSpec:
        """The run's settings, as typed fields: ``run.spec.adapter.rank``."""
        return self.folder.spec()

    @property
    def settings(self) -> dict[str, Any]:
        """The run's settings as plain values."""
        return self.spec.model_dump(mode="json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds: the audit, and what training reported."""
        return self.folder.metrics()

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, machine, and the identity of data and weights."""
        return self.folder.environment()

    @property
    def result(self) -> AuditResult:
        """The audit of the test rows that the run made itself.

        Raises `InputError` for a language model's run, which predicts no class.
        """
        self._require_classes("no audit")
        return AuditResult(AuditContent.model_validate(self.metrics["audit"]))

    @cached_property
    def table(self) -> Predictions:
        """The predictions of all splits.

        Raises `InputError` for a language model's run, which predicts no class.
        """
        self._require_classes("no predictions")
        return read_predictions(self.folder.predictions)

    @property
    def predictions(self) -> pd.DataFrame:
        """A row an example of any split: id, split, label and pred by name, probs, groups.

        Raises `InputError` for a language model's run, which predicts no class.
        """
        import pandas as pd

        frame: pd.DataFrame = pd.read_parquet(self.folder.predictions)
        classes = pd.Index(self.table.classes)
        for name in ("label", "pred"):
            frame[name] = pd.Categorical.from_codes(frame[name].to_numpy(), classes)
        return frame

    def audit(self, split: str = "test", **options: Any) -> AuditResult:
        """Audit the run's predictions anew.

        Parameters
        ----------
        split : whose rows.
        options : of `Settings`, in place of the run's own: `intersect`, `subgroups`, `curves`, ...

        Raises
        ------
        InputError : a language model's run, no rows of the split, or what the audit refuses.
        """
        own = self.spec.audit.model_dump()
        return audit_predictions(self.table.select(split), **{**own, **options})

    def model(self) -> Classifier | LanguageModel:
        """The fine-tuned model, loaded; needs torch."""
        if self.metrics.get("task") == "language":
            from fairlora.models import load_language

            return load_language(str(self.path))
        from fairlora.models import load_finetuned

        return load_finetuned(str(self.path))

    def _require_classes(self, what: str) -> None:
        if self.metrics.get("task") == "language":
            raise InputError(
                f"{what}: a language model's run predicts no class",
                where=self.path,
                expected="its `metrics`, which hold the losses and probes",
            )


def load_run(folder: str | Path) -> LoadedRun:
    """Open the folder of a finished run of `fairlora train` or of a study's cell.

    Parameters
    ----------
    folder : the run's.

    Raises
    ------
    InputError : no such folder, one that holds no run, or a run that is not finished.
    """
    run = RunFolder(Path(folder))
    run.check_finished()
    return LoadedRun(run)
