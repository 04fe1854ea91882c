"""`fairlora schema`: the JSON schema of a result as it is printed with --json."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.common import output_file, say, say_json


class _Kind(StrEnum):
    AUDIT = "audit"
    ATTACK = "attack"
    ATTACK_COMPARISON = "attack-comparison"
    COMPARISON = "comparison"
    DECISIONS = "decisions"
    GATE = "gate"
    SCORES = "scores"
    TARGETS = "targets"
    NUMERIC = "numeric"
    WATCH = "watch"


def schema(
    kind: Annotated[_Kind, typer.Argument(help="Whose result.")],
    out: Annotated[Path | None, typer.Option(help="Write it here instead of printing it.")] = None,
) -> None:
    """Print the JSON schema of a result: every key, its type, what it means, and when it is null.

    Example: `fairlora schema audit --out audit.schema.json`
    """
    from fairlora.metrics.comparison.content import ComparisonContent
    from fairlora.metrics.content import AuditContent, ScoreContent
    from fairlora.metrics.gate.content import GateContent
    from fairlora.metrics.numeric.content import NumericContent
    from fairlora.metrics.selection.content import SelectionContent
    from fairlora.metrics.targets_content import TargetsContent
    from fairlora.metrics.watch.content import WatchContent
    from fairlora.privacy.content import PairedPrivacyContent, PrivacyContent
    from fairlora.report.result import Record

    models: dict[str, type[Record]] = {
        "audit": AuditContent,
        "attack": PrivacyContent,
        "attack-comparison": PairedPrivacyContent,
        "comparison": ComparisonContent,
        "decisions": SelectionContent,
        "gate": GateContent,
        "scores": ScoreContent,
        "targets": TargetsContent,
        "numeric": NumericContent,
        "watch": WatchContent,
    }
    text = json.dumps(models[kind].model_json_schema(), indent=1)
    if out is None:
        say_json(text)
        return
    with output_file(out) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    say(f"Written: {out}")
