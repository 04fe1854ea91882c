"""Names of groups that mean something to a page, a shell, a spreadsheet or the audit itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import fairlora
from fairlora.errors import InputError
from fairlora.metrics import AuditResult, audit, audit_predictions
from fairlora.predictions import Predictions

HOSTILE = [
    "<script>alert(1)</script>",
    '"; drop',
    "ünïcode 日本",
    "a|b",
    "[red]x[/red]",
    "all",
    "n",
]


def test_hostile_names_come_through_and_do_no_harm(tmp_path: Path) -> None:
    rows = list(range(len(HOSTILE))) * 2
    result = audit(
        [k % 2 for k in rows],
        [k % 2 for k in rows],
        {"<b>g</b>": [HOSTILE[k] for k in rows]},
        positive=1,
        min_group=1,
    )
    assert set(json.loads(result.to_json())["by_group"]["<b>g</b>"]) == set(HOSTILE)
    page = tmp_path / "deep" / "audit.html"
    result.to_html(page, title="An <i>audit</i>")
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<i>audit" not in html
    assert "ünïcode 日本" in html
    text = result.to_markdown("The title")
    assert text.startswith("# The title")
    assert "ünïcode 日本" in text


