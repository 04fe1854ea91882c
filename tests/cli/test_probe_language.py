"""`fairlora probe` of language models, and their `train` and `compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlora.data.tiny import write_tiny
from fairlora.models.tiny_language import write_tiny_language_model
from fairlora.study import RunFolder, parse_spec
from fairlora.study.runs.cell import run_cell
from fairlora.study.runs.prepare import prepare

Command = Callable[..., Any]
pytest.importorskip("sacrebleu")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished runs on a tiny WinoMT, their model, and data to ask about."""
    root = tmp_path_factory.mktemp("probed")
    model = write_tiny_language_model("meta-llama/Llama-2-7b-chat-hf", root / "llama")
    data = {"name": "winomt", **write_tiny("winomt", root / "winomt", rows=60)}
    write_tiny("plain-text", root / "texts")
    for name, adapter in (("base", {"kind": "base"}), ("lora", {"kind": "lora", "rank": 2}),
                          ("full", {"kind": "full"})):  # fmt: skip
        spec = {
            "name": "tiny",
            "data": data,
            "model": {"id": str(model), "max_length": 96},
            "adapter": adapter,
            "training": {"max_steps": 2, "learning_rate": 0.01, "batch_size": 4, "select": "last"},
        }
        (root / f"{name}.yaml").write_text(yaml.safe_dump(spec))
        run_cell(prepare(parse_spec(spec)), RunFolder(root / "runs" / name))
    return root


def runs(place: Path) -> list[str]:
    return [str(place / "runs" / name) for name in ("base", "lora", "full")]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("translation", ["--set", "max_new_tokens=4"]),
        ("cloze", ["--rows", "4", "--split", "train"]),
        ("choice", ["--rows", "2", "--set", "symbols=[letters]", "--set", "only=[author]"]),
        ("token-bias", ["--rows", "3", "--set", "symbols=[yes-no]"]),
    ],
)
def test_runs_are_asked_and_compared(
    fairlora: Command, place: Path, kind: str, options: list[str]
) -> None:
    done = fairlora("probe", kind, *runs(place), *options)
    assert done.code == 0, done.err
    assert "Is the first less fair than the second?" in done.out
    assert "LoRA rank 2" in done.out
    for run in runs(place):
        assert (Path(run) / "probes" / f"{kind}.json").is_file()
        assert (Path(run) / "probes" / f"{kind}.parquet").is_file()
    base = Path(runs(place)[0]) / "probes"
    assert (base / f"{kind}.html").is_file()
    assert any((base / "figures").glob("*.png"))
    again = fairlora("probe", kind, *runs(place), *options, "--json")
    assert "3 of 3 models were asked before" in again.err
    found = json.loads(again.out)
    assert set(found["models"]) == {"base", "LoRA rank 2", "full"}
    pairs = {(row["first_name"], row["second_name"]) for row in found["verdicts"]}
    assert pairs == {
        ("LoRA rank 2", "base"),
        ("full", "base"),
        ("LoRA rank 2", "full"),
    }


