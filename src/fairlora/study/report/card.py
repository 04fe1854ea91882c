"""A finished run's model card: whom it fails, beside its weights, in the hub's format.

What stands in the card's head is read by machines: huggingface_hub writes it, and reads it back
before the card is given out. Folders of this machine are in no card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

import fairlora
from fairlora.errors import InputError
from fairlora.report.markdown import escape, table_markdown
from fairlora.report.page import Page, clean_page
from fairlora.study.report.causal_lm import is_language
from fairlora.study.report.measures import Run
from fairlora.study.report.summary import run_page

# Of a run's page: by attribute, what is known of each group.
_METRICS = ("accuracy", "f1")
# An organisation's name and a model's, as the hub has them.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def model_card(run: Run) -> str:
    """The card of a finished run as text: metadata in YAML, then Markdown.

    Raises `InputError` where huggingface_hub does not read back what was written.
    """
    page = clean_page(run_page(run))
    data = _metadata(run)
    body = _without_folders(run, "\n\n".join(_blocks(run, page)) + "\n")
    text = f"---\n{data.to_yaml()}\n---\n\n{body}"
    try:
        read = ModelCard(text)
        known = read.data.to_dict()
    except (ValueError, yaml.YAMLError) as error:
        raise InputError("the hub would not read this card", found=error) from error
    if known != data.to_dict():
        raise InputError("the hub would read this card otherwise", where=run.folder.path)
    return text


def _without_folders(run: Run, text: str) -> str:
    """The text with names in place of this machine's folders, which notes may name."""
    options = run.spec.data.options
    named = [run.spec.model.id, options.get("path"), options.get("root"), run.folder.path]
    folders = {str(part) for part in named if part and Path(str(part)).is_absolute()}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(escape(folder), escape(Path(folder).name))
    return text


def weights_folder(run: Run) -> Path:
    """Where a run's weights lie, which the card belongs to: ``adapter`` or ``model``."""
    for name in ("adapter", "model"):
        if (run.folder.path / name).is_dir():
            return run.folder.path / name
    raise InputError("this run has no weights", where=run.folder.path)


