"""Draw the rooms and who needs whom, from the imports: the drawing in ARCHITECTURE.md.

    python scripts/architecture.py            # prints the drawing, as Mermaid
    python scripts/architecture.py --write    # puts it into ARCHITECTURE.md

An arrow is drawn where no longer way leads to the same room.
"""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fairlora"
PAGE = ROOT / "ARCHITECTURE.md"
BLOCK = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def needs() -> dict[str, set[str]]:
    """Room -> the rooms that its files import, inside functions too."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room.startswith("__"):
            continue
        below = found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fairlora."):
                below.add(str(node.module).split(".")[1])
        below.discard(room)
    return found


def shortest(found: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The arrows that no longer way stands for."""

    def reached(room: str) -> set[str]:
        return found[room].union(*(reached(below) for below in found[room]))

    return [
        (room, below)
        for room in sorted(found)
        for below in sorted(found[room])
        if not any(below in reached(other) for other in found[room] - {below})
    ]


def drawing() -> str:
    """The rooms as a Mermaid flowchart, each with how many files it has."""
    found = needs()
    lines = ["flowchart TD"]
    for room in sorted(found):
        folder = SOURCE / room
        files = sum(1 for _ in folder.rglob("*.py")) if folder.is_dir() else 1
        lines.append(f'    {room}["{room} ({files} file{"" if files == 1 else "s"})"]')
    lines += [f"    {room} --> {below}" for room, below in shortest(found)]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the drawing as it is now."""
    return BLOCK.sub(f"```mermaid\n{drawing()}\n```", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into ARCHITECTURE.md")
    if parser.parse_args().write:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(drawing())


if __name__ == "__main__":
    main()