def test_any_model_is_asked_about_any_text(fairlora: Command, place: Path, tmp_path: Path) -> None:
    done = fairlora(
        "probe", "cloze", place / "llama", "--data", "plain-text",
        "--set", f"data.path={place / 'texts' / 'texts.csv'}", "--rows", "5",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["models"]["llama"][0]["texts"] == 5
    assert (tmp_path / "out" / "cloze.html").is_file()
    assert found["verdicts"] == []


def test_a_run_file_says_what_to_ask_about(fairlora: Command, place: Path, tmp_path: Path) -> None:
    done = fairlora(
        "probe", "translation", place / "llama", "--data", place / "lora.yaml",
        "--set", "max_new_tokens=2", "--out", tmp_path, "--chat", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["models"]["llama"][0]["rows"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cloze", "{llama}"], "--data: no data named"),
        (["cloze", "{llama}", "--data", "people-emoji"], "to be classified, not to be continued"),
        (["cloze", "{nowhere}", "--data", "{lora.yaml}"], "no such model folder"),
        (["cloze", "{runs/base}", "--set", "rowz=3"], "probe.rowz: unknown key"),
        (["cloze", "{runs/base}", "--split", "tset"], "probe.split"),
        (["cloze", "{runs/base}", "--set", "templates={nowhere}"], "no such file of templates"),
        (["choice", "{runs/base}", "--set", "symbols=[runes]"], "probe.symbols"),
        (["token-bias", "{runs/base}", "--rows", "1"], "probe.rows"),
        (["translation", "{llama}", "--data", "plain-text", "--set",
          "data.path={texts/texts.csv}"], "needs prompts with reference answers"),
        (["translation", "{runs/base}", "{runs/base}"], "two models of one name"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    fairlora: Command, place: Path, arguments: list[str], says: str
) -> None:
    import re

    filled = [re.sub(r"\{(.+?)\}", lambda m: str(place / m[1]), a) for a in arguments]
    done = fairlora("probe", *filled)
    assert done.code == 2
    (line,) = [x for x in done.err.splitlines() if x.startswith("fairlora:")]
    assert says in line
    assert "Traceback" not in done.err


def test_a_language_model_is_trained_from_a_file(
    fairlora: Command, place: Path, tmp_path: Path
) -> None:
    done = fairlora("train", place / "lora.yaml", "--out", tmp_path / "run",
                    "--set", "probes.cloze.rows=3")  # fmt: skip
    assert done.code == 0, done.err
    assert "Test loss" in done.out
    assert "Cloze: which word for the author?" in done.out
    assert (tmp_path / "run" / "report.html").is_file()


def test_runs_are_compared_by_loss_and_probes(
    fairlora: Command, place: Path, tmp_path: Path
) -> None:
    done = fairlora("compare", *runs(place), "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "Losses" in done.out
    assert (tmp_path / "page.html").is_file()


def test_a_language_run_predicts_no_classes(fairlora: Command, place: Path, tmp_path: Path) -> None:
    done = fairlora("predict", runs(place)[1], "--out", tmp_path / "p.parquet")
    assert done.code == 2
    assert "a language model, which classifies nothing" in done.err


def test_another_model_of_the_same_name_is_asked_itself(
    fairlora: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers lie in probes/NAME: a model elsewhere, or a chat, must not get those of another."""
    monkeypatch.chdir(tmp_path)
    write_tiny_language_model("meta-llama/Llama-2-7b-chat-hf", tmp_path / "new" / "llama", seed=9)
    about = ["--data", place / "lora.yaml", "--set", "symbols=[letters]", "--rows", "2"]

    def asked(model: Path, *more: str) -> tuple[str, Any]:
        done = fairlora("probe", "choice", model, *about, *more, "--json")
        assert done.code == 0, done.err
        return done.err, json.loads(done.out)["models"]["llama"][0]["sets"]

    _, first = asked(place / "llama")
    said, again = asked(place / "llama", "--set", "batch_size=2")
    assert again == first
    assert "1 of 1 models were asked before" in said
    for other in (asked(tmp_path / "new" / "llama"), asked(place / "llama", "--chat")):
        assert other[1] != first
        assert "asked before" not in other[0]


def test_templates_written_anew_are_asked_anew(
    fairlora: Command, place: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    found = []
    for word in ("nurse", "guard"):
        path.write_text(
            f"options: {{female: {word}, male: driver}}\n"
            "templates:\n  - {name: one, text: '{text} The {option}'}\n"
        )
        done = fairlora(
            "probe", "cloze", place / "llama", "--data", place / "lora.yaml", "--rows", "2",
            "--set", f"templates={path}", "--out", tmp_path / "out", "--json",
        )  # fmt: skip
        found.append(json.loads(done.out)["models"]["llama"][0]["readings"])
    assert found[0] != found[1]


def test_what_a_run_was_asked_when_it_was_made_is_kept(
    fairlora: Command, place: Path, tmp_path: Path
) -> None:
    spec = yaml.safe_load((place / "lora.yaml").read_text())
    spec["probes"] = {"translation": {"max_new_tokens": 3, "rows": 8}}
    runs = []
    for seed in (0, 1):
        folder = RunFolder(tmp_path / f"seed{seed}")
        run_cell(prepare(parse_spec({**spec, "seed": seed})), folder)
        runs.append(str(folder.path))
    kept = (Path(runs[1]) / "probes" / "translation.json").read_text()
    # Without options it is what the runs were asked, each about its own rows.
    done = fairlora("probe", "translation", *runs, "--json")
    assert done.code == 0, done.err
    assert "2 of 2 models were asked before" in done.err
    fewer = fairlora("probe", "translation", *runs, "--set", "max_new_tokens=2", "--json")
    assert "asked before" not in fewer.err
    assert (Path(runs[1]) / "probes" / "translation.json").read_text() == kept
    assert (Path(runs[1]) / "asked" / "translation.json").is_file()
