"""What judging an attack found, and its views: dict, JSON, data frames, Markdown, LaTeX, page."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fairlora.errors import InputError
from fairlora.privacy.charts import draw_roc
from fairlora.privacy.page import privacy_page
from fairlora.privacy.settings import percent
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class PrivacyResult(Result):
    """What was found of one attack or of several (`to_dict`), and its views."""

    title: ClassVar[str] = "Membership inference"

    def page(self, title: str) -> Page:
        """Return the attacks as a page."""
        return privacy_page(self.content, title)

    def about(self) -> tuple[str, ...]:
        """Return the attacks' names."""
        return self.attacks

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
        return copy.deepcopy(self.content["attacks"][chosen])

    def overall(self, name: str | None = None) -> dict[str, Any]:
        """One attack's numbers over all rows."""
        return dict(self.attack(name)["overall"])

    def by_group(self, attribute: str, name: str | None = None) -> pd.DataFrame:
        """One row a group: sizes, AUC, balanced accuracy, TPR at each FPR, with their intervals."""
        import pandas as pd

        groups = self._groups(attribute, name)
        frame = pd.DataFrame.from_dict(
            {group: _flat(one) for group, one in groups.items()}, orient="index"
        )
        frame.index.name = attribute
        return frame

    def _groups(self, attribute: str, name: str | None) -> dict[str, Any]:
        groups = self.attack(name)["by_group"]
        if attribute not in groups:
            raise InputError(
                "no such attribute",
                where="attribute",
                found=attribute,
                expected=", ".join(groups) or "groups to be given",
            )
        return dict(groups[attribute])

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

    def plot(
        self,
        path: str | Path | None = None,
        attribute: str | None = None,
        name: str | None = None,
    ) -> Figure:
        """Draw the ROCs of all attacks over all rows, or of one attack by an attribute's groups.

        Parameters
        ----------
        path : a .png, .svg or .pdf file to write; None writes none.
        attribute : whose groups are drawn, but for small ones; None draws all rows.
        name : the attack; None is all of them, or the first where an attribute is given.

        Raises
        ------
        InputError : an unknown attack or attribute; nothing to draw; a file of another suffix.
        """
        level = percent(self.content["settings"]["level"])
        if attribute is None:
            attacks = self.content["attacks"] if name is None else {name: self.attack(name)}
            curves = {one: found["overall"]["curve"] for one, found in attacks.items()}
            return draw_roc("ROC, all rows", curves, level, path)
        groups = self._groups(attribute, name)
        curves = {group: one["curve"] for group, one in groups.items() if not one["small"]}
        return draw_roc(f"ROC by {attribute}", curves, level, path)


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {key: one[key] for key in ("n", "members", "non_members", "small")}
    numbers = {key: one[key] for key in one if key.startswith(("auc", "balanced"))}
    for kind in ("tpr_at_fpr", "tpr_at_global_threshold"):
        numbers |= {f"{kind}@{fpr}": point for fpr, point in one.get(kind, {}).items()}
    for key, number in numbers.items():
        row[key] = number["value"]
        row[f"{key}_low"], row[f"{key}_high"] = number["low"], number["high"]
    return row
