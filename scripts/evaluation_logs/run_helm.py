"""HELM with its simple model: two trials of a choice task, lower case as a perturbation."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from helm.benchmark.adaptation.common_adapter_specs import get_multiple_choice_joint_adapter_spec
from helm.benchmark.augmentations.data_augmenter import DataAugmenterSpec
from helm.benchmark.augmentations.lowercase_perturbation import LowerCasePerturbation
from helm.benchmark.augmentations.perturbation import PerturbationSpec
from helm.benchmark.metrics.common_metric_specs import get_exact_match_metric_specs
from helm.benchmark.presentation.run_display import write_run_display_json
from helm.benchmark.presentation.schema import get_default_schema_path, read_schema
from helm.benchmark.run import main as helm_run
from helm.benchmark.run_spec import RunSpec, run_spec_function
from helm.benchmark.scenarios.scenario import (
    CORRECT_TAG,
    TEST_SPLIT,
    TRAIN_SPLIT,
    Input,
    Instance,
    Output,
    Reference,
    Scenario,
    ScenarioSpec,
)


class LocalScenario(Scenario):
    """Numbers that are even or odd, each asked by somebody."""

    name = "local"
    description = "Is a number even?"
    tags = ("question answering",)

    def get_instances(self, output_path: str) -> list[Instance]:
        out = []
        for k in range(10, 26):
            references = [
                Reference(Output(text=name), tags=[CORRECT_TAG] if k % 2 == even else [])
                for even, name in ((0, "Even"), (1, "Odd"))
            ]
            out.append(
                Instance(
                    input=Input(text=f"Is {k} even or odd?"),
                    references=references,
                    split=TRAIN_SPLIT if k <= 15 else TEST_SPLIT,
                    sub_split=["north", "south", "south"][k % 3],
                    extra_data={"asker": {"race": ["black", "white"][k // 2 % 2]}, "age": 20 + k},
                )
            )
        return out


@run_spec_function("local")
def local() -> RunSpec:
    adapter = get_multiple_choice_joint_adapter_spec(
        instructions="Answer with a letter.", input_noun="Question", output_noun="Answer",
        num_outputs=1, max_train_instances=2,
    )  # fmt: skip
    lower = PerturbationSpec(f"{LowerCasePerturbation.__module__}.LowerCasePerturbation")
    return RunSpec(
        name="local",
        scenario_spec=ScenarioSpec(class_name=f"{__name__}.LocalScenario"),
        adapter_spec=adapter,
        metric_specs=get_exact_match_metric_specs(),
        data_augmenter_spec=DataAugmenterSpec(
            perturbation_specs=[lower], should_augment_eval_instances=True,
            should_include_original_eval=True, should_skip_unchanged_eval=True,
            should_include_original_train=True,
        ),
        groups=["local"],
    )  # fmt: skip


def run(out: Path) -> None:
    sys.argv = [
        "helm-run", "--run-entries", "local:model=simple/model1", "--suite", "v1",
        "--max-eval-instances", "100", "--num-train-trials", "2", "--num-threads", "1",
        "--output-path", "benchmark_output",
    ]  # fmt: skip
    helm_run()
    (folder,) = Path("benchmark_output/runs/v1").glob("local*")
    schema = read_schema(get_default_schema_path())
    write_run_display_json(str(folder), local(), schema, skip_completed=False)
    for name in ("per_instance_stats.json", "instances.json"):
        shutil.copy(folder / name, out / name)
    # A run that was not summarised has its instances here alone.
    state = out / "unsummarised" / "scenario_state.json"
    state.parent.mkdir()
    shutil.copy(folder / "scenario_state.json", state)
    (out / "version.txt").write_text(version("crfm-helm") + "\n")


if __name__ == "__main__":
    # The scenario is made by the name of its class, so this module has to have a name.
    sys.modules["run_helm"] = sys.modules["__main__"]
    __name__ = "run_helm"
    run(Path(sys.argv[1]))
