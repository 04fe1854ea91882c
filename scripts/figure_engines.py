"""Draw three figures of study pages by matplotlib and in Vega-Lite, and compare: docs/figures.md.

    pip install altair==6.3.0 vl-convert-python==1.9.0.post1
    python scripts/figure_engines.py REPORT.json [REPORT.json ...] [--out FOLDER]

Takes the first bars with intervals, the first ROC and the first rank sweep of the reports (each a
study's report/report.json), and prints the table of the docs in Markdown. With --out the SVGs of
both engines are written there, to be looked at.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from code_lines import code_lines

from fairlora.report.chart import clean_chart
from fairlora.report.style import PALETTE

ROOM = Path(__file__).resolve().parents[1] / "src" / "fairlora" / "report"
# What fairlora does not need for anything else.
INSTALLED = {
    "matplotlib": ("matplotlib contourpy cycler fonttools kiwisolver pillow pyparsing"),
    "Vega-Lite": (
        "altair vl-convert-python narwhals jsonschema jsonschema-specifications referencing "
        "rpds-py attrs"
    ),
}
DRAWING = ("sheet", "style", "svg", "picture", "chart_drawing")
FIRST = {
    "matplotlib": "e.by_matplotlib(e.chosen({paths})['groups'])",
    "Vega-Lite": "e.by_vega(e.groups(e.chosen({paths})['groups']))",
}


def chosen(paths: list[str]) -> dict[str, Any]:
    """Return the first chart of each sort that the reports have."""
    sorts: dict[str, Callable[[Any], bool]] = {
        "groups": lambda c: c["kind"] == "bars" and "low" in c["series"][0]["points"][0],
        "ROC": lambda c: c["kind"] == "lines" and c["x"].get("scale") == "log",
        "ranks": lambda c: c["kind"] == "lines" and c["x"].get("scale") == "rank",
    }
    charts = [chart for path in paths for chart in json.loads(Path(path).read_text())["charts"]]
    return {
        name: clean_chart(next(chart for chart in charts if fits(chart)))
        for name, fits in sorts.items()
    }


def by_matplotlib(chart: Any) -> str:
    """Return a chart's SVG as the page has it, markers and hatchings included."""
    from fairlora.report.chart_drawing import draw_chart
    from fairlora.report.sheet import WIDE, drawn
    from fairlora.report.svg import page_svg, sprite

    shared: dict[str, str] = {}
    svg = page_svg(drawn(partial(draw_chart, chart, WIDE)), shared, 'class="drawn"')
    return svg + sprite(shared)