def push(run: Run, repository: str, *, private: bool = True) -> str:
    """Upload a run's weights with its card to the hub; returns the address.

    Parameters
    ----------
    repository : "owner/name"; made if it is not there.
    private : whether a new repository is seen by its owner alone.

    Raises
    ------
    InputError : no such name, or the hub refuses, which its message says.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if _HUB_ID.fullmatch(repository) is None:
        raise InputError(
            "not a repository", where="--push", found=repr(repository), expected="owner/name"
        )
    folder, card = weights_folder(run), model_card(run)
    hub = HfApi(library_name="fairlora", library_version=fairlora.__version__)
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        # The folder's own README is PEFT's template: the card takes its place.
        hub.upload_folder(repo_id=repository, folder_path=folder, ignore_patterns=["README.md"])
        hub.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repository)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise InputError(
            "the hub does not take this run",
            where=f"--push {repository}",
            found=str(error).strip().split("\n")[0][:200] or type(error).__name__,
            expected="a token that may write there ('hf auth login')",
        ) from error
    return f"https://huggingface.co/{repository}"


def _task(run: Run) -> str:
    if is_language(run):
        return "text-generation"
    kind = str(run.metrics.get("loaded", {}).get("kind") or _kind(run))
    return f"{kind}-classification"


def _kind(run: Run) -> str:
    card = weights_folder(run) / "fairlora.json"
    known = yaml.safe_load(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return str(known.get("kind", "image"))


def _metadata(run: Run) -> ModelCardData:
    spec = run.spec
    adapter = (run.folder.path / "adapter").is_dir()
    data = spec.data.options.get("id") or spec.data.options.get("dataset")
    base = spec.model.id if _HUB_ID.fullmatch(spec.model.id) else None
    return ModelCardData(
        base_model=base,
        library_name="peft" if adapter else "transformers",
        pipeline_tag=_task(run),
        datasets=[data] if isinstance(data, str) and _HUB_ID.fullmatch(data) else None,
        metrics=None if is_language(run) else list(_METRICS),
        tags=["fairlora", *(["lora"] if spec.adapter.kind == "lora" else [])],
        model_name=None if is_language(run) else _plain(spec.name),
        eval_results=None if is_language(run) else list(_results(run)),
    )


def _results(run: Run) -> Iterator[EvalResult]:
    """Overall, and each group with its size: what the hub shows beside the model."""
    audit = run.audit

    def result(metric: str, value: float, name: str, **arguments: Any) -> EvalResult:
        return EvalResult(
            task_type=_task(run),
            dataset_type=_plain(run.spec.data.name),
            dataset_name=_plain(run.spec.data.name),
            dataset_split="test",
            metric_type=metric,
            metric_name=name,
            metric_value=round(value, 4),
            metric_args=arguments or None,
        )

    for metric in _METRICS:
        found = audit["overall"].get(metric)
        if found is not None and found["value"] is not None:
            yield result(metric, found["value"], metric)
    for attribute, groups in audit["by_group"].items():
        for group, numbers in groups.items():
            found = numbers.get("accuracy")
            if found is None or found["value"] is None or numbers.get("missing"):
                continue
            name = f"accuracy, {_plain(attribute)} {_plain(group)}"
            interval = {"low": round(found["low"], 4), "high": round(found["high"], 4)}
            yield result("accuracy", found["value"], name, rows=numbers["n"], **interval)


def _plain(text: object) -> str:
    """Text on one line, as YAML and the hub take it."""
    return " ".join(str(text).split()) or "unnamed"


def _blocks(run: Run, page: Page) -> Iterator[str]:
    yield f"# {escape(page['title'])}"
    yield (
        "Whom this model fails, by how much, and what the data cannot tell: the audit of its test "
        f"rows by fairlora {fairlora.__version__}."
    )
    findings = page.get("findings", [])
    if findings:
        yield "## Findings"
        lines = [
            " ".join([escape(f["text"]), escape(f.get("size", "")), f"**{escape(f['verdict'])}**"])
            for f in findings
        ]
        yield "\n".join(f"{k}. {line}" for k, line in enumerate(lines, 1))
    for table in page.get("tables", []):
        yield from table_markdown(table, "##")
    limits = [*page.get("limits", []), *page.get("notes", [])]
    if limits:
        yield "## What this does not show"
        yield "\n".join(f"- {escape(note)}" for note in dict.fromkeys(limits))
    yield "## Training"
    facts = [fact for fact in page.get("facts", []) if fact["name"] != "Model"]
    yield "\n".join(f"- **{escape(fact['name'])}:** {escape(fact['value'])}" for fact in facts)
    yield f"```yaml\n{_settings(run)}```"
    yield "## Use"
    yield f"```bash\n{_use(run)}\n```"


def _settings(run: Run) -> str:
    """The run's settings without folders of this machine."""
    settings = run.spec.model_dump(mode="json", exclude_defaults=True)
    data = settings.get("data", {})
    for key in ("path", "root"):
        data.pop(key, None)
    if "model" in settings and _HUB_ID.fullmatch(run.spec.model.id) is None:
        settings["model"]["id"] = Path(run.spec.model.id).name
    text = yaml.safe_dump(_without_paths(settings), sort_keys=False, allow_unicode=True)
    return text.replace("```", "'''")  # nothing ends the block but its end


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "\\")) or value[1:3] == ":\\"):
        return Path(value.replace("\\", "/")).name
    return value


def _use(run: Run) -> str:
    return (
        "pip install 'fairlora[train]'\n"
        "fairlora predict FOLDER --data data.yaml --out predictions.parquet  # the files beside\n"
        "fairlora audit predictions.parquet --group COLUMN --out audit.html"
    )
