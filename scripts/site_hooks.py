"""mkdocs hooks: pages and files of the repository outside docs/ are parts of the site.

README.md is the first page. What a page links to outside docs/ lies below ``project/``: Markdown as
pages, anything else as it is. A link to nothing is left as it is, and mkdocs refuses it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
    "benchmarks/README.md",
)
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the repository, and what any page links to outside docs/."""
    wanted = list(PAGES)
    for path in [*(ROOT / "docs").rglob("*.md"), *(ROOT / page for page in PAGES)]:
        here = path.relative_to(ROOT).as_posix()
        for _, link, _ in _LINK.findall(path.read_text(encoding="utf-8")):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
            if not target.startswith("docs/") and (ROOT / target).is_file():
                wanted.append(target)
    for target in dict.fromkeys(wanted):
        files.append(File.generated(config, site(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    source = page.file.src_uri
    here = next((one for one in PAGES if site(one) == source), f"docs/{source}")
    if source.startswith("project/") and here not in PAGES:
        here = source.removeprefix("project/")

    def turned(match: re.Match[str]) -> str:
        opening, link, rest = match.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
        if not (ROOT / target).is_file():
            return match[0]
        return f"{opening}{posixpath.relpath(site(target), posixpath.dirname(source) or '.')}{rest}"

    return _LINK.sub(turned, markdown)


def site(target: str) -> str:
    """Where a file of the repository lies in the site."""
    if target == "README.md":
        return "index.md"
    return target.removeprefix("docs/") if target.startswith("docs/") else f"project/{target}"
