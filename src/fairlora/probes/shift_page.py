"""Distribution shift as a page: a row a pair of picture sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.report.page import Page, check_page
from fairlora.report.tables import make_table


def shift_page(content: Mapping[str, Any], title: str) -> Page:
    """The page of distances; `content` is of `fairlora probe shift`."""
    distance = content["distance"]
    rows = []
    warnings: dict[str, None] = {}
    for pair in content["pairs"]:
        for text in pair["warnings"]:
            warnings.setdefault(f"{pair['first']} and {pair['second']}: {text}.")
        if "reason" in pair:
            warnings.setdefault(f"{pair['first']} and {pair['second']}: {pair['reason']}.")
        cells = [
            f"{pair['first']} and {pair['second']}",
            f"{pair['n'][0]:,} and {pair['n'][1]:,}",
            _figure(pair["value"]),
            _figure(pair["means"]),
            _figure(pair["covariances"]),
            _interval(pair),
            _figure(pair["expected_by_chance"]),
            "" if pair["p"] is None else f"{pair['p']:.3f}",
        ]
        rows.append(cells)
    names = ["<Sets", "Pictures", distance, "of means", "of covariances", "Less its bias"]
    names += ["By chance", "p"]
    return check_page(
        {
            "title": title,
            "lead": f"{distance} between sets of pictures, in the features of "
            f"{content['features']}.",
            "facts": [
                {"name": "Features", "value": f"{content['features']}, {content['width']:,} wide"},
                *(
                    {"name": name, "value": f"{n:,} pictures"}
                    for name, n in content["sets"].items()
                ),
            ],
            "tables": [
                make_table(
                    distance,
                    "Squared; smaller is nearer. By chance: two random parts of all pictures, as "
                    "large as the two sets; p: how often they are as far apart, each pair by "
                    f"itself. Less its bias: with a {100 * content['level']:.6g} % interval, by "
                    "bootstrap.",
                    names,
                    rows,
                )
            ],
            "charts": [_chart(content)],
            "notes": [
                "Distances of few pictures are too large, the more so the more features there are: "
                "distances of other numbers of pictures, or in other features, cannot be compared.",
                "The distance is one of normal distributions with the features' means and "
                "covariances: sets that differ otherwise can be at distance 0.",
                *(
                    []
                    if content["fid"]
                    else [
                        "These are no features of InceptionV3: the distance is no FID, and cannot "
                        "be compared with one."
                    ]
                ),
                *warnings,
            ],
        }
    )


def _chart(content: Mapping[str, Any]) -> dict[str, Any]:
    pairs = content["pairs"]
    chance = [pair["expected_by_chance"] for pair in pairs]
    series = [{"name": "found", "points": [{"x": k, "y": p["value"]} for k, p in enumerate(pairs)]}]
    if any(expected is not None for expected in chance):
        series.append(
            {
                "name": "by chance",
                "points": [{"x": k, "y": expected} for k, expected in enumerate(chance)],
            }
        )
    return {
        "title": content["distance"],
        "caption": f"Features of {content['features']}.",
        "kind": "bars",
        "x": {"label": "Sets"},
        "y": {"label": content["distance"], "zero": True},
        "categories": [{"label": f"{p['first']} and {p['second']}"} for p in pairs],
        "series": series,
    }


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(pair: Mapping[str, Any]) -> str:
    if pair["corrected"] is None:
        return ""
    text = _figure(pair["corrected"])
    return f"{text} [{_figure(pair['low'])}, {_figure(pair['high'])}]"
