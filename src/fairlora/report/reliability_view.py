"""What a reliability diagram shows: the bins that hold rows, means over them, words, its table."""

from __future__ import annotations

from typing import NamedTuple

from fairlora.report.dots_view import finite, number_text
from fairlora.report.page import Cell, Reliability, ReliabilityBin, ReliabilityPanel, Row, Table

# Tops of the histogram's axis: the first that no bar exceeds.
_TOPS = (0.02, 0.04, 0.06, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)

BAR = "Bar: the accuracy of a bin"
GAP = "Gap between accuracy and mean confidence"
DIAGONAL = "Accuracy equals confidence"
MEAN_ACCURACY = "Accuracy over all bins"
MEAN_CONFIDENCE = "Mean confidence over all bins"

# More bins than this are drawn with thinner lines.
MANY_BINS = 20


class BinView(NamedTuple):
    """A bin that holds rows: its ends, its share of the panel's rows, and what is known of it."""

    low: float
    high: float
    share: float
    confidence: float | None
    accuracy: float | None
    interval: tuple[float, float] | None

    @property
    def middle(self) -> float:
        """The middle of the bin."""
        return (self.low + self.high) / 2


class PanelView(NamedTuple):
    """The bins of a panel that hold rows, and the means over their rows."""

    bins: list[BinView]
    confidence: float | None
    accuracy: float | None


class MeanLabel(NamedTuple):
    """A mean's line in the histogram: what it says, where, and to which side of the line."""

    text: str
    value: float
    is_accuracy: bool
    leftwards: bool


def interval_name(chart: Reliability) -> str:
    """Return what the whiskers of `chart` are, with their level where the chart says it.

    >>> interval_name({"title": "", "confidence": "", "panels": [], "level": 0.8})
    '80% interval'
    """
    return f"{100 * chart['level']:g}% interval" if "level" in chart else "interval"


def whisker_text(chart: Reliability) -> str:
    """Return the legend's words for the whiskers of `chart`."""
    name = interval_name(chart)
    return f"{name[0].upper()}{name[1:]} of the accuracy"


def panel_view(panel: ReliabilityPanel) -> PanelView:
    """Return what a drawing of `panel` needs. Bins without rows are left out."""
    filled = [one for one in panel["bins"] if one["rows"] > 0]
    rows = sum(one["rows"] for one in filled)
    return PanelView(
        [_bin_view(one, rows) for one in filled],
        _mean([(_share(one["confidence"]), one["rows"]) for one in filled]),
        _mean([(_share(one["accuracy"]), one["rows"]) for one in filled]),
    )


def histogram_top(chart: Reliability) -> float:
    """Return the upper end of the histograms' axis, one for all panels so that they compare."""
    shares = [one.share for panel in chart["panels"] for one in panel_view(panel).bins]
    most = max(shares, default=1.0)
    return next(top for top in _TOPS if most <= top * (1 + 1e-9))


def mean_labels(view: PanelView) -> list[MeanLabel]:
    """Return the labels of the lines in the histogram, the one that stands above first.

    Labels that reach to the left of their lines have the rightmost line above, and the other way
    round, so that no line runs through the other's label.
    """
    labels = [
        MeanLabel(f"{name} {number_text(value, 'share')}", value, name == "accuracy", value > 0.5)
        for name, value in (("accuracy", view.accuracy), ("mean confidence", view.confidence))
        if value is not None
    ]
    leftwards = any(label.leftwards for label in labels)
    return sorted(labels, key=lambda label: label.value, reverse=leftwards)


def panel_facts(panel: ReliabilityPanel, means: bool = True) -> list[str]:
    """Return the lines that stand with a panel: its rows, its means if wanted, its summary."""
    view = panel_view(panel)
    facts = [f"n = {panel['n']:,}"]
    if means and view.bins:
        facts[0] += (
            f"; accuracy {number_text(view.accuracy, 'share')}, "
            f"mean confidence {number_text(view.confidence, 'share')}"
        )
    if panel.get("summary"):
        facts.append(panel["summary"])
    return facts


def bin_text(one: ReliabilityBin | BinView) -> str:
    """Return a bin's ends in words.

    >>> bin_text(BinView(0.8, 1.0, 0.5, None, None, None))
    '80% to 100%'
    """
    low, high = (one.low, one.high) if isinstance(one, BinView) else (one["low"], one["high"])
    return f"{100 * low:.4g}% to {100 * high:.4g}%"


def bins_table(panel: ReliabilityPanel, chart: Reliability) -> Table:
    """Return the numbers that a panel draws as a table, a row a bin; empty bins have dashes."""
    rows: list[Row] = []
    for each_bin in panel["bins"]:
        # One row's interval and mean, as a drawing shows them: nothing at all where no rows are.
        view = _bin_view(each_bin, max(each_bin["rows"], 1)) if each_bin["rows"] else None
        cells: list[Cell] = [
            {"text": bin_text(each_bin)},
            {"text": f"{each_bin['rows']:,}"},
            {"text": number_text(view.confidence if view else None, "share")},
            {"text": number_text(view.accuracy if view else None, "share")},
            {"text": _interval_text(view)},
            {"text": _gap_text(view)},
        ]
        rows.append({"cells": cells, "header": True})
    return {
        "title": panel["name"],
        "columns": [
            {"name": chart["confidence"], "align": "left"},
            {"name": "rows", "align": "right"},
            {"name": "mean confidence", "align": "right"},
            {"name": "accuracy", "align": "right"},
            {"name": interval_name(chart), "align": "right"},
            {"name": "accuracy − confidence, in points", "align": "right"},
        ],
        "rows": rows,
    }


def bin_words(one_bin: BinView) -> str:
    """Return a bin in words, for those who cannot see the drawing.

    >>> bin_words(BinView(0.8, 1.0, 0.5, 0.91, 0.87, None))
    '80% to 100%: accuracy 87.0%, mean confidence 91.0%, 50.0% of the rows'
    """
    accuracy, confidence, share = (
        number_text(value, "share")
        for value in (one_bin.accuracy, one_bin.confidence, one_bin.share)
    )
    return (
        f"{bin_text(one_bin)}: accuracy {accuracy}, mean confidence {confidence}, "
        f"{share} of the rows"
    )


def _bin_view(each_bin: ReliabilityBin, rows: int) -> BinView:
    accuracy = _share(each_bin["accuracy"])
    ends = [_share(each_bin["accuracy_low"]), accuracy, _share(each_bin["accuracy_high"])]
    known = [end for end in ends if end is not None]
    return BinView(
        _clipped(each_bin["low"]),
        _clipped(each_bin["high"]),
        each_bin["rows"] / rows,
        _share(each_bin["confidence"]),
        accuracy,
        (min(known), max(known)) if len(known) > 1 else None,
    )


def _share(value: float | None) -> float | None:
    number = finite(value)
    return None if number is None else _clipped(number)


def _clipped(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)


def _mean(weighted: list[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def _interval_text(view: BinView | None) -> str:
    if view is None or view.interval is None:
        return "–"
    low, high = view.interval
    return f"{number_text(low, 'share')} to {number_text(high, 'share')}"


def _gap_text(view: BinView | None) -> str:
    if view is None or view.accuracy is None or view.confidence is None:
        return "–"
    # The sign of a share, without its percent sign: a difference of shares is in points.
    return number_text(view.accuracy - view.confidence, "share").rstrip("%")
