"""Every interval of every output: low <= value <= high, and wider at a higher level."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from fairlora.metrics import Settings, audit
from fairlora.metrics.auditing import predictions_of
from fairlora.metrics.comparison.compare import compare
from fairlora.metrics.comparison.page import comparison_page
from fairlora.metrics.comparison.paired import compare_over_seeds
from fairlora.metrics.inference.intervals import wilson, z_of
from fairlora.report.markdown import to_markdown

LEVELS = (0.6, 0.8, 0.95, 0.99)
ENDS = ("low", "value", "high")


class Rows:
    """Rows of a few groups: one is small, one has one class and is all right."""

    def __init__(self, classes: int, seed: int = 0, *, clustered: bool, overlapping: bool) -> None:
        rng = np.random.default_rng(seed)
        n = 160
        self.labels = np.concatenate([rng.integers(0, classes, n), np.zeros(12, dtype=int)])
        codes = np.concatenate([rng.choice(3, n, p=[0.5, 0.45, 0.05]), np.full(12, 3)])
        self.names = np.array(["a", "b", "few", "right"])[codes]
        noise = rng.random(n + 12) < np.where(codes == 0, 0.15, 0.3)
        self.predictions = np.where(
            noise & (codes < 3), rng.integers(0, classes, n + 12), self.labels
        )
        logits = rng.normal(size=(n + 12, classes)) + 6 * np.eye(classes)[self.predictions]
        self.probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        self.groups: Any = {"g": self.names.tolist()}
        if overlapping:
            self.groups = {"g": [[g, "odd"] if k % 3 else [g] for k, g in enumerate(self.names)]}
        self.clusters = np.arange(n + 12) // 2 if clustered else None
        self.common: dict[str, Any] = {
            "classes": range(classes),
            "positive": 1 if classes == 2 else None,
        }

    def probs_of(self, predictions: Any) -> Any:
        """Probabilities of which the predictions are the likeliest class."""
        out, at, top = self.probs.copy(), np.arange(len(self.probs)), self.probs.argmax(axis=1)
        out[at, top], out[at, predictions] = self.probs[at, predictions], self.probs[at, top]
        return out


def numbers(node: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every dict with an interval in a content, by its place."""
    if isinstance(node, dict):
        if all(end in node for end in ENDS):
            yield place, [node[end] for end in ENDS]
        elif "accuracy_low" in node:
            yield place, [node["accuracy_low"], node["accuracy"], node["accuracy_high"]]
        elif "difference" in node and "low" in node:  # a subgroup's
            yield place, [node["low"], node["difference"], node["high"]]
        for key, value in node.items():
            yield from numbers(value, (*place, str(key)))
    elif isinstance(node, list):
        for k, value in enumerate(node):
            yield from numbers(value, (*place, str(k)))


def check(contents: dict[float, dict[str, Any]], fewest: int) -> None:
    """Contents by level: the intervals are in order, and nested, and grow."""
    found = {level: dict(numbers(content)) for level, content in contents.items()}
    places = list(found[LEVELS[0]])
    assert len(places) >= fewest
    for place in places:
        each = [found[level][place] for level in LEVELS]
        assert len({one[1] for one in each}) == 1, place
        known = [one for one in each if one[0] is not None]
        if not known:
            continue
        assert len(known) == len(LEVELS), place
        for low, value, high in known:
            assert low <= value <= high, (place, low, value, high)
        for (low, _, high), (lower, _, higher) in pairwise(known):
            assert lower <= low, (place, known)
            assert high <= higher, (place, known)
        (low, value, high), (lower, _, higher) = known[0], known[-1]
        bounds = {0.0, 1.0, -1.0, value}
        # Of a group of one class the mean precision is one over the classes predicted: its ends are
        # what that can be, whatever the level.
        fixed = place[-2:] == ("right", "precision")
        if low < high and not {low, high} <= bounds and not fixed:
            assert higher - lower > high - low, (place, known)


CASES = [
    pytest.param(
        classes,
        clustered,
        overlapping,
        id=f"{classes}{'-clusters' * clustered}{'-overlap' * overlapping}",
    )
    for classes in (2, 3)
    for clustered in (False, True)
    for overlapping in (False, True)
]


@pytest.mark.parametrize(("classes", "clustered", "overlapping"), CASES)
@pytest.mark.parametrize("bootstrap", [0, 400])
def test_intervals_of_an_audit_grow_with_the_level(
    classes: int, clustered: bool, overlapping: bool, bootstrap: int
) -> None:
    rows = Rows(classes, clustered=clustered, overlapping=overlapping)
    contents = {
        level: audit(
            rows.labels,
            rows.predictions,
            rows.groups,
            rows.probs_of(rows.predictions),
            clusters=rows.clusters,
            level=level,
            bootstrap=bootstrap,
            suggests={"g": {"a": "0", "b": "1"}},
            subgroups=0 if clustered else 1,
            subgroup_size=10,
            **rows.common,
        ).to_dict()
        for level in LEVELS
    }
    check(contents, 150)


