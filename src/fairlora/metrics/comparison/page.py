"""A comparison of two models, on one seed or over several, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlora.metrics.comparison.content import ComparisonContent, ComparisonSettings, Verdict
from fairlora.metrics.comparison.first_screen import first_screen
from fairlora.metrics.comparison.verdict_parts import (
    forests,
    no_rates,
    paired_lead,
    percent_text,
    verdict_matrix,
    verdict_tables,
)
from fairlora.metrics.labels import calibration_words, positive_fact, rows_words
from fairlora.metrics.tables import metric_text
from fairlora.metrics.terms import terms_of
from fairlora.report.page import Page, check_page
from fairlora.report.tables import in_topic


def comparison_page(content: ComparisonContent, title: str) -> Page:
    """Tables of differences with verdicts, and a forest of the disparities' differences.

    `content` is what `compare_predictions` or `compare_over_seeds` gives.
    """
    first, second, seeds = content.first, content.second, content.seeds
    settings, n, percent = content.settings, f"{content.n:,}", percent_text(content)
    varied = settings.ratio is not None
    rows, found_by = f"the same {n} rows", "these rows find"
    scores = no_rates(content)
    units = "numbers as they are" if scores else "in percentage points, losses as they are"
    caption = f"{first} minus {second}, {units}, with {percent}"
    forest = f"With {percent} intervals, one by one."
    facts = {"First": first, "Second": second}
    if seeds is None:
        said = (
            "The rows are the only source of chance here. Another training run of the same method "
            "would differ too: comparing methods takes several seeds."
        )
    else:
        of_rows = "test rows that vary with the seed" if varied else "the same test rows"
        many = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
        rows, found_by = (
            f"{of_rows} ({n}) and over {many} each",
            "these rows and so many seeds find",
        )
        caption = f"Means over seeds ± standard deviation, and {caption}"
        forest = (
            f"Means over seeds with {percent} intervals, one by one; the small marks are the seeds."
        )
        facts["Seeds"] = ", ".join(str(seed) for seed in seeds)
        said = _VARIED if varied else _SHARED
    facts["Rows"] = n
    ece = content.overall.get("ece")
    calibration = calibration_words(ece, settings.confidence, settings.bins, content.positive)
    overall = (
        f"{caption} intervals. Verdicts are {first}'s and hold for all rows of the table together "
        f"(Holm).{calibration}"
    )
    disparities = "Verdicts hold for the disparities of all attributes together (Holm)."
    tables = verdict_tables(
        content, ("Overall", overall), ("Disparities by", disparities), side=_side
    )
    rest = [
        part
        for attribute, pair in zip(content.disparities, _by_two(tables[1:]), strict=True)
        for part in in_topic(f"By {attribute}", *pair)
    ]
    drawn = [
        part
        for attribute, one in zip(
            content.disparities, forests(content, f"{forest} Hollow: inconclusive."), strict=True
        )
        for part in in_topic(f"By {attribute}", one)
    ]
    matrix = [verdict_matrix(content)] if content.disparities else []
    shown = [*in_topic("Verdicts", *matrix), *in_topic("All rows", tables[0]), *rest]
    return check_page(
        {
            "title": title,
            **first_screen(content),
            "lead": paired_lead(content, rows),
            "facts": [
                *({"name": name, "value": value} for name, value in facts.items()),
                *positive_fact(content.positive),
                {"name": "Margin of equivalence", "value": _margins(settings, scores)},
            ],
            "tables": shown,
            "dots": drawn,
            "terms": terms_of(shown),
            "notes": [
                "Equivalent: the 90 % interval lies within the margin. Inconclusive: neither a "
                'difference nor equivalence was shown; "could show" is the smallest difference '
                f"that {found_by} four times out of five. It is not evidence of equality.",
                said,
                *([] if varied else [rows_words(settings.clusters)]),
                *content.warnings,
            ],
        }
    )


def _by_two(tables: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """Tables two by two: an attribute's disparities, and its groups."""
    return [tables[k : k + 2] for k in range(0, len(tables), 2)]


_VARIED = (
    "The test rows vary with the seed. The intervals are those of Nadeau and Bengio, who account "
    "for training and test rows that the seeds have in common."
)
_SHARED = (
    "The intervals are for other training runs and other test rows of the same kind. The rows are "
    "the same for all seeds, so more seeds do not make their part smaller. An interval reaches "
    "further on the side where the difference lies if the two differ in noise alone."
)


def _margins(settings: ComparisonSettings, scores: bool) -> str:
    margin = settings.margin
    if scores or margin is None:
        return "none" if margin is None else f"{margin:g}"
    given = (settings.margins or {}).items()
    each = [f"{name} {metric_text(name, own)}" for name, own in given]
    return ", ".join([f"{100 * margin:g} points", *each])


def _side(name: str, row: Verdict, side: str) -> str:
    """A side's number, or its mean ± standard deviation over several seeds."""
    mean, deviation = (metric_text(name, getattr(row, key)) for key in (side, f"{side}_sd"))
    return f"{mean} ± {deviation}" if mean and deviation else mean
