"""Experiment trackers get each group's metrics, the figure and the page; names survive."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import PretrainedConfig, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from fairlora import TrainerMetrics
from fairlora.metrics.labels import tracker_name, untracked_name
from fairlora.training import AuditCallback, FairTrainer, LossVariance

GROUPS = ("<40", ">40", "女", "زن/مرد")


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = PretrainedConfig()
        self.classifier = torch.nn.Linear(4, 2)

    def forward(self, pixel_values: Any, labels: Any = None) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=self.classifier(pixel_values))


def trained(folder: Path, tracker: str, **settings: Any) -> FairTrainer:
    """An epoch of 80 rows in four groups, evaluated at its end."""
    torch.manual_seed(0)
    table = {
        "pixel_values": torch.randn(80, 4).tolist(),
        "labels": [k // 4 % 2 for k in range(80)],
        "group": [GROUPS[k % 4] for k in range(80)],
    }
    rows = datasets.Dataset.from_dict(table)
    trainer = FairTrainer(
        objective=LossVariance(1.0),
        group_column="group",
        model=Classifier(),
        args=TrainingArguments(
            str(folder / "out"), report_to=[tracker], num_train_epochs=1, eval_strategy="epoch",
            logging_steps=5, save_strategy="no", use_cpu=True, disable_tqdm=True, **settings,
        ),
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=TrainerMetrics(columns=["group"]),
    )  # fmt: skip
    trainer.train()
    return trainer


def expected(trainer: FairTrainer) -> dict[str, float]:
    """Each group's accuracy of the last evaluation, by the group's own name."""
    last = trainer.compute_metrics.last["by_group"]["group"]
    assert set(last) == set(GROUPS)
    return {name: row["accuracy"]["value"] for name, row in last.items()}


def read_back(logged: dict[str, float], before: str) -> dict[str, float]:
    """The groups' accuracies in a tracker's metrics, by the names that are read back."""
    names = [n for n in logged if n.startswith(before) and n.endswith("/accuracy")]
    parts = {name: name.removeprefix(before).removesuffix("/accuracy") for name in names}
    assert all(tracker_name(untracked_name(part)) == part for part in parts.values())
    return {untracked_name(part): logged[name] for name, part in parts.items()}


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed (extra trackers)")
    pytest.importorskip("alembic", reason="MLflow's SQLite store needs alembic (extra trackers)")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(store)
    trainer = trained(tmp_path, "mlflow")
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs(["0"])
    assert read_back(run.data.metrics, "eval_group/") == pytest.approx(expected(trainer))
    assert {f"loss/{tracker_name(name)}" for name in GROUPS} <= set(run.data.metrics)
    kept = {one.path for one in client.list_artifacts(run.info.run_id, "audit")}
    assert kept == {"audit/audit.html", "audit/groups-1.png"}
    page = Path(client.download_artifacts(run.info.run_id, "audit/audit.html", str(tmp_path)))
    assert page.read_bytes() == (tmp_path / "out" / "audit" / "audit.html").read_bytes()
    assert "女" in page.read_text(encoding="utf-8")


def test_trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed (extra trackers)")
    from trackio import sqlite_storage, utils

    monkeypatch.setattr(utils, "TRACKIO_DIR", tmp_path / "trackio")
    monkeypatch.setattr(sqlite_storage, "TRACKIO_DIR", tmp_path / "trackio")
    trainer = trained(
        tmp_path, "trackio", project="people", run_name="one", trackio_static_space_id=False
    )
    storage = sqlite_storage.SQLiteStorage
    logged: dict[str, Any] = {}
    for line in storage.get_logs("people", "one"):
        logged |= line
    assert read_back(logged, "eval/group/") == pytest.approx(expected(trainer))
    assert {"audit/page", "audit/groups-1"} <= set(logged)
    assert list((tmp_path / "trackio").rglob("*.png"))
    assert list((tmp_path / "trackio").rglob("*.html"))


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra trackers)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = trained(tmp_path, "tensorboard")
    found = EventAccumulator(str(tmp_path / "events"))
    found.Reload()
    tags = found.Tags()
    logged = {name: found.Scalars(name)[-1].value for name in tags["scalars"]}
    assert read_back(logged, "eval/group/") == pytest.approx(expected(trainer), abs=1e-6)
    assert tags["images"] == ["audit/groups-1"]
    assert found.Images("audit/groups-1")[-1].width > 300


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip(
        "wandb", reason="Weights & Biases is not installed (extra trackers)"
    )
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    trainer = trained(tmp_path, "wandb")
    summary = dict(wandb.run.summary)
    wandb.finish()
    assert read_back(summary, "eval/group/") == pytest.approx(expected(trainer))
    assert list(tmp_path.rglob("media/html/audit/page*.html"))
    assert list(tmp_path.rglob("media/images/audit/groups-1*.png"))


def test_a_tracker_that_fails_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairlora.training import trackers

    def fails(files: Any, callback: Any) -> bool:
        raise OSError("no room")

    monkeypatch.setitem(trackers.SENDERS, "tensorboard", ("TensorBoardCallback", fails))
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed (extra trackers)")
    with pytest.warns(UserWarning, match="tensorboard did not take the audit's page: OSError: no"):
        trainer = trained(tmp_path, "tensorboard")
    assert trainer.state.global_step == 10
    page = (tmp_path / "out" / "audit" / "audit.html").read_text(encoding="utf-8")
    assert "&lt;40" in page


def test_without_trackers_nothing_is_drawn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = trained(tmp_path, "none")
    assert not any(isinstance(c, AuditCallback) for c in trainer.callback_handler.callbacks)
    assert not (tmp_path / "out" / "audit").exists()
    assert json.dumps(expected(trainer))
