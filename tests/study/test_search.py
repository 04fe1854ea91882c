"""A search: what it runs, what it reads of the runs, what it chooses, and what it refuses.

The runs are files of predictions whose metrics are known; the last test trains.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics.settings import AuditSettings
from fairlora.predictions import Predictions, read_predictions, score_logits, write_predictions
from fairlora.study.runs.folder import RunFolder, cell_name, identity
from fairlora.study.runs.search import SearchResult, search_arm, validation_value
from fairlora.study.spec.run import RunSpec, parse_spec
from fairlora.study.spec.search import SearchObjective, parse_search

BASE = RunSpec()
ROWS = 200


def table(accuracy: float, gap: float = 0.0) -> Predictions:
    """Predictions with a known accuracy on validation rows, and another one on test rows.

    Two races of equal size differ by `gap`; all of it holds for validation rows alone.
    """
    half = ROWS // 2
    hits = []
    for share in (accuracy + gap / 2, accuracy - gap / 2):
        right = round(share * half)
        hits += [True] * right + [False] * (half - right)
    validation = np.array(hits)
    test = np.arange(ROWS) < round((1 - accuracy) * ROWS)
    right = np.concatenate([validation, test, np.ones(ROWS, dtype=bool)])
    labels = np.arange(3 * ROWS) % 2
    chosen = np.where(right, labels, 1 - labels)
    scores = score_logits(np.eye(2)[chosen] * 2.0, labels)
    return Predictions(
        ids=np.arange(3 * ROWS).astype(str),
        split=np.repeat(["validation", "test", "train"], ROWS),
        labels=labels,
        predictions=scores.predictions,
        classes=("no", "yes"),
        groups={"race": np.tile(np.repeat(["a", "b"], half), 3)},
        probs=scores.probs,
        loss=scores.loss,
        margin=scores.margin,
    )


class Cells:
    """Stands for a study's runs: writes predictions that depend on the settings as told."""

    def __init__(self, root: Path, accuracy: Callable[[RunSpec], Any]) -> None:
        self.root, self.accuracy = root, accuracy
        self.calls: list[int] = []
        self.ran: list[RunSpec] = []

    def __call__(self, specs: Sequence[RunSpec]) -> list[RunFolder | None]:
        self.calls.append(len(specs))
        return [self.one(spec) for spec in specs]

    def one(self, spec: RunSpec) -> RunFolder | None:
        folder = RunFolder(self.root / cell_name(spec, identity(spec, "d", "m")))
        if not folder.predictions.exists():
            self.ran.append(spec)
            values = self.accuracy(spec)
            if values is None:
                return None
            folder.path.mkdir(parents=True, exist_ok=True)
            write_predictions(folder.predictions, table(*np.atleast_1d(values)))
        return folder


def search(
    cells: Cells, base: RunSpec = BASE, *, arm: str = "LoRA", inputs: str = "", **content: Any
) -> SearchResult:
    return search_arm(arm, base, parse_search(content), cells, cells.root, inputs=inputs)


RATES = {"training.learning_rate": [1e-4, "3e-4", 1e-3], "training.epochs": [2, 4]}


def peak(spec: RunSpec) -> float:
    """Best at 3e-4 and four epochs."""
    near = {1e-4: 0.7, 3e-4: 0.8, 1e-3: 0.6}[spec.training.learning_rate]
    return near + spec.training.epochs / 100


def test_a_grid_runs_everything_once_and_chooses_on_validation(tmp_path: Path) -> None:
    cells = Cells(tmp_path, peak)
    found = search(cells, space=RATES)
    assert cells.calls == [6]
    assert [t.params["training.learning_rate"] for t in found.trials] == [
        1e-4, 1e-4, 3e-4, 3e-4, 1e-3, 1e-3,
    ]  # fmt: skip
    assert found.chosen == [{"training.learning_rate": 3e-4, "training.epochs": 4}]
    assert found.best == found.front == (3,)
    assert found.trials[3].values == (0.84,)
    assert found.trials[3].runs == (cell_name(cells.ran[3], identity(cells.ran[3], "d", "m")),)
    again = search(cells, space=RATES)
    assert again == found
    assert len(cells.ran) == 6, "a run was run again"
    # Nothing of Optuna's: a grid's state is its runs.
    assert not list(tmp_path.glob("*.db"))
    assert json.loads(json.dumps(found.to_dict()))["chosen"] == found.chosen


def test_the_first_of_equals_is_chosen(tmp_path: Path) -> None:
    found = search(Cells(tmp_path, lambda _: 0.5), space=RATES)
    assert found.chosen == [{"training.learning_rate": 1e-4, "training.epochs": 2}]


