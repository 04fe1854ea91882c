"""The screenshots in docs/images, made anew: pages in a browser, and one screen of a terminal.

    pip install playwright
    python scripts/docs_images.py                    # runs the demo too: about six minutes
    python scripts/docs_images.py --demo runs/demo   # a finished demo

Needs a Chromium that is installed, or the one of `playwright install`. The audit and the comparison
are those of examples/diabetes_audit.py, the study is `fairlora demo`, and the terminal shows the
tutorial of auditors.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text
from screenshots import chromium

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_COLOURS = 128


def save(picture: bytes, name: str) -> None:
    """Write a screenshot with few colours, which text and lines have."""
    opened = Image.open(io.BytesIO(picture)).convert("RGB")
    opened.quantize(_COLOURS).save(IMAGES / f"{name}.png", optimize=True)
    print(f"docs/images/{name}.png  {opened.width} x {opened.height}")


def terminal(folder: Path) -> Path:
    """The auditor's tutorial in a terminal of 80 columns, as a page: its data and first command."""
    tutorial = (ROOT / "docs" / "tutorials" / "auditor.md").read_text(encoding="utf-8")
    made = re.findall(r"```python\n(.*?)```", tutorial, re.DOTALL)[0]
    subprocess.run([sys.executable, "-c", made], cwd=folder, check=True)
    command = re.findall(r"^fairlora audit .*", tutorial, re.MULTILINE)[0]
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", "FORCE_COLOR": "1"},
    )
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command.partition(' --positive')[0]} ...", style="bold"))
    console.print(Text.from_ansi(done.stdout))
    path = folder / "terminal.html"
    path.write_text(console.export_html(), encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, help="a finished demo's folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        example = ROOT / "examples" / "diabetes_audit.py"
        subprocess.run([sys.executable, example, folder], check=True, capture_output=True)
        shutil.copy(folder / "disparities.png", IMAGES)
        demo = asked.demo or folder / "demo"
        if asked.demo is None:
            subprocess.run(
                [sys.executable, "-m", "fairlora", "demo", "--out", str(demo)], check=True
            )
        audit, comparison = folder / "audit.html", folder / "comparison.html"
        shots: dict[str, tuple[Path, dict[str, Any]]] = {
            "page-audit": (audit, {"viewport": {"width": 1200, "height": 900}}),
            "page-audit-dark": (
                audit,
                {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
            ),
            "page-audit-phone": (audit, {"viewport": {"width": 390, "height": 844}}),
            "page-comparison": (comparison, {"viewport": {"width": 1200, "height": 900}}),
            "page-study": (
                demo / "report" / "index.html",
                {"viewport": {"width": 1200, "height": 900}},
            ),
            "terminal": (terminal(folder), {"viewport": {"width": 800, "height": 620}}),
        }
        with sync_playwright() as play:
            browser = chromium(play)
            for image, (path, look) in shots.items():
                page = browser.new_page(**look)
                page.goto(path.resolve().as_uri())
                save(page.screenshot(), image)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
