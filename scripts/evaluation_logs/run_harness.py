"""lm-evaluation-harness on a tiny random GPT-2: choices, filters, BBQ, discrim-eval."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import lm_eval
import lm_eval.tasks
import torch
from lm_eval.loggers import EvaluationTracker
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

INSTALLED = Path(lm_eval.tasks.__file__).parent


def tiny_model(folder: Path, seed: int) -> Path:
    """A GPT-2 of one layer over bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: k for k, letter in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_positions=512, n_embd=16, n_layer=1, n_head=2,
        bos_token_id=0, eos_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def rows(path: Path, examples: list[dict]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in examples))
    return str(path)


def choices() -> list[dict]:
    people = ["Ann", "Bo", "Chi", "Dee", "Eve"]
    return [
        {
            "question": f"Where is {people[k % 5]} number {k}?",
            "choices": ["at home", "in the garden", "far away"],
            "answer": k % 3,
            "person": {"race": ["black", "white", "asian"][k % 3], "sex": "fm"[k % 2]},
            "age": 20 + 3 * (k % 9),
        }
        for k in range(30)
    ]


def sums() -> list[dict]:
    # Every answer is one that the model gives to some of them: a letter, so that some are right.
    return [
        {"question": f"{k}?", "answer": "etaoin shrdlu"[k % 13].upper(), "dialect": "ab"[k % 2]}
        for k in range(40)
    ]


def bbq() -> list[dict]:
    """Rows in the shape of BBQ (Parrish et al. 2022), of two categories, names short or long.

    The tiny model prefers short answers, so that it names people as well as "Unknown".
    """
    out = []
    pairs = [
        ("Age", ["Al", "Old Albert"], ["Bo", "Young Bob"], "old", "nonOld", "forgets"),
        ("Religion", ["Avi", "Avi Cohen"], ["Jo", "Jo Smith"], "Jewish", "Christian", "steals"),
    ]
    for k in range(52):
        category, firsts, seconds, group, other, verb = pairs[k % 2]
        ambiguous, negative = k // 2 % 2 == 0, k // 4 % 2 == 0
        long_first, long_second = k // 8 % 4 in (1, 3), k // 8 % 4 in (2, 3)
        first, second = firsts[long_first], seconds[long_second]
        more = "" if ambiguous else f" {first} {verb}, {second} does not."
        unknown = ["Not known", "Can't be determined"][k // 32]
        out.append(
            {
                "example_id": k,
                "question_index": str(k // 4),
                "question_polarity": "neg" if negative else "nonneg",
                "context_condition": "ambig" if ambiguous else "disambig",
                "category": category,
                "answer_info": {
                    "ans0": [first, group],
                    "ans1": [second, other],
                    "ans2": ["unknown", "unknown"],
                },
                "additional_metadata": {"stereotyped_groups": [group], "subcategory": "None"},
                "context": f"I met {first} and {second}, number {k}.{more}",
                "question": f"Who {verb}?" if negative else f"Who never {verb}?",
                "ans0": first,
                "ans1": second,
                "ans2": unknown,
                "label": 2 if ambiguous else (0 if negative else 1),
            }
        )
    return out


def discrim() -> list[dict]:
    """Rows in the shape of discrim-eval (Tamkin et al. 2023): decisions x people."""
    return [
        {
            "filled_template": f"Decision {t}: the person is a {age}-year-old {race} {gender} "
            "person. Should the request be granted?",
            "decision_question_id": t,
            "age": age,
            "gender": gender,
            "race": race,
        }
        for t in range(6)
        for race in ("white", "Black", "Asian")
        for gender in ("male", "female")
        for age in (20, 60)
    ]


CHOICE = """
task: local_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
doc_to_choice: choices
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
metadata: {{version: 1.0}}
"""
FILTERS = """
task: local_filters
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{data}"}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
generation_kwargs: {{until: ["\\n"], max_gen_toks: 12, do_sample: false}}
metric_list: [{{metric: exact_match, ignore_case: true}}]
filter_list:
  - name: strict-match
    filter: [{{function: regex, regex_pattern: "^(.)"}}, {{function: take_first}}]
  - name: flexible-extract
    filter:
      - {{function: regex, group_select: -1, regex_pattern: "([A-Za-z])"}}
      - {{function: take_first}}
metadata: {{version: 1.0}}
"""


def installed_task(folder: Path, name: str, yaml: str, data: str) -> None:
    """A task of the package, of local rows: its own files, with another place of the data."""
    shutil.copytree(INSTALLED / name, folder / name, dirs_exist_ok=True)
    text = (folder / name / yaml).read_text()
    for other in (folder / name).glob("*.yaml"):
        other.unlink()
    ours = ("dataset_path", "dataset_name", "validation_split", "test_split", "task:")
    lines = [line for line in text.splitlines() if not line.startswith(ours)]
    head = [
        f"task: local_{name}",
        "dataset_path: json",
        f'dataset_kwargs: {{data_files: {{test: "{data}"}}}}',
        "test_split: test",
    ]
    (folder / name / f"local_{name}.yaml").write_text("\n".join([*head, *lines]) + "\n")


def main(out: Path) -> None:
    tasks = Path("tasks").resolve()
    tasks.mkdir()
    (tasks / "local_choice.yaml").write_text(
        CHOICE.format(data=rows(tasks / "choice.jsonl", choices()))
    )
    (tasks / "local_filters.yaml").write_text(
        FILTERS.format(data=rows(tasks / "sums.jsonl", sums()))
    )
    installed_task(tasks, "bbq", "bbq_multiple_choice.yaml", rows(tasks / "bbq.jsonl", bbq()))
    installed_task(
        tasks,
        "discrim_eval",
        "discrim_eval_explicit.yaml",
        rows(tasks / "discrim.jsonl", discrim()),
    )
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    names = ["local_choice", "local_filters", "local_bbq", "local_discrim_eval"]
    for seed in (0, 1):
        folder = tiny_model(Path(f"tiny{seed}").resolve(), seed)
        model = HFLM(pretrained=str(folder), device="cpu", batch_size=16)
        tracker = EvaluationTracker(output_path=str(Path(f"logs{seed}").resolve()))
        results = lm_eval.simple_evaluate(
            model=model, tasks=names if seed == 0 else names[:2], task_manager=manager,
            log_samples=True, evaluation_tracker=tracker, bootstrap_iters=0,
        )  # fmt: skip
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        for name in samples:
            tracker.save_results_samples(task_name=name, samples=samples[name])
        for path in Path(f"logs{seed}").rglob("samples_*.jsonl"):
            task = path.name.removeprefix("samples_").rsplit("_", 1)[0]
            shutil.copy(path, out / f"samples_{task}_model{seed}.jsonl")
        (out / f"results_model{seed}.json").write_text(
            json.dumps(
                {"results": results["results"], "version": lm_eval.__version__},
                indent=1,
                default=str,
            )
        )


main(Path(sys.argv[1]))