def by_vega(chart: Any) -> str:
    """Return the SVG of an altair chart."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    return svg


def rows_of(chart: Any) -> Any:
    """Return the points of a chart, a row each, as altair takes them."""
    import altair

    rows = []
    for series in chart["series"]:
        for point in series["points"]:
            place = point["x"]
            if chart["kind"] == "bars":
                place = chart["categories"][int(place)]["label"]
            rows.append({**point, "x": place, "series": series["name"]})
    return altair.Chart(altair.Data(values=rows)).properties(width=620, height=300)


def groups(chart: Any) -> Any:
    """Return grouped bars with whiskers."""
    import altair

    base = rows_of(chart).encode(
        x=altair.X("x:N", title=chart["x"]["label"], sort=None),
        xOffset=altair.XOffset("series:N", sort=None),
    )
    tips = ["series:N", "x:N", "y:Q", "low:Q", "high:Q"]
    bars = base.mark_bar().encode(
        y=altair.Y("y:Q", title=chart["y"]["label"], axis=altair.Axis(format="%")),
        color=altair.Color("series:N", sort=None, scale=altair.Scale(range=PALETTE)),
        tooltip=tips,
    )
    return bars + base.mark_rule().encode(y="low:Q", y2="high:Q")


def roc(chart: Any) -> Any:
    """Return ROCs with bands on log-log axes."""
    import altair

    floor = min(p["y"] for series in chart["series"] for p in series["points"]) / 10
    log, share = altair.Scale(type="log"), altair.Axis(format="%")
    base = rows_of(chart).encode(
        x=altair.X("x:Q", scale=log, axis=share, title=chart["x"]["label"]),
        color=altair.Color("series:N", sort=None, scale=altair.Scale(range=PALETTE)),
    )
    scale = altair.Scale(type="log", domain=[floor, 1], clamp=True)
    y = altair.Y("y:Q", scale=scale, axis=share, title=chart["y"]["label"])
    line = base.mark_line().encode(y=y, strokeDash=altair.StrokeDash("series:N", sort=None))
    points = base.mark_point().encode(
        y=y, shape=altair.Shape("series:N", sort=None), tooltip=["series:N", "x:Q", "y:Q"]
    )
    low = altair.Y("low:Q", scale=scale)
    return base.mark_area(opacity=0.15).encode(y=low, y2="high:Q") + line + points


def ranks(chart: Any) -> Any:
    """Return lines over ranks with whiskers, and what they are compared with."""
    import altair

    base = rows_of(chart).encode(
        x=altair.X("x:O", title=chart["x"]["label"]),
        color=altair.Color("series:N", sort=None, scale=altair.Scale(range=PALETTE)),
    )
    y = altair.Y("y:Q", scale=altair.Scale(zero=False), title=chart["y"]["label"])
    points = base.mark_point(filled=True).encode(
        y=y, shape=altair.Shape("series:N", sort=None), tooltip=["series:N", "x:O", "y:Q"]
    )
    layers = base.mark_line().encode(y=y) + base.mark_rule().encode(y="low:Q", y2="high:Q") + points
    references = altair.Data(values=chart.get("references", []))
    compared = altair.Chart(references).mark_rule(strokeDash=[5, 3])
    return layers + compared.encode(y="value:Q", tooltip=["name:N", "value:Q"])


VEGA: dict[str, Callable[[Any], Any]] = {"groups": groups, "ROC": roc, "ranks": ranks}


def megabytes(packages: str) -> float:
    """Return how much the files of some packages take, as they were installed."""
    size = 0
    for package in packages.split():
        files = importlib.metadata.distribution(package).files or []
        size += sum(
            Path(str(file.locate())).stat().st_size for file in files if file.locate().exists()
        )  # type: ignore[attr-defined]
    return size / 1e6


def seconds(draw: Callable[[], object], times: int = 9) -> float:
    """Return the median of the processor's seconds, the first drawing left out."""
    draw()
    spans = []
    for _ in range(times):
        start = time.process_time()
        draw()
        spans.append(time.process_time() - start)
    return statistics.median(spans)


def first_seconds(engine: str, paths: list[str]) -> float:
    """Return the processor's seconds of a first figure in a new process, less those of a start."""
    work = FIRST[engine].format(paths=paths)
    code = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "import figure_engines as e; t = time.process_time(); "
        f"{work}; print(time.process_time() - t)"
    )
    command = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    import vl_convert

    paths = [str(Path(path).resolve()) for path in options.reports]
    charts = chosen(paths)
    print("| | matplotlib | Vega-Lite |\n|---|---|---|")
    specs = 0
    for name, chart in charts.items():
        svgs = {"matplotlib": by_matplotlib(chart), "vega": by_vega(VEGA[name](chart))}
        ours = seconds(partial(by_matplotlib, chart))
        theirs = seconds(lambda make=VEGA[name], chart=chart: by_vega(make(chart)))
        specs += len(json.dumps(VEGA[name](chart).to_dict()))
        sizes = [f"{len(svg.encode()) / 1e3:.1f} kB" for svg in svgs.values()]
        print(f"| {name}: SVG | {sizes[0]} | {sizes[1]} |")
        print(f"| {name}: processor time | {1000 * ours:.0f} ms | {1000 * theirs:.0f} ms |")
        tips = [svg.count("<title>") for svg in svgs.values()]
        print(f"| {name}: values on hover without a script | {tips[0]} | {tips[1]} |")
        texts = [svg.count("<text") for svg in svgs.values()]
        print(f"| {name}: texts that are texts | {texts[0]} | {texts[1]} |")
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            for engine, svg in svgs.items():
                (options.out / f"{name}-{engine}.svg").write_text(svg, encoding="utf-8")
    bundle = len(vl_convert.vegalite_to_html(ranks(charts["ranks"]).to_dict(), bundle=True))
    print(f"| with hover by script: page grows by | | {(bundle + specs) / 1e3:.0f} kB |")
    first = [f"{first_seconds(engine, paths):.2f} s" for engine in FIRST]
    print(f"| first figure, imports included | {first[0]} | {first[1]} |")
    weight = [f"{megabytes(packages):.0f} MB" for packages in INSTALLED.values()]
    print(f"| installed, beyond what fairlora has anyway | {weight[0]} | {weight[1]} |")
    lines = sum(code_lines((ROOM / f"{name}.py").read_text(encoding="utf-8")) for name in DRAWING)
    print(f"| lines of our code that draw all charts | {lines} | see below |")


if __name__ == "__main__":
    main()
