"""The result of a watch and its views."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fairlora.errors import InputError
from fairlora.metrics.watch.assemble import assemble_watch
from fairlora.metrics.watch.content import WatchContent
from fairlora.metrics.watch.page import watch_page
from fairlora.metrics.watch.store import read_store
from fairlora.report.page import Page
from fairlora.report.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class WatchResult(Result[WatchContent]):
    """What a watch shows: each group over time, with bounds and alarms."""

    title: ClassVar[str] = "Watch"

    def page(self, title: str) -> Page:
        """Return the watch as a page."""
        return watch_page(self.content, title)

    def about(self) -> list[str]:
        """Return the attributes."""
        return list(self.content.by_group)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the first group over time, that of the first alarm where there is one."""
        from fairlora.report import chart_figure

        charts = self.page("").get("charts", [])
        if not charts:
            raise InputError("nothing to draw yet", expected="a period after the baseline")
        return chart_figure(charts[0], path)


def watch_report(path: str | Path, *, level: float = 0.95, margin: float = 0.0) -> WatchResult:
    """What a store shows.

    Parameters
    ----------
    path : of the store.
    level : of all bounds together; all alarms together are false in 1 - level at most.
    margin : a change below this raises no alarm.

    Raises
    ------
    InputError : there is no store, or it cannot be read, or a number that is none.
    """
    for name, value, least in (("level", level, 0.5), ("margin", margin, 0.0)):
        if not least <= value < 1:
            raise InputError(
                "out of range", where=name, found=value, expected=f"from {least:g} to below 1"
            )
    store = read_store(Path(path))
    if store is None:
        raise InputError("no such store", where=path, expected="one that fairlora watch add made")
    return WatchResult(assemble_watch(store, level, margin))