def test_less_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    found = search(Cells(tmp_path, peak), space=RATES, objectives=["mean_loss"])
    assert found.chosen == [{"training.learning_rate": 3e-4, "training.epochs": 4}]
    spread = {8: 0.3, 16: 0.1, 32: 0.2}
    cells = Cells(tmp_path / "gap", lambda s: (0.6, spread[s.adapter.rank]))
    objective = {"metric": "accuracy_gap", "attribute": "race"}
    found = search(cells, space={"adapter.rank": [8, 16, 32]}, objectives=[objective])
    assert found.chosen == [{"adapter.rank": 16}]
    assert found.trials[1].values == pytest.approx((0.1,))


FAIR = {
    "space": {"objective.strength": [0.01, 0.1, 1, 10, 100]},
    "objectives": ["accuracy", {"metric": "accuracy_gap", "attribute": "race"}],
}
TRADE = {
    0.01: (0.8, 0.4),
    0.1: (0.78, 0.2),
    1.0: (0.76, 0.06),
    10.0: (0.6, 0.04),
    100.0: (0.5, 0.1),
}
FAIRLORA = parse_spec({"objective": {"name": "loss-variance"}})


@pytest.mark.parametrize(
    ("choose", "strengths"), [("first", [0.01]), ("knee", [1]), ("front", [0.01, 0.1, 1, 10])]
)
def test_several_objectives_have_a_front(
    choose: str, strengths: list[float], tmp_path: Path
) -> None:
    cells = Cells(tmp_path, lambda s: TRADE[s.objective.strength])
    found = search(cells, FAIRLORA, **FAIR, choose=choose)
    assert [c["objective.strength"] for c in found.chosen] == strengths
    assert found.front == (0, 1, 2, 3)
    assert found.trials[4].values == pytest.approx((0.5, 0.1))


def test_a_failed_run_fails_its_trial_alone(tmp_path: Path) -> None:
    cells = Cells(tmp_path, lambda s: None if s.training.learning_rate == 3e-4 else peak(s))
    found = search(cells, space=RATES)
    assert [t.state for t in found.trials] == [*["finished"] * 2, *["failed"] * 2,
                                               *["finished"] * 2]  # fmt: skip
    assert found.trials[2].values is None
    assert found.chosen == [{"training.learning_rate": 1e-4, "training.epochs": 4}]


def test_where_everything_failed_nothing_is_chosen(tmp_path: Path) -> None:
    found = search(Cells(tmp_path, lambda _: None), space=RATES, choose="knee")
    assert found.chosen == []
    assert found.front == ()


def test_a_value_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    def accuracy(spec: RunSpec) -> float | None:
        if (spec.adapter.rank, spec.seed) == (16, 5):
            return None
        return {(4, 3): 0.9, (4, 5): 0.5, (8, 3): 0.75, (8, 5): 0.75, (16, 3): 1.0}[
            spec.adapter.rank, spec.seed
        ]

    cells = Cells(tmp_path, accuracy)
    found = search(cells, space={"adapter.rank": [4, 8, 16]}, run_seeds=[3, 5])
    assert cells.calls == [6]
    assert [t.values for t in found.trials] == [pytest.approx((0.7,)), (0.75,), None]
    assert found.trials[2].state == "failed"
    assert len(found.trials[2].runs) == 1
    assert found.chosen == [{"adapter.rank": 8}]


def test_equal_runs_are_asked_for_once(tmp_path: Path) -> None:
    """Two settings of which one run comes: the second names a default of the first."""
    cells = Cells(tmp_path, lambda _: 0.5)
    sections = [{"kind": "lora"}, {"kind": "lora", "rank": 8}]
    found = search(cells, space={"adapter": sections})
    assert cells.calls == [1]
    assert [t.params["adapter"] for t in found.trials] == sections


def test_nothing_to_search_is_no_search(tmp_path: Path) -> None:
    cells = Cells(tmp_path, peak)
    found = search(cells, methods={"full": {"space": {"training.epochs": [1]}}})
    assert found.chosen == [{}]
    assert cells.calls == []


@pytest.mark.parametrize("sampler", ["grid", "tpe", "random"])
@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"training.epochs": [1, -1]}, "search.space: training.epochs: out of range .*-1.*> 0"),
        ({"adapter.rank": [1, "many"]}, "search.space: adapter.rank: not a whole number .*many"),
        ({"objective.name": ["erm", "focal"]}, "search.space: objective.name: .*'focal'"),
    ],
)
def test_choices_that_make_no_run_are_refused_before_any_runs(
    sampler: str, space: dict[str, Any], message: str, tmp_path: Path
) -> None:
    cells = Cells(tmp_path, peak)
    with pytest.raises(InputError, match=message):
        search(cells, space=space, sampler=sampler)
    assert cells.calls == []


