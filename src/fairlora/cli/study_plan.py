"""How `fairlora study plan` prints a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlora.study.runs.plan import StudyPlan


def print_plan(found: StudyPlan) -> None:
    """The cells as a table, what they cost, and what the study can find."""
    from rich.table import Table

    from fairlora.cli.common import make_console
    from fairlora.study.runs.cost import readable_size, readable_time

    console = make_console()
    table = Table(title=f"Study {found.name}", title_justify="left", box=None)
    several = {
        "data": len({r.data for r in found.rows}) > 1,
        "model": len({r.model for r in found.rows}) > 1,
    }
    for name in [n for n, shown in several.items() if shown]:
        table.add_column(name)
    table.add_column("method")
    for name in ("rank", "cells", "done", "failed", "trainable", "%", "time left", "disk"):
        table.add_column(name, justify="right")
    for row in found.rows[:60]:
        cells = [getattr(row, name) for name, shown in several.items() if shown]
        percent = "" if row.percent is None else f"{row.percent:.2f}"
        guess = "" if row.measured or row.seconds is None else "~"
        left = "" if row.done == row.cells else f"{guess}{readable_time(row.seconds)}"
        table.add_row(
            *cells,
            row.method,
            "" if row.rank is None else str(row.rank),
            str(row.cells),
            str(row.done),
            str(row.failed or ""),
            "" if row.trainable is None else f"{row.trainable:,}",
            percent,
            left,
            readable_size(row.bytes),
        )
    if found.rows:
        console.print(table)
    if len(found.rows) > 60:
        console.print(f"... and {len(found.rows) - 60} more rows (--json has all)")
    if found.cells:
        _print_cost(found, console)
    _print_power(found, console)
    for text in found.notes:
        console.print(f"Note: {text}")
    console.print(f"Folder: {found.folder}")


def _print_cost(found: StudyPlan, console: Any) -> None:
    from fairlora.study.runs.cost import readable_size, readable_time

    words = f"{found.cells} cells, {found.done} done"
    if found.trials:
        words += f", after {found.trials} runs of {found.searches} searches"
    if found.seconds is None:
        left = "how long they take is not known yet"
    else:
        left = f"about {readable_time(found.seconds)} left with {found.slots} at a time"
    console.print(
        f"\n{words}; {left}; {readable_size(found.bytes)} on disk. "
        "~ is from arithmetic, the rest from finished cells."
    )


def _print_power(found: StudyPlan, console: Any) -> None:
    from rich.table import Table

    from fairlora.metrics.labels import DISPARITY

    if not found.power:
        return
    table = Table(title="Smallest difference that can be found (80 % power)", box=None)
    table.title_justify = "left"
    table.add_column("data")
    table.add_column("groups")
    table.add_column("measure")
    for name in ("rows", "difference", "with any number of seeds"):
        table.add_column(name, justify="right")
    for row in found.power:
        table.add_row(
            str(row["data"]),
            f"{row['attribute']}: {', '.join(row['groups'])}" if row["attribute"] else "",
            DISPARITY.get(row["metric"], row["metric"]),
            f"{row['n']:,}",
            _points(row["detectable"]),
            _points(row["detectable_with_more_seeds"]),
        )
    console.print(table)
    assumed = found.power[0]["assumed"]
    console.print(
        f"Assumed: accuracy {assumed['accuracy']:g}, correlation of two methods' hits on a row "
        f"{assumed['correlation']:g}, standard deviation of the difference over seeds "
        f"{100 * assumed['seed_sd']:g} points; before correction for many tests.",
    )


def _points(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} points"
