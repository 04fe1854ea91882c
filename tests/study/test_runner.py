"""Running a study: only what is missing, whatever fails, whoever else is at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fairlora.errors import InputError
from fairlora.predictions import Predictions, score_logits, write_predictions
from fairlora.study.engines.jobs import Job, Report
from fairlora.study.report.results import results_of
from fairlora.study.runs import content, prepare
from fairlora.study.runs import runner as runner_module
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.plan import plan_study
from fairlora.study.runs.runner import StudyRunner, as_read, grouped_reasons, read_record
from fairlora.study.runs.status import list_store
from fairlora.study.spec.expand import expand
from fairlora.study.spec.run import parse_spec
from fairlora.study.spec.study import StudySpec, parse_study

STUDY: dict[str, Any] = {
    "name": "fake",
    "data": {"name": "people-emoji", "renderers": ["noto"]},
    "methods": ["lora", "full"],
    "seeds": 2,
}
METRICS = {
    "task": "language",
    "rows": {"train": 700, "validation": 80, "test": 200},
    "mean_loss": {"train": 0.1, "validation": 0.2, "test": 0.2},
    "split_accuracy": {},
    "parameters": {"trainable": 1, "total": 2, "total_as_stored": 2, "percent": 50.0},
    "notes": [],
}


class FakeEngine:
    """Finishes every cell at once, except those that `how` says otherwise of."""

    def __init__(
        self,
        how: Callable[[Job, int], str] = lambda job, call: "finished",
        score: Callable[[Job], float] | None = None,
    ) -> None:
        self.how, self.score, self.calls, self.jobs = how, score, 0, []
        self.slots = 1

    def run(self, jobs: Sequence[Job], ended: Callable[[Report], None]) -> list[Report]:
        reports = []
        for job in jobs:
            self.jobs.append(job.name)
            state = self.how(job, self.calls)
            if state == "finished":
                finish(job, None if self.score is None else self.score(job))
            report = Report(job.folder, state, "it broke" if state == "failed" else None)  # type: ignore[arg-type]
            ended(report)
            reports.append(report)
        self.calls += 1
        return reports


def finish(job: Job, accuracy: float | None = None) -> None:
    """A finished cell; with that accuracy on a hundred validation rows."""
    folder = RunFolder(Path(job.folder))
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write("environment.json", {"identity": job.identity, "format": content.CELL_VERSION})
    folder.write("metrics.json", METRICS)
    if accuracy is not None:
        folder.write("spec.yaml", job.spec)
        rows = np.arange(100)
        split = np.full(100, "validation")
        labels, hits = rows % 2, rows < round(100 * accuracy)
        chosen = np.where(hits, labels, 1 - labels)
        scores = score_logits(np.eye(2)[chosen], labels)
        table = Predictions(
            rows.astype(str),
            split,
            labels,
            scores.predictions,
            ("female", "male"),
            {},
            scores.probs,
            scores.loss,
            scores.margin,
        )
        write_predictions(folder.predictions, table)
    folder.write_status("finished", 60.0, identity=job.identity)


def study(**changes: Any) -> StudySpec:
    return parse_study({**STUDY, **changes})


def test_only_what_is_missing_is_run(tmp_path: Path) -> None:
    first, second = FakeEngine(), FakeEngine()
    outcome = StudyRunner(study(), tmp_path / "fake", first).run()
    assert (outcome.ran, outcome.kept, outcome.failed) == (4, 0, 0)
    again = StudyRunner(study(), tmp_path / "fake", second).run()
    assert (again.ran, again.kept, again.failed) == (0, 4, 0)
    assert second.jobs == []
    more = StudyRunner(study(seeds=3), tmp_path / "fake", second).run()
    assert (more.ran, more.kept) == (2, 4)


def test_seeds_come_one_after_the_other(tmp_path: Path) -> None:
    engine = FakeEngine()
    StudyRunner(study(), tmp_path, engine).run()
    assert ["seed0" in name for name in engine.jobs] == [True, True, False, False]


def test_a_failing_cell_stops_no_other_and_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    engine = FakeEngine(lambda job, call: "failed" if "full" in job.name else "finished")
    outcome = StudyRunner(study(), tmp_path, engine).run()
    assert (outcome.ran, outcome.failed) == (2, 2)
    assert set(outcome.reasons.values()) == {"it broke"}
    assert StudyRunner(study(), tmp_path, FakeEngine()).run().ran == 2


def test_a_cell_that_another_process_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "BUSY_SECONDS", 0.0)
    engine = FakeEngine(lambda job, call: "busy" if call < 3 and "full" in job.name else "finished")
    outcome = StudyRunner(study(), tmp_path, engine).run()
    assert (outcome.ran, outcome.failed) == (4, 0)
    assert engine.calls == 4


def test_cells_of_another_study_are_used_where_they_lie(tmp_path: Path) -> None:
    StudyRunner(study(), tmp_path / "fake", FakeEngine()).run()
    engine = FakeEngine()
    other = study(name="other", reuse=["fake"], methods=["lora", "linear"])
    outcome = StudyRunner(other, tmp_path / "other", engine).run()
    assert (outcome.ran, outcome.kept) == (2, 2)
    assert all("linear" in name for name in engine.jobs)


def test_the_record_says_what_the_study_was(tmp_path: Path) -> None:
    StudyRunner(study(), tmp_path, FakeEngine()).run()
    record = read_record(tmp_path)
    assert record is not None
    assert record["study"] == json.loads(json.dumps(as_read(study())))
    assert parse_study(record["study"]).model_dump() == study().model_dump()
    assert [arm["place"]["method"] for arm in record["arms"]] == ["LoRA", "full"]
    assert all((tmp_path / cell).is_dir() for arm in record["arms"] for cell in arm["cells"])


def test_a_study_with_ranks_is_read_again_from_its_record() -> None:
    study = parse_study(
        {
            "data": {"name": "people-emoji"},
            "methods": [{"adapter": "lora", "training": {"epochs": 1}}, "full"],
            "ranks": [2, 4],
        }
    )
    again = parse_study(json.loads(json.dumps(as_read(study))))
    arms = [expand(one) for one in (study, again)]
    assert [arm.name for arm in arms[0]] == [arm.name for arm in arms[1]]
    assert len(arms[0]) == 3


def test_bad_settings_are_found_before_a_cell_runs(tmp_path: Path) -> None:
    engine = FakeEngine()
    wrong = study(objective={"groups": "shoe_size"}, strengths=[0, 1])
    with pytest.raises(InputError, match="shoe_size"):
        StudyRunner(wrong, tmp_path / "x", engine).run()
    assert engine.jobs == []
    assert not (tmp_path / "x").exists()


def test_the_plan_tells_what_is_done_and_writes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "fake"
    before = plan_study(study(), root)
    assert (before.cells, before.done) == (4, 0)
    assert before.seconds is None  # neither counted nor measured
    assert not root.exists()
    engine = FakeEngine(lambda job, call: "finished" if "lora" in job.name else "failed")
    StudyRunner(study(), root, engine).run()
    files = sorted(root.rglob("*"))
    after = plan_study(study(seeds=4), root)
    assert [(r.method, r.cells, r.done) for r in after.rows] == [("LoRA", 4, 2), ("full", 4, 0)]
    assert after.rows[0].seconds == pytest.approx(120, rel=0.2)
    assert after.rows[0].measured
    assert sorted(root.rglob("*")) == files


def test_a_broken_cell_is_set_aside_and_made_again(tmp_path: Path) -> None:
    first = FakeEngine()
    StudyRunner(study(), tmp_path, first).run()
    broken = tmp_path / first.jobs[0] / "status.json"
    (tmp_path / first.jobs[1] / "status.json").unlink()
    broken.write_text('{"state": "fini')
    plan = plan_study(study(), tmp_path)
    assert [row.failed for row in plan.rows] == [1, 0]
    (note,) = plan.notes
    assert str(broken) in note
    again = FakeEngine()
    outcome = StudyRunner(study(), tmp_path, again).run()
    assert again.jobs == first.jobs[:2]
    assert (outcome.ran, outcome.kept, outcome.failed) == (2, 2, 0)
    aside = tmp_path / "set-aside" / f"{first.jobs[0]}.1"
    (note,) = outcome.notes
    assert "status.json: not readable" in note
    assert f"set aside as {aside}" in note
    assert (aside / "status.json").read_text() == '{"state": "fini'
    assert [s.state for s in list_store(tmp_path)] == ["done"] * 4
    broken.write_text("[]")
    assert StudyRunner(study(), tmp_path, FakeEngine()).run().ran == 1
    assert {path.name[-2:] for path in aside.parent.iterdir()} == {".1", ".2"}


def test_a_broken_cell_that_cannot_be_moved_is_a_failure_and_stops_no_other(
    tmp_path: Path,
) -> None:
    first = FakeEngine()
    StudyRunner(study(), tmp_path, first).run()
    (tmp_path / first.jobs[0] / "status.json").write_text("{")
    (tmp_path / "set-aside").write_text("in the way")
    outcome = StudyRunner(study(), tmp_path, FakeEngine()).run()
    assert (outcome.ran, outcome.kept) == (0, 3)
    assert "cannot be set aside" in outcome.reasons[first.jobs[0]]


def test_a_broken_cell_is_left_out_of_the_results(tmp_path: Path) -> None:
    outcome = StudyRunner(study(), tmp_path, FakeEngine()).run()
    name = outcome.cells[outcome.arms[0].name][0].name
    (tmp_path / name / "metrics.json").unlink()
    with pytest.raises(InputError, match="metrics.json is missing"):
        results_of(outcome.arms, outcome.cells)
    broken: dict[str, str] = {}
    found = results_of(outcome.arms, outcome.cells, broken)
    assert [arm.seeds for arm in found.arms] == ["1 of 2", "2"]
    assert list(broken) == [name]


def test_a_broken_cell_of_another_study_is_run_here_and_named(tmp_path: Path) -> None:
    first = FakeEngine()
    StudyRunner(study(), tmp_path / "fake", first).run()
    (tmp_path / "fake" / first.jobs[0] / "metrics.json").unlink()
    engine = FakeEngine()
    outcome = StudyRunner(study(name="other", reuse=["fake"]), tmp_path / "other", engine).run()
    assert engine.jobs == first.jobs[:1]
    (note,) = outcome.notes
    assert first.jobs[0] in note
    assert "is run in this study" in note


def test_cells_of_an_older_format_are_kept_and_run_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = FakeEngine()
    StudyRunner(study(), tmp_path, old).run()
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*.json")}
    monkeypatch.setattr(content, "CELL_VERSION", content.CELL_VERSION + 1)
    plan = plan_study(study(), tmp_path)
    assert plan.done == 0
    assert any(note.startswith("4 cells are of an older format") for note in plan.notes)
    new = FakeEngine()
    outcome = StudyRunner(study(), tmp_path, new).run()
    assert outcome.notes[0].startswith("4 cells are of an older format")
    assert len(new.jobs) == 4
    assert not set(new.jobs) & set(old.jobs)
    assert {path: path.read_bytes() for path in before} == before


def test_changed_data_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = FakeEngine()
    assert StudyRunner(study(), tmp_path, old).run().notes == []
    load = prepare.load_examples

    def changed(*asked: Any) -> Any:
        return replace(load(*asked), fingerprint="another")

    monkeypatch.setattr(prepare, "load_examples", changed)
    (note,) = plan_study(study(), tmp_path).notes
    assert note.startswith("the data or the weights are not those")
    new = FakeEngine()
    assert StudyRunner(study(), tmp_path, new).run().notes == [note]
    assert len(new.jobs) == 4
    assert all(RunFolder(tmp_path / name).is_finished() for name in old.jobs)


def test_a_search_tries_failed_trials_again_when_it_is_asked_to(tmp_path: Path) -> None:
    rates = [1e-4, 1e-3]
    searched = study(
        methods=["lora"], search={"sampler": "grid", "space": {"training.learning_rate": rates}}
    )

    def rate(job: Job) -> float:
        return float(parse_spec(yaml.safe_load(job.spec)).training.learning_rate)

    def chosen(outcome: Any) -> float:
        (found,) = outcome.searches.values()
        return float(found["chosen"][0]["training.learning_rate"])

    good = {1e-4: 0.7, 1e-3: 0.9}
    StudyRunner(searched, tmp_path, FakeEngine(lambda job, _: "failed")).run()
    first = FakeEngine(
        lambda job, _: "failed" if rate(job) == 1e-3 else "finished", lambda job: good[rate(job)]
    )
    outcome = StudyRunner(searched, tmp_path, first).run()
    assert chosen(outcome) == 1e-4
    calm = FakeEngine(score=lambda job: good[rate(job)])
    assert chosen(StudyRunner(searched, tmp_path, calm).run()) == 1e-4
    assert calm.jobs == []
    again = FakeEngine(score=lambda job: good[rate(job)])
    outcome = StudyRunner(searched, tmp_path, again, search_again=True).run()
    assert chosen(outcome) == 1e-3
    assert len(again.jobs) == len(set(again.jobs)) == 2  # the trial that failed, the other seed


def test_a_search_of_which_nothing_is_left_ends_with_the_trials_reason(tmp_path: Path) -> None:
    space = {"space": {"training.learning_rate": [1e-4, 1e-3]}}
    searched = study(search={"sampler": "grid", **space, "methods": {"LoRA": space}})
    outcome = StudyRunner(searched, tmp_path, FakeEngine(lambda job, _: "failed")).run()
    assert outcome.arms == []
    (cells, reason), *searches = grouped_reasons(outcome.reasons)
    assert (len(cells), reason) == (4, "it broke")
    assert [reason for _, reason in searches] == ["no trial of this search succeeded"]
    # One that found nothing takes its method from no other's.
    half = FakeEngine(
        lambda job, _: "failed" if "lora" in job.name else "finished", lambda job: 0.7
    )
    outcome = StudyRunner(searched, tmp_path / "half", half).run()
    assert [arm.method for arm in outcome.arms] == ["full"]
