"""Training rows are predicted where something reads them: all for attacks, some for their loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.cli.attack_runs import attack_runs
from fairlora.errors import InputError
from fairlora.predictions import read_predictions
from fairlora.study import RunFolder, parse_spec
from fairlora.study.membership.evidence import read_sheet
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.folder import result_settings
from fairlora.study.runs.measured import difference
from fairlora.study.runs.predict import predict_with
from fairlora.study.runs.prepare import prepare
from fairlora.study.spec import run as run_module
from fairlora.study.spec.expand import expand
from fairlora.study.spec.study import StudySpec

Settings = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def runs(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """The same run with some training rows predicted, and with all; frozen answers kept or not."""
    root = tmp_path_factory.mktemp("runs")
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "TRAINING_ROWS", 20)
        for name, training, kept in (
            ("some", {}, None),
            ("kept", {}, root / "kept"),
            ("all", {"predict_train": "all"}, None),
        ):
            spec = parse_spec(settings(adapter={"kind": "linear"}, training=training))
            folders[name] = RunFolder(root / name)
            assert run_cell(prepare(spec), folders[name], kept=kept)
    return folders


def test_some_training_rows_are_predicted_and_all_others(runs: dict[str, RunFolder]) -> None:
    tables = {name: read_predictions(folder.predictions) for name, folder in runs.items()}
    rows = runs["all"].metrics()["rows"]
    assert (tables["all"].split == "train").sum() == rows["train"] == 96
    whole = tables["all"]
    place = {id_: k for k, id_ in enumerate(whole.ids.tolist())}
    for name in ("some", "kept"):
        some = tables[name]
        assert (some.split == "train").sum() == 20
        same = whole.take(np.array([place[id_] for id_ in some.ids.tolist()]))
        assert some.split.tolist() == same.split.tolist()
        assert some.probs is not None
        assert same.probs is not None
        np.testing.assert_allclose(some.probs, same.probs, rtol=0, atol=1e-6)
        metrics = runs[name].metrics()
        assert metrics["rows"] == rows
        assert metrics["predicted"] == {"train": 20}
        assert metrics["audit"]["overall"] == runs["all"].metrics()["audit"]["overall"]
        assert metrics["mean_loss"]["train"] == pytest.approx(
            float(some.select("train").loss.mean()), rel=1e-6
        )
        assert difference(runs[name], runs[name].spec().audit) is None
    assert runs["all"].metrics()["predicted"] == {}


def test_an_attack_says_which_rows_it_has_or_how_to_get_them(runs: dict[str, RunFolder]) -> None:
    page = attack_runs((runs["some"].path, []), None, [], [], {"permutations": 0}, None).page
    assert any("The members are 20 of the 96 training rows of some" in n for n in page["notes"])
    said = r"some: not every training row was predicted \(found 20 of 96; .*predict_train: all"
    for folders in (["all", "some"], ["some", "all"]):
        with pytest.raises(InputError, match=said):
            read_sheet([runs[name] for name in folders])


def test_rows_trained_on_are_no_test_rows_whether_predicted_or_not(
    runs: dict[str, RunFolder], tmp_path: Path
) -> None:
    out = tmp_path / "predictions.parquet"
    options = ["data.renderers=[noto]", "data.target=gender", "data.groups=[renderer]"]
    predict_with(str(runs["some"].path), out, data="people-emoji", overrides=options)
    found, whole = read_predictions(out), read_predictions(runs["all"].predictions)
    for split in ("train", "validation", "test"):
        assert set(found.select(split).ids) == set(whole.select(split).ids)


def test_what_attacks_read_is_predicted_whatever_is_said(settings: Settings) -> None:
    study = {"name": "s", "data": settings()["data"], "models": ["embedded"], "methods": ["lora"]}
    plain, attacked = (
        expand(StudySpec.parse({**study, **more}, "study"))[0].spec
        for more in ({}, {"privacy": {"shadows": 0, "attacks": ["loss"]}})
    )
    assert (plain.told_rows(5000), attacked.told_rows(5000)) == (1000, 5000)
    assert plain.told_rows(500) == 500
    flipped = parse_spec(settings(queries=["flip"]))
    assert flipped.told_rows(5000) == 5000
    said = parse_spec(settings(queries=["flip"], training={"predict_train": "all"}))
    assert result_settings(said) == result_settings(flipped)
    assert result_settings(attacked) != result_settings(plain)
