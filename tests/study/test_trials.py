"""Searches that are killed and go on: nothing is asked, run or chosen otherwise.

`Cells` stands for runs, as in test_search; here their accuracy is a smooth function of settings.
"""

from __future__ import annotations

import math
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.predictions import Predictions, write_predictions
from fairlora.study.runs import trials as search_record
from fairlora.study.runs.folder import RunFolder, cell_name, identity
from fairlora.study.runs.search import SearchResult, search_arm
from fairlora.study.runs.trials import Record, forget
from fairlora.study.spec.run import RunSpec
from fairlora.study.spec.search import parse_search

pytest.importorskip("optuna")

SPACE = {
    "training.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "adapter.rank": {"low": 1, "high": 64, "log": True, "int": True},
    "adapter.targets": [None, ["query"], ["query", "value"]],
}
ROWS = 1000


def hill(spec: RunSpec) -> float:
    """The highest at a rate of 1e-3 and rank 8, with the second of the targets."""
    away = (math.log10(spec.training.learning_rate) + 3) ** 2
    away += (math.log2(spec.adapter.rank) - 3) ** 2 / 4
    return 0.9 * math.exp(-away / 4) - (0.05 if spec.adapter.targets != ("query",) else 0)


class Killed(BaseException):
    """As sudden as a signal."""


class Cells:
    """Runs that leave predictions with an accuracy; `before` is called before each."""

    def __init__(self, root: Path, accuracy: Callable[[RunSpec], float | None] = hill) -> None:
        self.root, self.accuracy = root, accuracy
        self.before: Callable[[], None] = lambda: None
        self.calls: list[int] = []
        self.ran: list[RunSpec] = []

    def __call__(self, specs: Sequence[RunSpec]) -> list[RunFolder | None]:
        self.calls.append(len(specs))
        return [self.one(spec) for spec in specs]

    def one(self, spec: RunSpec) -> RunFolder | None:
        folder = RunFolder(self.root / cell_name(spec, identity(spec, "d", "m")))
        if folder.predictions.exists():
            return folder
        self.before()
        self.ran.append(spec)
        accuracy = self.accuracy(spec)
        if accuracy is None:
            return None
        folder.path.mkdir(parents=True, exist_ok=True)
        write_predictions(folder.predictions, table(accuracy))
        return folder


def table(accuracy: float) -> Predictions:
    """Validation rows alone, so many of them right."""
    right = np.arange(ROWS) < round(accuracy * ROWS)
    labels = np.arange(ROWS) % 2
    ones = np.ones(ROWS, dtype=np.float32)
    return Predictions(
        ids=np.arange(ROWS).astype(str),
        split=np.full(ROWS, "validation"),
        labels=labels,
        predictions=np.where(right, labels, 1 - labels),
        classes=("no", "yes"),
        probs=np.eye(2, dtype=np.float32)[np.where(right, labels, 1 - labels)],
        loss=ones,
        margin=ones,
    )


def search(cells: Cells, *, arm: str = "LoRA", inputs: str = "", **content: Any) -> SearchResult:
    base = content.pop("base", RunSpec())
    content = {"sampler": "tpe", "space": SPACE, "trials": 14, "batch": 3, **content}
    return search_arm(arm, base, parse_search(content), cells, cells.root, inputs=inputs)


@pytest.fixture(scope="module", autouse=True)
def unhurried() -> Iterator[None]:
    """No waiting for the disk: what is killed here is a function, not the machine."""
    import sqlalchemy

    def connected(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", connected)
    yield
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", connected)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchResult, Cells]:
    cells = Cells(tmp_path_factory.mktemp("undisturbed"))
    return search(cells), cells


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Cells, int], None]]:
    """Kills at the n-th of all moments: before and after a trial is asked or told, and in runs."""
    left = [0]

    def moment() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    def around(own: Callable[..., None]) -> Callable[..., None]:
        def called(self: Record, *arguments: Any) -> None:
            moment()
            own(self, *arguments)
            moment()

        return called

    for name in ("ask", "tell"):
        monkeypatch.setattr(Record, name, around(getattr(Record, name)))

    def arm(cells: Cells, moments: int) -> None:
        left[0] = moments
        cells.before = moment

    yield arm
    left[0] = 0


def test_batches_run_together_and_the_best_is_chosen(
    undisturbed: tuple[SearchResult, Cells],
) -> None:
    found, cells = undisturbed
    assert cells.calls == [3, 3, 3, 3, 2]
    assert len(cells.ran) == 14
    values = [t.values[0] for t in found.trials if t.values]
    assert found.best == (int(np.argmax(values)),)
    assert found.chosen == [found.trials[found.best[0]].params]
    assert max(values) > 0.6
    assert {type(t.params["adapter.rank"]) for t in found.trials} == {int}
    assert all(1e-5 <= t.params["training.learning_rate"] <= 1e-1 for t in found.trials)


