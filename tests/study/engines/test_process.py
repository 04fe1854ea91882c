"""What an engine hears of a worker process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlora.study.engines.process import WorkerProcess

TOLD = (
    "import os, sys",
    "os.write(1, b'one\\ntwo\\nthr')",  # as it comes where two cells end at once
    "sys.stdin.readline()",
    "os.write(1, b'ee\\n' + b'x' * 100_000 + b'\\ntorn')",
)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerProcess]:
    (tmp_path / "told.py").write_text("\n".join(TOLD))
    made = WorkerProcess({"PYTHONPATH": str(tmp_path)}, tmp_path / "log", "told")
    yield made
    made.close(0.0)


def test_replies_that_come_together_are_heard_one_by_one(worker: WorkerProcess) -> None:
    heard: list[str | None] = []

    def hear() -> None:
        heard.extend(worker.reply() for _ in range(2))
        worker.order({})
        heard.extend(worker.reply() for _ in range(3))

    listener = threading.Thread(target=hear, daemon=True)
    listener.start()
    listener.join(30)
    assert heard == ["one", "two", "three", "x" * 100_000, None]
