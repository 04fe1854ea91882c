"""What judging an attack found, and its views: dict, JSON, data frames, Markdown, LaTeX, page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlora.errors import InputError
from fairlora.privacy.page import privacy_page

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PrivacyResult:
    """What was found of one attack or of several. `to_dict` is all of it; the rest are views."""

    content: dict[str, Any]

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks' names, in the order given."""
        return tuple(self.content["attacks"])

    def attack(self, name: str | None = None) -> dict[str, Any]:
        """One attack's overall, by_group, gaps and resistance; the first without a name.

        Raises `InputError` for an attack that is not there.
        """
        chosen = self.attacks[0] if name is None else name
        if chosen not in self.content["attacks"]:
            raise InputError(
                "no such attack", where="attack", found=chosen, expected=", ".join(self.attacks)
            )
        return dict(self.content["attacks"][chosen])

    def overall(self, name: str | None = None) -> dict[str, Any]:
        """One attack's numbers over all rows."""
        return dict(self.attack(name)["overall"])

    def by_group(self, attribute: str, name: str | None = None) -> pd.DataFrame:
        """One row a group: sizes, AUC, balanced accuracy, TPR at each FPR, with their intervals."""
        import pandas as pd

        groups = self.attack(name)["by_group"]
        if attribute not in groups:
            raise InputError(
                "no such attribute",
                where="attribute",
                found=attribute,
                expected=", ".join(groups) or "groups to be given",
            )
        frame = pd.DataFrame.from_dict(
            {group: _flat(one) for group, one in groups[attribute].items()}, orient="index"
        )
        frame.index.name = attribute
        return frame

    @property
    def gaps(self) -> pd.DataFrame:
        """One row an attack, attribute and gap."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"attack": attack, "attribute": attribute, "gap": gap, **number}
                for attack, content in self.content["attacks"].items()
                for attribute, gaps in content["gaps"].items()
                for gap, number in gaps.items()
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """All that was found, as plain values."""
        return self.content

    def to_json(self) -> str:
        """`to_dict` as JSON; an undefined number is null with a reason beside it."""
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False, indent=1)

    def to_markdown(self, title: str = "Membership inference") -> str:
        """The tables in Markdown."""
        from fairlora.report.markdown import to_markdown

        return to_markdown(privacy_page(self.content, title))

    def to_latex(self, title: str = "Membership inference") -> str:
        """The tables in LaTeX (booktabs)."""
        from fairlora.report.latex import to_latex

        return to_latex(privacy_page(self.content, title))

    def show(self, title: str = "Membership inference") -> None:
        """Print the tables to the terminal."""
        from fairlora.report.terminal import print_page

        print_page(privacy_page(self.content, title))

    def to_html(self, path: str | Path, title: str = "Membership inference") -> None:
        """Write everything as one self-contained page."""
        from fairlora.report.html import write_html

        write_html(privacy_page(self.content, title), Path(path))


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {key: one[key] for key in ("n", "members", "non_members", "small")}
    numbers = {key: one[key] for key in one if key.startswith(("auc", "balanced"))}
    for kind in ("tpr_at_fpr", "tpr_at_global_threshold"):
        numbers |= {f"{kind}@{fpr}": point for fpr, point in one.get(kind, {}).items()}
    for key, number in numbers.items():
        row[key] = number["value"]
        row[f"{key}_low"], row[f"{key}_high"] = number["low"], number["high"]
    return row