def test_a_search_that_is_done_asks_and_runs_nothing(
    undisturbed: tuple[SearchResult, Cells], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, cells = undisturbed

    def refuse(*_: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(Record, "ask", refuse)
    calls = list(cells.calls)
    assert search(cells) == found
    assert cells.calls == calls


def test_the_sampler_learns_from_what_was_told(
    undisturbed: tuple[SearchResult, Cells], tmp_path: Path
) -> None:
    """Other values of the first batches lead to other proposals after Optuna's first ten."""
    found, _ = undisturbed
    other = search(Cells(tmp_path, lambda s: 1 - hill(s)))
    params = [[t.params for t in result.trials] for result in (found, other)]
    assert params[0][:12] == params[1][:12]
    assert params[0][12:] != params[1][12:]


def test_killed_at_every_moment_in_turn_it_ends_the_same(
    undisturbed: tuple[SearchResult, Cells], killer: Callable[[Cells, int], None], tmp_path: Path
) -> None:
    """Every start gets two moments further than the last."""
    found, whole = undisturbed
    cells, kills = Cells(tmp_path), 0
    while True:
        killer(cells, 2)
        try:
            again = search(cells)
            break
        except Killed:
            kills += 1
        assert kills < 200
    assert kills > 40
    assert again == found
    assert cells.ran == whole.ran


@pytest.mark.parametrize("moments", [1, 7, 8, 10, 16, 61])
def test_killed_once_it_ends_the_same(
    undisturbed: tuple[SearchResult, Cells],
    killer: Callable[[Cells, int], None],
    moments: int,
    tmp_path: Path,
) -> None:
    cells = Cells(tmp_path)
    killer(cells, moments)
    with pytest.raises(Killed):
        search(cells)
    killer(cells, 0)
    assert search(cells) == undisturbed[0]
    assert cells.ran == undisturbed[1].ran


@pytest.mark.parametrize("point", range(8))
def test_whatever_the_storage_was_doing_it_ends_the_same(
    undisturbed: tuple[SearchResult, Cells],
    point: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before the n-th statement that changes the database, wherever that is."""
    import sqlalchemy

    seen = [0]

    def about_to(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen[0] += statement.split()[0] in ("INSERT", "UPDATE")
        if seen[0] == 5 + 17 * point:
            raise Killed

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", about_to)
    cells = Cells(tmp_path)
    try:
        with pytest.raises(Killed):
            search(cells)
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", about_to)
    assert search(cells) == undisturbed[0]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_more_trials_go_on_as_if_they_had_been_asked_for_at_once(
    sampler: str, tmp_path: Path
) -> None:
    whole = search(Cells(tmp_path / "whole"), sampler=sampler, trials=14)
    cells = Cells(tmp_path / "parts")
    search(cells, sampler=sampler, trials=7)
    assert search(cells, sampler=sampler, trials=14) == whole
    assert search(cells, sampler=sampler, trials=3) == whole
    assert len(cells.ran) == 14


def test_a_random_search_runs_all_together_and_arms_differ(tmp_path: Path) -> None:
    cells = Cells(tmp_path)
    first = search(cells, sampler="random", trials=5)
    assert cells.calls == [5]
    second = search(cells, sampler="random", trials=5, arm="full")
    other = search(Cells(tmp_path / "seed"), sampler="random", trials=5, seed=1)
    params = [[t.params for t in result.trials] for result in (first, second, other)]
    assert params[0] != params[1]
    assert params[0] != params[2]


def test_all_of_a_small_space_is_tried_once(tmp_path: Path) -> None:
    cells = Cells(tmp_path, lambda s: s.adapter.rank / 100)
    space = {"adapter.rank": {"low": 1, "high": 13, "int": True}}
    for sampler in ("tpe", "random"):
        found = search(cells, arm=sampler, sampler=sampler, space=space, trials=50)
        assert sorted(t.params["adapter.rank"] for t in found.trials) == list(range(1, 14))
        assert found.chosen == [{"adapter.rank": 13}]
    assert len(cells.ran) == 13


def test_steps_and_choices_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
    space = {
        "training.warmup": {"low": 0, "high": 0.75, "step": 0.1},
        "training.flip": [True, False],
        "training.max_steps": [None, 5],
        "training.arguments": [{}, {"max_grad_norm": 0.5}],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = search(Cells(tmp_path, lambda _: 0.5), space=space, trials=20, batch=20)
    for trial in found.trials:
        assert trial.params["training.warmup"] in [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
        assert trial.params["training.flip"] in (True, False)
        assert isinstance(trial.params["training.flip"], bool)
        assert isinstance(trial.params["training.arguments"], dict)
    assert len({str(t.params) for t in found.trials}) == 20


def test_failures_are_remembered_and_forgotten_on_request(tmp_path: Path) -> None:
    broken = [True]

    def accuracy(spec: RunSpec) -> float | None:
        return None if broken[0] and spec.adapter.rank > 8 else hill(spec)

    cells = Cells(tmp_path, accuracy)
    first = search(cells, trials=8)
    failed = [t.number for t in first.trials if t.state == "failed"]
    assert 0 < len(failed) < 8
    broken[0] = False
    ran = len(cells.ran)
    assert search(cells, trials=8) == first
    assert len(cells.ran) == ran
    spec = parse_search({"sampler": "tpe", "space": SPACE})
    assert forget("LoRA", spec, tmp_path)
    assert not forget("LoRA", spec, tmp_path)
    again = search(cells, trials=8)
    # What had finished was found, and what had failed was run.
    assert len(cells.ran) == ran + len(failed)
    assert {t.state for t in again.trials} == {"finished"}


def test_where_everything_failed_the_next_call_begins_anew(tmp_path: Path) -> None:
    broken = [True]
    cells = Cells(tmp_path, lambda s: None if broken[0] else hill(s))
    assert search(cells, trials=4).chosen == []
    broken[0] = False
    found = search(cells, trials=4)
    assert {t.state for t in found.trials} == {"finished"}
    assert found == search(Cells(tmp_path / "other"), trials=4)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"space": {**SPACE, "adapter.targets": [None, ["query"]]}}, "other space"),
        ({"objectives": ["f1"]}, "other objectives"),
        ({"sampler": "random"}, "other sampler"),
        ({"seed": 1}, "other sampler"),
        ({"run_seeds": [1]}, "other run seeds"),
        ({"base": RunSpec.model_validate({"data": {"train_rows": 50}})}, "other run settings"),
        ({"inputs": "other data"}, "other data or weights"),
        ({"base": RunSpec.model_validate({"model": {"id": "other"}})}, "other data or weights"),
    ],
)
def test_trials_of_another_search_are_not_mixed_in(
    changed: dict[str, Any], found: str, tmp_path: Path
) -> None:
    cells = Cells(tmp_path, lambda _: 0.5)
    search(cells, trials=1)
    with pytest.raises(InputError, match=f"search of 'LoRA': .*{found}.*search.db") as caught:
        search(cells, trials=1, **changed)
    assert "\n" not in str(caught.value)
    assert len(cells.ran) == 1


def test_what_changes_no_trial_may_change(tmp_path: Path) -> None:
    cells = Cells(tmp_path)
    first = search(cells, trials=2)
    base = RunSpec.model_validate(
        {"name": "renamed", "seed": 0, "data": {"path": "/moved"},
         "training": {"learning_rate": 0.5, "report_to": ["wandb"]}}
    )  # fmt: skip
    space = dict(reversed(SPACE.items()))
    again = search(cells, trials=2, base=base, space=space, choose="front", batch=1)
    assert [t.params for t in again.trials] == [t.params for t in first.trials]
    assert len(cells.ran) == 2


def test_a_storage_of_ones_own_and_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    odd = tmp_path / "study #1 (50%) a?b"
    search(Cells(odd), trials=1)
    assert (odd / "search.db").is_file()
    assert not (odd / "elsewhere.db").exists()
    cells = Cells(tmp_path / "own")
    search(cells, trials=1, storage=f"sqlite:///{tmp_path}/elsewhere.db")
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (cells.root / "search.db").exists()


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////nowhere/at/all.db", "postgresql://me:secret@127.0.0.1:1/db"]
)
def test_a_storage_that_cannot_be_opened_is_named_without_its_password(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="search.storage: cannot open the record") as caught:
        search(Cells(tmp_path), storage=url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_record_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "search.db").write_text("my own notes, long enough to be no empty database\n" * 9)
    with pytest.raises(InputError, match=r"search\.db: cannot open the record"):
        search(Cells(tmp_path))
    assert (tmp_path / "search.db").read_text().startswith("my own notes")


def test_somebody_elses_trials_are_left_alone(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path}/search.db"
    study = optuna.create_study(study_name="LoRA", storage=url)
    study.tell(study.ask(), 1.0)
    with pytest.raises(InputError, match="search of 'LoRA': the storage has other trials"):
        search(Cells(tmp_path))
    assert len(study.trials) == 1


def test_one_process_at_a_time_searches_an_arm(tmp_path: Path) -> None:
    cells = Cells(tmp_path)
    inner: list[str] = []

    def meddle() -> None:
        cells.before = lambda: None
        with pytest.raises(InputError, match="another process is searching 'LoRA'"):
            search(Cells(tmp_path), trials=1)
        inner.append(search(Cells(tmp_path / "other"), trials=1, arm="full").arm)

    cells.before = meddle
    search(cells, trials=1)
    assert inner == ["full"]


def test_optuna_says_nothing_and_is_left_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    search(Cells(tmp_path), trials=2, batch=2)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    assert optuna.logging.get_verbosity() == before
    with sqlite3.connect(tmp_path / search_record.FILE) as database:
        names = [row[0] for row in database.execute("select study_name from studies")]
    assert names == ["LoRA"]
