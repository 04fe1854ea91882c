"""lighteval with its dummy model: a task of choices on local rows, groups in `specific`."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.dummy.dummy_model import DummyModelConfig
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
from lighteval.tasks.registry import Registry

# Whichever task is asked for, all of the package are imported, and two of them download then.
Registry._load_from_files = staticmethod(lambda *_: {})
Registry._load_from_subdirs = staticmethod(lambda *_: {})

TASK = '''
"""Local rows with a group each."""

from lighteval.metrics.metrics import Metrics
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc


def prompt(line, task_name=None):
    return Doc(
        task_name=task_name,
        query=line["question"],
        choices=line["choices"],
        gold_index=line["answer"],
        specific={"race": line["race"], "age": line["age"]},
    )


TASKS_TABLE = [
    LightevalTaskConfig(
        name="local_choice",
        prompt_function=prompt,
        hf_repo="FOLDER",
        hf_subset="default",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        metrics=[Metrics.loglikelihood_acc, Metrics.mrr],
    )
]
'''


def main(out: Path) -> None:
    rows = Path("rows").resolve()
    rows.mkdir()
    with (rows / "test.jsonl").open("w") as file:
        for k in range(40):
            row = {
                "question": f"Where is number {k}?",
                "choices": ["home", "garden", "far away"],
                "answer": k % 3,
                "race": ["black", "white"][k % 2],
                "age": 20 + k % 7,
            }
            file.write(json.dumps(row) + "\n")
    task = Path("local_task.py").resolve()
    task.write_text(TASK.replace("FOLDER", str(rows)))
    for seed in (1, 2):
        tracker = EvaluationTracker(
            output_dir=str(Path(f"logs{seed}").resolve()), save_details=True
        )
        pipeline = Pipeline(
            tasks="local_choice|0",
            pipeline_parameters=PipelineParameters(
                launcher_type=ParallelismManager.NONE,
                custom_tasks_directory=str(task),
                bootstrap_iters=0,
            ),
            evaluation_tracker=tracker,
            model_config=DummyModelConfig(model_name=f"dummy{seed}", seed=seed),
        )
        pipeline.evaluate()
        pipeline.save_and_push_results()
        (details,) = Path(f"logs{seed}").rglob("details_*.parquet")
        print(details)
        shutil.copy(details, out / f"details_local_choice_model{seed}.parquet")
        (results,) = Path(f"logs{seed}").rglob("results_*.json")
        said = {
            "version": version("lighteval"),
            "results": json.loads(results.read_text())["results"],
        }
        (out / f"results_model{seed}.json").write_text(json.dumps(said, indent=1) + "\n")


main(Path(sys.argv[1]))