@pytest.mark.parametrize(("classes", "clustered", "overlapping"), CASES)
def test_intervals_of_a_comparison_grow_with_the_level(
    classes: int, clustered: bool, overlapping: bool
) -> None:
    rows = Rows(classes, clustered=clustered, overlapping=overlapping)
    other = np.roll(rows.predictions, 1)
    contents = {
        level: compare(
            rows.labels,
            rows.predictions,
            other,
            rows.groups,
            probs=(rows.probs_of(rows.predictions), rows.probs_of(other)),
            clusters=rows.clusters,
            level=level,
            bootstrap=200,
            **rows.common,
        ).to_dict()
        for level in LEVELS
    }
    check(contents, 20)


@pytest.mark.parametrize("ratio", [None, 0.25])
@pytest.mark.parametrize(("classes", "clustered", "overlapping"), CASES)
def test_intervals_over_seeds_grow_with_the_level(
    classes: int, clustered: bool, overlapping: bool, ratio: float | None
) -> None:
    rows = Rows(classes, clustered=clustered, overlapping=overlapping)
    several = {
        seed: np.where(np.random.default_rng(seed).random(172) < 0.1, 0, rows.predictions)
        for seed in range(6)
    }
    table = {
        seed: predictions_of(
            rows.labels,
            several[seed],
            rows.groups,
            rows.probs_of(several[seed]),
            clusters=rows.clusters,
            **rows.common,
        )
        for seed in range(6)
    }
    first, second = ({s: table[s + 3 * k] for s in range(3)} for k in (0, 1))
    positive = rows.common["positive"] and str(rows.common["positive"])
    contents = {
        level: compare_over_seeds(
            first,
            second,
            Settings(positive=positive, level=level, bootstrap=200),
            ratio=ratio,
        ).to_dict()
        for level in LEVELS
    }
    check(contents, 20)


def test_pages_say_the_level_of_their_numbers(tmp_path: Path) -> None:
    rows = Rows(2, clustered=False, overlapping=False)
    options: dict[str, Any] = {"level": 0.8, "bootstrap": 200, **rows.common}
    probs = rows.probs_of(rows.predictions)
    result = audit(
        rows.labels, rows.predictions, rows.groups, probs, power=0.1, subgroups=1, **options
    )
    paired = compare(
        rows.labels,
        rows.predictions,
        rows.labels,
        rows.groups,
        probs=(rows.probs_of(rows.predictions), rows.probs_of(rows.labels)),
        **options,
    )
    table = predictions_of(rows.labels, rows.predictions, rows.groups, **rows.common)
    settings = Settings(positive="1", level=0.8, bootstrap=200)
    seeds = compare_over_seeds({0: table, 1: table}, {0: table, 1: table}, settings)
    texts = [result.to_markdown(), result.to_latex(), paired.to_markdown(), paired.to_latex()]
    texts.append(to_markdown(comparison_page(seeds, "t")))
    for one in (result, paired):
        one.to_html(tmp_path / "page.html")
        texts.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    for text in texts:
        said = set(re.findall(r"(\d+)[\s\\]*% (?:intervals?|level)\b", text))
        # Equivalence is judged by the 90 % interval at any level; a 20 % level is of 80 % power.
        assert said - {"90", "20"} == {"80"}, said
    assert "80% interval of the accuracy" in texts[-2]
    figure = result.plot(tmp_path / "bins.svg", kind="reliability")
    words = [artist.get_text() for artist in figure.artists if isinstance(artist, Text)]
    assert "80% interval of the accuracy" in words


@pytest.mark.parametrize("clustered", [False, True])
def test_sensitive_agreement_is_a_selection_rate_with_its_interval(clustered: bool) -> None:
    rows = Rows(3, clustered=clustered, overlapping=False)
    content = audit(
        rows.labels,
        rows.predictions,
        rows.groups,
        clusters=rows.clusters,
        level=0.8,
        suggests={"g": {"a": "2"}},
        **rows.common,
    ).to_dict()
    group = content["by_group"]["g"]["a"]
    chosen = group["selection_rate"]["by_class"]["2"]
    for found in (group["sensitive_agreement"], content["disparities"]["g"]["sensitive_agreement"]):
        for end in ENDS:
            assert found[end] == pytest.approx(chosen[end]), end
    if not clustered:
        n = group["n"]
        assert (chosen["low"], chosen["high"]) == pytest.approx(
            wilson(chosen["value"] * n, n, z_of(0.8))
        )
