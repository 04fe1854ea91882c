"""Count lines of code by folder, without comments, docstrings and blank lines.

python scripts/code_lines.py                # as it is now
python scripts/code_lines.py 176c72ea34c4   # and at a commit, side by side
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "benchmarks", "scripts", "examples")
QUIET = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(text: str) -> int:
    """Lines of a Python file that hold code.

    >>> code_lines('"A docstring."\\n\\n# A comment.\\nx = (\\n    1\\n)\\n')
    3
    """
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            docstrings.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in QUIET:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def counted(commit: str | None) -> Counter[str]:
    """Lines of code by folder, in the working tree or at a commit."""
    found: Counter[str] = Counter()
    listed = git("ls-files") if commit is None else git("ls-tree", "-r", "--name-only", commit)
    for name in listed.splitlines():
        folder = name.split("/")[0]
        if folder not in FOLDERS or not name.endswith(".py"):
            continue
        if commit is None and not (ROOT / name).is_file():
            continue
        text = (
            (ROOT / name).read_text("utf-8") if commit is None else git("show", f"{commit}:{name}")
        )
        found[folder] += code_lines(text)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("commit", nargs="?", help="count there as well")
    commit = parser.parse_args().commit
    now = counted(None)
    before = counted(commit) if commit else None
    for folder in FOLDERS:
        then = "" if before is None else f"{before[folder]:>8,} -> "
        print(f"{folder:<12}{then}{now[folder]:>8,}")


if __name__ == "__main__":
    main()