def test_a_range_that_its_key_cannot_have_is_refused(tmp_path: Path) -> None:
    cells = Cells(tmp_path, peak)
    with pytest.raises(InputError, match="adapter.rank: not a whole number"):
        search(cells, sampler="tpe", space={"adapter.rank": {"low": 1, "high": 64}})
    with pytest.raises(InputError, match="training.warmup: out of range .*< 1"):
        search(cells, sampler="tpe", space={"training.warmup": {"low": 0, "high": 2, "step": 0.5}})


def test_choices_may_be_right_beside_others_alone(tmp_path: Path) -> None:
    """A step size is wrong for the base's objective, and right for the one that is searched."""
    space = {"objective.name": ["group-dro"], "objective.step_size": [0.1, 0.5]}
    cells = Cells(tmp_path, lambda s: s.objective.step_size)
    found = search(cells, FAIRLORA, space=space, sampler="random", trials=2)
    assert found.chosen == [{"objective.name": "group-dro", "objective.step_size": 0.5}]


def test_a_value_is_that_of_the_validation_rows() -> None:
    own = table(0.8, 0.1)
    assert validation_value(own, SearchObjective()) == pytest.approx(0.8)
    race = SearchObjective(metric="accuracy_gap", attribute="race")
    assert validation_value(own, race) == pytest.approx(0.1)
    worst = SearchObjective(metric="accuracy_worst", attribute="race")
    assert validation_value(own, worst) == pytest.approx(0.75)
    crossed = SearchObjective(metric="accuracy_gap", attribute="race&race2")
    both = Predictions(**{**vars(own), "groups": {**own.groups, "race2": own.groups["race"]}})
    assert validation_value(both, crossed) == pytest.approx(0.1)


def test_every_objective_has_a_value() -> None:
    from fairlora.study.spec.search import metric_names

    overall, disparities = metric_names()
    for metric in overall:
        assert validation_value(table(0.8), SearchObjective(metric=metric)) is not None, metric
    for metric in disparities:
        objective = SearchObjective(metric=metric, attribute="race")
        assert validation_value(table(0.8), objective) is not None, metric


def test_the_audits_settings_hold(tmp_path: Path) -> None:
    objective = SearchObjective(metric="accuracy_gap", attribute="race")
    assert validation_value(table(0.8), objective, AuditSettings(min_group=ROWS)) is None
    base = parse_spec({"audit": {"min_group": ROWS}})
    found = search(Cells(tmp_path, peak), base, space=RATES, objectives=[objective.model_dump()])
    assert {t.state for t in found.trials} == {"undefined"}
    assert found.chosen == []


def test_a_run_without_what_is_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="attribute: no such group column.*'age'.*race"):
        validation_value(table(0.8), SearchObjective(metric="eod", attribute="age"))
    tested = table(0.8).select("test")
    with pytest.raises(InputError, match="no rows of split 'validation'"):
        validation_value(tested, SearchObjective())


def test_a_finished_runs_own_folder_says_how_it_is_audited(finished: dict[str, Path]) -> None:
    folder = RunFolder(finished["lora-0"])
    rows = read_predictions(folder.predictions).select("validation")
    expected = float(np.mean(rows.labels == rows.predictions))
    assert validation_value(folder, SearchObjective()) == pytest.approx(expected)


def test_without_optuna_there_is_the_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    cells = Cells(tmp_path, peak)
    with pytest.raises(InputError, match=r"tpe: the package 'optuna' is.*fairlora\[search\]"):
        search(cells, space=RATES, sampler="tpe")
    assert search(cells, space=RATES).best == (3,)


def test_a_real_search_trains_and_goes_on(tmp_path: Path) -> None:
    from fairlora.study.runs.cell import run_cell
    from fairlora.study.runs.prepare import prepare

    base = parse_spec(
        {
            "data": {"target": "gender", "groups": ["skin_tone"], "renderers": ["noto"],
                     "train_rows": 32},
            "audit": {"positive": "male"},
            "training": {"max_steps": 2, "batch_size": 8},
            "adapter": {"rank": 2},
        }
    )  # fmt: skip

    def run(specs: Sequence[RunSpec]) -> list[RunFolder | None]:
        folders: list[RunFolder | None] = []
        for spec in specs:
            cell = prepare(spec)
            folder = RunFolder(tmp_path / cell.name)
            run_cell(cell, folder, resume=True)
            folders.append(folder)
        return folders

    spec = parse_search(
        {
            "sampler": "tpe",
            "space": {"training.learning_rate": [1e-5, 1e-2]},
            "objectives": ["mean_loss", {"metric": "accuracy_gap", "attribute": "skin_tone"}],
            "trials": 2,
        }
    )
    found = search_arm("LoRA", base, spec, run, tmp_path)
    assert [t.state for t in found.trials] == ["finished"] * 2
    assert found.chosen == [{"training.learning_rate": 1e-2}]
    assert search_arm("LoRA", base, spec, run, tmp_path) == found
