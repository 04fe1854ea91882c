"""What other versions wrote and fairlora reads, and the other way: docs/compatibility.md.

    python scripts/compatibility.py > docs/compatibility.md
    python scripts/compatibility.py --work compat     # keeps environments and models, and resumes

An environment is made for each row of ``VERSIONS``, and the libraries there, without fairlora,
write small models, adapters and data sets with their own answers. fairlora reads each, and writes
its own for the libraries of each version to read. A logit may differ by 1e-4. About 10 minutes on
two cores; 4 GB in the folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fairlora.data import Examples, load_examples
from fairlora.data.opening import open_image
from fairlora.errors import InputError
from fairlora.models import (
    Adapter,
    attach,
    load_classifier,
    load_finetuned,
    load_language,
    save_finetuned,
)
from fairlora.models.source import quiet_libraries
from fairlora.training.datasets import inputs_of_rows, logits_of

LIBRARY = Path(__file__).with_name("compatibility_library.py")
TOLERANCE = 1e-4
LIBRARIES = ("transformers", "peft", "datasets")
# What each environment has; numpy as these versions of datasets and transformers want it.
VERSIONS: tuple[dict[str, str], ...] = (
    {"transformers": "4.40.2", "peft": "0.10.0", "datasets": "2.19.2", "accelerate": "0.29.3",
     "numpy": "1.26.4", "pyarrow": "16.1.0"},
    {"transformers": "4.53.3", "peft": "0.15.2", "datasets": "3.6.0", "accelerate": "1.8.1",
     "numpy": "2.2.6"},
    {"transformers": "5.0.0", "peft": "0.18.1", "datasets": "4.5.0", "accelerate": "1.12.0",
     "numpy": "2.2.6"},
)  # fmt: skip
TODAY = {name: metadata.version(name) for name in LIBRARIES}
# What fairlora writes for others to read: methods whose files are PEFT's or transformers' own.
WRITTEN: dict[str, dict[str, Any]] = {
    "full": {"kind": "full"},
    "lora": {"kind": "lora", "rank": 2},
    "rslora": {"kind": "rslora", "rank": 2},
    "dora": {"kind": "dora", "rank": 2},
    "adalora": {
        "kind": "adalora", "rank": 2, "fields": {"total_step": 20, "tinit": 2, "tfinal": 2}
    },
    "ia3": {"kind": "ia3"},
    "vera": {"kind": "vera", "rank": 2},
    "loha": {"kind": "loha", "rank": 2},
    "oft": {"kind": "oft", "fields": {"oft_block_size": 4}},
    "boft": {"kind": "boft"},
}  # fmt: skip
TEXTS = ["the cat sat", "a dog ran far away today", "owl", "not the mat", "far far far cat"]
WORDS = ["the", "cat", "sat", "a", "dog", "ran", "far", "away", "today", "owl", "not", "mat", "on"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="keep everything here; default: a temp folder")
    chosen = parser.parse_args()
    if chosen.work is not None:
        print(page(chosen.work.resolve()))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(page(Path(folder)))


def page(work: Path) -> str:
    """Run the whole matrix; the page."""
    inputs = write_inputs(work / "inputs")
    pythons = [environment(work / "env", one) for one in VERSIONS]
    pythons.append(Path(sys.executable))
    versions = [*VERSIONS, TODAY]
    read_models: list[dict[str, str]] = []
    read_data: list[dict[str, str]] = []
    written: list[dict[str, str]] = []
    for python, version in zip(pythons, versions, strict=True):
        folder = work / "written" / f"transformers-{version['transformers']}"
        if not (folder / "data" / "expected.json").is_file():
            say(f"transformers {version['transformers']} writes")
            run(python, "write", inputs, folder)
        say(f"fairlora reads what transformers {version['transformers']} wrote")
        read_models.append(models_read(folder, inputs))
        read_data.append(data_read(folder / "data"))
    # The bases are those of the oldest version: as on the hub, all of them can read these.
    tasks, expected = write_own(work, inputs)
    for python, version in zip(pythons, versions, strict=True):
        say(f"transformers {version['transformers']} reads what fairlora wrote")
        run(python, "read", inputs, tasks)
        found = json.loads(tasks.with_suffix(".answers.json").read_text())
        written.append({name: judged(found[name], logits) for name, logits in expected.items()})
    return render(versions, read_models, read_data, written)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write_inputs(folder: Path) -> Path:
    """Pictures, texts and words that every version is asked about."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for k in range(6):
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((40, 36), Image.Resampling.BICUBIC)
        picture.save(folder / "pictures" / f"{k}.png")
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    (folder / "words.json").write_text(json.dumps(WORDS))
    return folder


