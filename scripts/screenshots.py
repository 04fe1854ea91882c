"""Pictures of pages as browsers show them: on a wide screen, on a phone, in the dark, in print.

    pip install playwright
    python scripts/screenshots.py PAGE.html [...] --out FOLDER

Writes PAGE-1440.png, PAGE-390.png, PAGE-1440-dark.png (the first screen of each), and PAGE.pdf as
it is printed. It takes the Chromium that is installed, or the one of `playwright install`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Playwright, sync_playwright

_LOOKS: tuple[tuple[int, int, Literal["light", "dark"]], ...] = (
    (1440, 1100, "light"),
    (390, 844, "light"),
    (1440, 1100, "dark"),
)


def chromium(play: Playwright) -> Browser:
    """The Chromium that is installed, or playwright's own."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    return play.chromium.launch(executable_path=program, args=["--no-sandbox"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path())
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = chromium(play)
        for path in asked.pages:
            for width, height, scheme in _LOOKS:
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page.goto(path.resolve().as_uri())
                dark = "-dark" if scheme == "dark" else ""
                page.screenshot(path=asked.out / f"{path.stem}-{width}{dark}.png")
                page.close()
            page = browser.new_page()
            page.goto(path.resolve().as_uri())
            page.pdf(path=asked.out / f"{path.stem}.pdf", format="A4")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
