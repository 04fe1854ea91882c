"""inspect_ai with its mock model: all kinds of scores, epochs, errors, runs that stop."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai import eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, Target, match, mean, scorer
from inspect_ai.solver import Generate, TaskState, generate, solver

RACES = ["black", "white", "asian"]


def samples(count: int) -> list[Sample]:
    return [
        Sample(
            id=f"q{k}" if k % 2 else k + 1,
            input=f"What is {k} + 1?",
            target=str(k + 1),
            metadata={
                "race": RACES[k % 3],
                "person": {"sex": "fm"[k % 2], "age": 20 + k},
                # Two spaces, and more than 1,024 characters: the summaries have neither.
                "town": "New  York" if k % 4 == 0 else "New York",
                "profile": {"dialect": "ab"[k % 2], "notes": "x" * 1100},
            },
        )
        for k in range(count)
    ]


def answers(count: int, epochs: int, wrong: int) -> list[ModelOutput]:
    """Right but for every so many; of the second epoch another one."""
    out = []
    for e in range(epochs):
        for k in range(count):
            text = str(k + 1 if (k + e) % wrong else "no idea")
            out.append(ModelOutput.from_content("mockllm/model", text))
            # Without it the mock model counts tokens, with a file that it downloads.
            out[-1].usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return out


@scorer(metrics=[mean()])
def graded():
    """All four letters."""

    async def score(state: TaskState, target: Target) -> Score:
        number = int(target.text)
        return Score(value="CIPN"[number % 4], answer=state.output.completion)

    return score


@scorer(metrics=[mean()])
def length():
    """A number, and nothing for every seventh sample."""

    async def score(state: TaskState, target: Target) -> Score:
        number = int(target.text)
        if number % 7 == 0:
            return Score.unscored(reason="refused to grade")
        return Score(value=0.25 * (number % 5))

    return score


@scorer(metrics={"polite": [mean()], "clear": [mean()]})
def rubric():
    """Two values at once."""

    async def score(state: TaskState, target: Target) -> Score:
        number = int(target.text)
        return Score(value={"polite": number % 2, "clear": 1 - number % 3 / 2})

    return score


@solver
def failing(every: int):
    """Raise for some samples."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if int(state.target.text) % every == 0:
            raise ValueError(f"no tool for sample {state.sample_id}")
        return await generate(state)

    return solve


@solver
def copying(target: str, at: int):
    """Copy the log as it is while the run goes on, then answer."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if int(state.target.text) == at:
            shutil.copy(next(Path("unfinished").glob("*.eval")), target)
        return await generate(state)

    return solve


@task
def arithmetic(count: int = 24, epochs: int = 2) -> Task:
    scorers = [match(), graded(), length(), rubric()]
    return Task(MemoryDataset(samples(count)), solver=generate(), scorer=scorers, epochs=epochs)


@task
def with_errors() -> Task:
    return Task(MemoryDataset(samples(12)), solver=failing(5), scorer=match())


@task
def watched(target: str) -> Task:
    return Task(MemoryDataset(samples(12)), solver=copying(target, 10), scorer=match())


def mock(count: int, epochs: int, wrong: int):
    return get_model("mockllm/model", custom_outputs=answers(count, epochs, wrong), memoize=False)


def main(out: Path) -> None:
    options = {"display": "none", "log_samples": True, "max_samples": 1, "max_tasks": 1}
    for name, wrong in (("first", 3), ("second", 4)):
        (log,) = run(arithmetic(), model=mock(24, 2, wrong), log_dir=name, **options)
        assert log.status == "success", str(log.error)[:300]
        shutil.copy(log.location, out / f"{name}.eval")
    (small,) = run(arithmetic(5, 1), model=mock(5, 1, 3), log_dir="small", **options)
    write_eval_log(small, str(out / "small.json"), format="json")
    (log,) = run(
        with_errors(), model=mock(12, 1, 3), log_dir="errors", fail_on_error=False, **options
    )
    shutil.copy(log.location, out / "sample_errors.eval")
    (log,) = run(
        with_errors(), model=mock(12, 1, 3), log_dir="failed", fail_on_error=True, **options
    )
    assert log.status == "error"
    shutil.copy(log.location, out / "failed.eval")
    target = str((out / "started.eval").resolve())
    run(watched(target), model=mock(12, 1, 3), log_dir="unfinished", log_buffer=3, **options)
    results = read_eval_log(str(out / "first.eval"), header_only=True)
    found = {
        score.name: {
            **{name: metric.value for name, metric in score.metrics.items()},
            "scored": score.scored_samples,
            "unscored": score.unscored_samples,
        }
        for score in results.results.scores
    }
    said = {"version": results.eval.packages["inspect_ai"], "results": found}
    (out / "results_first.json").write_text(json.dumps(said, indent=1) + "\n")


main(Path(sys.argv[1]))