def environment(folder: Path, versions: dict[str, str]) -> Path:
    """An environment with these versions, made where there is none; its Python."""
    place = folder / f"transformers-{versions['transformers']}"
    python = place / "bin" / "python"
    if not (place / "ready").is_file():
        say(f"an environment with transformers {versions['transformers']} is made")
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = [f"{name}=={version}" for name, version in versions.items()]
        torch_version = torch.__version__.split("+")[0]
        subprocess.run([*pip, f"torch=={torch_version}", "pillow", *wanted], check=True)
        (place / "ready").touch()
    return python


def run(python: Path, command: str, inputs: Path, target: Path) -> None:
    done = subprocess.run(
        [str(python), str(LIBRARY), command, str(inputs), str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr[-2000:]}")


def models_read(folder: Path, inputs: Path) -> dict[str, str]:
    """What fairlora makes of each model and adapter that an environment wrote."""
    found = {}
    for name, said in json.loads((folder / "expected.json").read_text()).items():
        if "logits" not in said:
            found[name] = f"error {said['error']}"
            continue
        try:
            logits, translated = own_answers(Path(said["folder"]), said["kind"], inputs)
        except InputError as error:
            found[name] = f"refused {error}"
            continue
        verdict = judged({"logits": logits}, said["logits"])
        found[name] = "translated" if verdict == "exact" and translated else verdict
    return found


def own_answers(folder: Path, kind: str, inputs: Path) -> tuple[list[Any], bool]:
    """fairlora's logits, and whether it had to translate names or settings."""
    if kind == "language":
        language = load_language(str(folder))
        return language_answers(language.model, language.tokenizer), was_translated(language)
    classifier = load_finetuned(str(folder))
    return classifier_answers(classifier, classifier.model, inputs), was_translated(classifier)


def was_translated(loaded: Any) -> bool:
    return bool(loaded.record.renamed or loaded.record.translated)


def classifier_answers(classifier: Any, model: Any, inputs: Path) -> list[Any]:
    images = classifier.kind == "image"
    rows: list[Any] = sorted((inputs / "pictures").iterdir()) if images else TEXTS
    examples = Examples(
        name="inputs",
        ids=np.array([str(k) for k in range(len(rows))], dtype=object),
        images=rows if images else None,
        texts=None if images else rows,
        labels=np.zeros(len(rows), dtype=np.int64),
        classes=classifier.classes,
        groups={},
        fingerprint="inputs",
    )
    classifier.model = model.eval()
    answers: list[Any] = logits_of(classifier, inputs_of_rows(classifier, examples)).tolist()
    return answers


def language_answers(model: Any, tokenizer: Any) -> list[Any]:
    found = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            found.append(model.eval()(input_ids=ids).logits[0, -3:].tolist())
    return found


def judged(found: dict[str, Any], expected: list[Any]) -> str:
    """exact, "off by" or the error."""
    if "error" in found:
        return f"error {found['error']}"
    off = 0.0
    for one, two in zip(found["logits"], expected, strict=True):
        if np.shape(one) != np.shape(two):
            return f"error other shapes: {np.shape(one)} for {np.shape(two)}"
        off = max(off, float(np.abs(np.subtract(one, two)).max()))
    return "exact" if off <= TOLERANCE else f"off {off:.2g}"


def data_read(folder: Path) -> dict[str, str]:
    """What fairlora reads of a data set: labels, groups of each type and pixels, or texts."""
    said = json.loads((folder / "expected.json").read_text())
    groups = ["region", "age", "about"]
    names = {
        "`save_to_disk`, split by split": {"path": "splits"},
        "`save_to_disk`, one": {"path": "one"},
        "`to_parquet`": {"path": "rows.parquet"},
        "`to_json`": {"path": "rows.jsonl", "input": "text"},
    }
    found = {}
    for name, options in names.items():
        options = {**options, "path": str(folder / options["path"]), "groups": groups}
        try:
            with quiet_libraries():
                examples = load_examples("hf-dataset", options)
        except InputError as error:
            found[name] = f"refused {error}"
            continue
        wrong = []
        count = len(said["label"])
        copies = len(examples) // count
        # JSON has the numbers of a class label, and nothing says what they are called.
        plain = name == "`to_json`"
        classes, region = ("neg", "neu", "pos"), ("south", "north")
        label = [str(classes.index(one)) if plain else one for one in said["label"]]
        where = [str(region.index(one)) if plain else one for one in said["region"]]
        if [examples.classes[k] for k in examples.labels] != label * copies:
            wrong.append("labels")
        if examples.groups["region"].tolist() != where * copies:
            wrong.append("region")
        if examples.groups["age"].tolist() != [one or "(missing)" for one in said["age"]] * copies:
            wrong.append("age")
        if examples.groups["about"].tolist() != said["about"] * copies:
            wrong.append("about")
        if examples.images is not None:
            pixels = [
                hashlib.sha256(open_image(picture, name="").tobytes()).hexdigest()
                for picture in examples.images
            ]
            if pixels != said["pixels"] * copies:
                wrong.append("pixels")
        found[name] = "exact" if not wrong else f"off {', '.join(wrong)}"
    return found


def write_own(work: Path, inputs: Path) -> tuple[Path, dict[str, list[Any]]]:
    """Models and adapters by fairlora; the file that names them, and their logits."""
    bases = work / "written" / f"transformers-{VERSIONS[0]['transformers']}"
    tasks: dict[str, Any] = {}
    expected: dict[str, list[Any]] = {}
    for row, said in json.loads((bases / "expected.json").read_text()).items():
        name, method = row.split("/")
        if method != "full":
            continue
        base = Path(said["folder"]).parent / "base"
        for own, settings in WRITTEN.items():
            key = f"{name}/{own}"
            place = work / "own" / base.parent.name / own
            adapter = Adapter(**settings)
            try:
                if said["kind"] == "language":
                    loaded: Any = load_language(str(base))
                    model = attach(loaded.model, adapter, (), seed=1, task="language")
                else:
                    loaded = load_classifier(str(base), ["neg", "neu", "pos"], kind=said["kind"])
                    model = attach(loaded.model, adapter, loaded.head, seed=1)
                draw(model)
                folder = save_finetuned(loaded, model, adapter, place)
            except InputError as error:
                say(f"fairlora does not write {key}: {error}")
                continue
            tasks[key] = {
                "kind": said["kind"],
                "folder": str(folder),
                "base": None if adapter.kind == "full" else str(base),
            }
            expected[key] = (
                language_answers(model, loaded.tokenizer)
                if said["kind"] == "language"
                else classifier_answers(loaded, model, inputs)
            )
    path = work / "own" / "tasks.json"
    path.write_text(json.dumps(tasks))
    return path, expected


def draw(model: Any) -> None:
    """Weights as training could have left them."""
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data.add_(0.1 * torch.randn(weight.shape, generator=generator))


HEAD = """# Files of other versions

`python scripts/compatibility.py > docs/compatibility.md` made this page: in an environment of each
version the libraries alone, without fairlora, wrote small models, adapters and data sets and their
own answers to {pictures} pictures or {texts} texts; fairlora read each. Then fairlora wrote, and
each version read. Two answers are the same where no logit differs by more than {tolerance:g}.

| word | what it says |
|---|---|
| exact | read as it is; same answers |
| translated | what has another name or meaning today is read as its writer meant it; same answers |
| refused | one line, no answers: the note says which |
| other | other answers, by how much a logit differs at most |
| – | that version cannot write it, or cannot read it: the note says why |
"""


class Notes:
    """Reasons, numbered as they come up."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def cell(self, verdict: str) -> str:
        kind, _, why = verdict.partition(" ")
        word = {"error": "–", "off": "other"}.get(kind, kind)
        if kind == "off" and why[:1].isdigit():
            return f"**other** ({why})"
        if not why:
            return word
        number = self.numbers.setdefault(reason(why), len(self.numbers) + 1)
        return f"{word} ({number})"

    def lines(self) -> list[str]:
        return [f"{number}. {why}" for why, number in self.numbers.items()]


def reason(why: str) -> str:
    """A message without the folder, the module and the set of names that it is about."""
    if why.startswith("/"):
        why = why.partition(": ")[2]
    why = why.partition(" (found")[0].partition(" (expected")[0]
    why = re.sub(r"\{.*?\}|<class '[\w.]*?(\w+)'>", lambda m: m[1] or "…", why)
    first = re.split(r"\.? (?=Please |Model type |This might )|: Auto", why)[0]
    return first.strip().rstrip(".").replace("|", "or")


def render(
    versions: list[dict[str, str]],
    read_models: list[dict[str, str]],
    read_data: list[dict[str, str]],
    written: list[dict[str, str]],
) -> str:
    head = HEAD.format(pictures=6, texts=len(TEXTS), tolerance=TOLERANCE)
    lines = [head, "## What fairlora reads\n"]
    notes = Notes()
    for version, found in zip(versions, read_models, strict=True):
        lines += [f"### Written by {named(version)}\n", *table(found, notes), ""]
    lines += [*notes.lines(), "", "### Data sets\n"]
    lines.append("| datasets | " + " | ".join(read_data[0]) + " |")
    lines.append("|---" * (len(read_data[0]) + 1) + "|")
    notes = Notes()
    for version, found in zip(versions, read_data, strict=True):
        cells = [notes.cell(verdict) for verdict in found.values()]
        lines.append(f"| {version['datasets']} | " + " | ".join(cells) + " |")
    lines += ["", *notes.lines()]
    lines.append(
        "Labels and groups of class labels, words, lists and nothing, and the pixels of pictures. "
        "JSON lines hold neither pictures nor the names of class labels.\n"
    )
    lines += [
        "## What fairlora writes\n",
        "Loaded as that version's own documentation says: `from_pretrained` of an auto class, and "
        "`PeftModel` for an adapter. Bases are files that transformers "
        f"{VERSIONS[0]['transformers']} wrote. Of CLIP fairlora classifies by the projected image "
        "embedding, as CLIP itself does, and transformers' own classifier by the mean of the "
        "patches: these runs are read by fairlora alone. **other** comes without a word from the "
        "libraries. What `save_merged` writes is a full model.\n",
    ]
    notes = Notes()
    for version, found in zip(versions, written, strict=True):
        lines += [f"### Read by {named(version)}\n", *table(found, notes), ""]
    lines += [*notes.lines(), ""]
    return "\n".join(lines).rstrip()


def named(version: dict[str, str]) -> str:
    return " and ".join(f"{name} {version[name]}" for name in ("transformers", "peft"))


def table(found: dict[str, str], notes: Notes) -> list[str]:
    """Architectures by methods."""
    names = list(dict.fromkeys(key.split("/")[0] for key in found))
    methods = list(dict.fromkeys(key.split("/")[1] for key in found))
    lines = ["| model | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for name in names:
        cells = [notes.cell(found.get(f"{name}/{method}", "")) for method in methods]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
