"""What judging an attack found, and its views: dict, JSON, data frames, Markdown, LaTeX, page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fairlora.errors import InputError
from fairlora.metrics.content import Number
from fairlora.privacy.charts import draw_roc
from fairlora.privacy.content import AttackContent, GroupNumbers, PrivacyContent, Shift
from fairlora.privacy.page import privacy_page
from fairlora.privacy.settings import percent
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class PrivacyResult(Result[PrivacyContent]):
    """What was found of one attack or of several, and its views."""

    title: ClassVar[str] = "Membership inference"

    def page(self, title: str) -> Page:
        """Return the attacks as a page."""
        return privacy_page(self.content, title)

    def with_shift(self, shift: Shift | None) -> PrivacyResult:
        """The same beside a test of the two sides' sources, which a page shows first."""
        if shift is None:
            return self
        return PrivacyResult(self.content.model_copy(update={"shift": shift}))

    def about(self) -> tuple[str, ...]:
        """Return the attacks' names."""
        return self.attacks

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks' names, in the order given."""
        return tuple(self.content.attacks)

    def attack(self, name: str | None = None) -> dict[str, Any]:
        """One attack's overall, by_group, gaps and resistance; the first without a name.

        Raises `InputError` for an attack that is not there.
        """
        return self._attack(name).to_dict()

    def overall(self, name: str | None = None) -> dict[str, Any]:
        """One attack's numbers over all rows."""
        return self._attack(name).overall.to_dict()

    def by_group(self, attribute: str, name: str | None = None) -> pd.DataFrame:
        """One row a group: sizes, AUC, balanced accuracy, TPR at each FPR, with their intervals."""
        import pandas as pd

        groups = self._groups(attribute, name)
        frame = pd.DataFrame.from_dict(
            {group: _flat(one) for group, one in groups.items()}, orient="index"
        )
        frame.index.name = attribute
        return frame

    def _attack(self, name: str | None) -> AttackContent:
        chosen = self.attacks[0] if name is None else name
        if chosen not in self.content.attacks:
            raise InputError(
                "no such attack", where="attack", found=chosen, expected=", ".join(self.attacks)
            )
        return self.content.attacks[chosen]

    def _groups(self, attribute: str, name: str | None) -> dict[str, GroupNumbers]:
        groups = self._attack(name).by_group
        if attribute not in groups:
            raise InputError(
                "no such attribute",
                where="attribute",
                found=attribute,
                expected=", ".join(groups) or "groups to be given",
            )
        return groups[attribute]

    @property
    def gaps(self) -> pd.DataFrame:
        """One row an attack, attribute and gap."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"attack": attack, "attribute": attribute, "gap": gap, **number.to_dict()}
                for attack, content in self.content.attacks.items()
                for attribute, gaps in content.gaps.items()
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
        level = percent(self.content.settings.level)
        if attribute is None:
            attacks = self.content.attacks if name is None else {name: self._attack(name)}
            curves = {attack: one.overall.curve for attack, one in attacks.items()}
            return draw_roc("ROC, all rows", curves, level, path)
        groups = self._groups(attribute, name)
        curves = {group: one.curve for group, one in groups.items() if not one.small}
        return draw_roc(f"ROC by {attribute}", curves, level, path)


def _flat(one: GroupNumbers) -> dict[str, Any]:
    row: dict[str, Any] = one.model_dump(include={"n", "members", "non_members", "small"})
    numbers = {name: number for name, number in one if isinstance(number, Number)}
    numbers |= {f"tpr_at_fpr@{fpr}": point for fpr, point in one.tpr_at_fpr.items()}
    for fpr, point in one.tpr_at_global_threshold.items():
        numbers[f"tpr_at_global_threshold@{fpr}"] = point
    for key, number in numbers.items():
        row[key] = number.value
        row[f"{key}_low"], row[f"{key}_high"] = number.low, number.high
    return row
