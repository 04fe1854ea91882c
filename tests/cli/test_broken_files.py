"""Every command on broken files: an exit code of 0, 1 or 2, one line, and no traceback."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Command = Callable[..., Any]
NOISE = np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8).tobytes()


def _parquet(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata) if metadata else table, out)
    return out.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return out.getvalue()


TABLE = {"id": ["a", "b"], "label": [0, 1], "pred": [0, 0], "sex": ["f", "m"]}
WHOLE = _parquet(TABLE)
FILES: dict[str, bytes] = {
    "empty": b"",
    "spaces": b" \n \n",
    "noise": NOISE,
    "nul.csv": b"label,pred,sex\n0,\0,f\n",
    "header.csv": b"label,pred,sex\n",
    "ragged.csv": b"label,pred,sex\n0,1\n0,1,f,g,h\n",
    "latin.csv": "label,pred,sex\n0,1,\xe9\n".encode("latin-1"),
    "long.csv": b"label,pred,sex\n" + b"9" * 5000 + b",1,f\n",
    "quote.csv": b'label,pred,sex\n0,1,"f\n0,1,m\n',
    "deep.json": b"[" * 400 + b"]" * 400,
    "list.json": b"[1, 2, 3]",
    "word.json": b'"label"',
    "half.json": b'{"label": [0, 1], "pred": [0',
    "nan.json": b'{"label": NaN}',
    "huge.json": b'{"label": ' + b"1" * 5000 + b"}",
    "lines.jsonl": b'{"label": 0, "pred": 1, "sex": "f"}\n{"label": \n',
    "cut.parquet": WHOLE[:-20],
    "end.parquet": WHOLE[:4] + NOISE + WHOLE[-40:],
    "maps.parquet": _parquet({"label": [{"a": 1}], "pred": [[1, 2]], "sex": [b"\xff"]}),
    "meta.parquet": _parquet(TABLE, {"fairlora": '{"version": [], "classes": 7}'}),
    "half-meta.parquet": _parquet(TABLE, {"fairlora": '{"version"'}),
    "cut.zip": _zip("rows.csv", b"label,pred,sex\n0,1,f\n" * 50)[:-30],
    "nothing.zip": _zip("picture.png", NOISE),
    "cut.gz": b"\x1f\x8b\x08\x00" + NOISE[:50],
    "self.yaml": b"a: &a\n  b: *a\n",
    "levels.yaml": b"[" * 400 + b"]" * 400,
    "date.yaml": b"name: 2026-99-99\n",
    "digits.yaml": b"name: " + b"9" * 5000 + b"\n",
    "tab.yaml": b"name:\n\t- a\n",
    "list.yaml": b"- name: a\n",
}
COLUMNS = ("--label", "label", "--pred", "pred", "--group", "sex", "--bootstrap", "0")
# FILE is the broken file, GOOD a table, MODEL a folder with the broken file as each of its parts.
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("audit", "FILE", *COLUMNS),
    "its own names": ("audit", "FILE"),
    "score": ("audit", "FILE", "--score", "label", "--group", "sex"),
    "numeric": ("audit", "FILE", "--numeric", *COLUMNS[:6]),
    "against": ("audit", "GOOD", *COLUMNS, "--against", "FILE", "--id", "id"),
    "join": ("audit", "GOOD", *COLUMNS[:4], "--group", "sex", "--join", "FILE", "--on", "id"),
    "counts": ("audit", "FILE", "--count", "label", "--selected", "pred", "--group", "sex"),
    "thresholds": ("thresholds", "FILE", "--label", "label", "--probs", "p", "--group", "sex"),
    "apply": ("audit", "GOOD", *COLUMNS, "--thresholds", "FILE"),
    "scores": ("attack", "--scores", "FILE", "--score", "label", "--group", "sex"),
    "run": ("train", "FILE", "--out", "OUT"),
    "plan": ("study", "plan", "FILE"),
    "study": ("study", "run", "FILE", "--out", "OUT"),
    "compare": ("compare", "MODEL"),
    "target": ("attack", "MODEL"),
    "status": ("study", "status", "MODEL"),
    "predict": ("predict", "MODEL", "--out", "OUT"),
    "settings": ("probe", "token-bias", "MODEL"),
}
PARTS = (
    "config.json", "adapter_config.json", "fairlora.json", "status.json", "metrics.json",
    "environment.json", "study.json", "spec.yaml",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_file_is_one_line(command: str, fairlora: Command, tmp_path: Path) -> None:
    (tmp_path / "good.parquet").write_bytes(WHOLE)
    wrong = {}
    of_models = "MODEL" in COMMANDS[command]
    for name, content in FILES.items():
        if of_models and not name.endswith(("json", "yaml", "noise", "empty")):
            continue  # no part of a model's folder is a table
        file, folder = tmp_path / name, tmp_path / f"{name}-folder"
        file.write_bytes(content)
        folder.mkdir()
        words = {
            "FILE": file, "GOOD": tmp_path / "good.parquet", "MODEL": folder,
            "OUT": tmp_path / "out" / name,
        }  # fmt: skip
        broken = PARTS if of_models else ("",)
        for part in broken:
            if part:
                for other in folder.iterdir():
                    other.unlink()
                (folder / part).write_bytes(content)
            try:
                done = fairlora(*(words.get(word, word) for word in COMMANDS[command]))
            except BaseException as error:
                wrong[f"{name} {part}"] = f"{type(error).__name__}: {error}"[:160]
                continue
            if done.code not in (0, 1, 2) or "Traceback" in done.err + done.out:
                wrong[f"{name} {part}"] = f"exit code {done.code}"
            elif done.code and not done.err.strip():
                wrong[f"{name} {part}"] = "no word"
    assert wrong == {}


def test_the_files_are_broken_and_the_good_one_is_good(fairlora: Command, tmp_path: Path) -> None:
    (tmp_path / "good.parquet").write_bytes(WHOLE)
    done = fairlora("audit", tmp_path / "good.parquet", *COLUMNS, "--json")
    assert done.code == 0
    assert json.loads(done.out)["n"] == 2
