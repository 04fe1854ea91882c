"""The watch's engine: shares of alpha, evidence in the order of arrival, periods."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.metrics.watch.adding import add_batch
from fairlora.metrics.watch.assemble import _shares, assemble_watch
from fairlora.metrics.watch.batch import Batch, Tallies
from fairlora.metrics.watch.periods import period_key
from fairlora.metrics.watch.series import rates_of
from fairlora.metrics.watch.store import Columns, Store, read_store


def drawn(seed: int, right: float, *, labelled: bool = True, extra: str | None = None) -> Batch:
    """1,000 rows of two groups, of which b is right as often as is said."""
    rng = np.random.default_rng(seed)
    found: Tallies = Counter()
    for group, share in (("a", 0.9), ("b", right), *([(extra, 0.9)] if extra else [])):
        for label in "01":
            hits = int(rng.binomial(250, share))
            for pred, n in ((label, hits), ("10"[int(label)], 250 - hits)):
                found["g", group, label, pred] += n
                found[None, None, label, pred] += n
    decisions: Tallies = Counter()
    for (attribute, group, _, pred), n in found.items():
        decisions[attribute, group, None, pred] += n
    rows = sum(n for key, n in decisions.items() if key[0] is None)
    return Batch(rows, ("g",), ("0", "1"), decisions, found if labelled else None)


def stored(path: Path) -> Store:
    found = read_store(path)
    assert found is not None
    return found


def test_labels_that_come_late_count_in_the_order_in_which_they_come(tmp_path: Path) -> None:
    now, late = tmp_path / "now", tmp_path / "late"
    months = [f"2026-{month:02d}" for month in range(1, 9)]
    rights = [0.9, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    for month, right in zip(months, rights, strict=True):
        add_batch(now, drawn(int(month[-2:]), right), month, Columns())
        waits = month == "2026-03"
        add_batch(late, drawn(int(month[-2:]), right, labelled=not waits), month, Columns())
    before = assemble_watch(stored(late))
    assert before.unlabelled == {"2026-03": 1000}
    add_batch(late, drawn(3, 0.7), "2026-03", Columns())
    one, two = assemble_watch(stored(now)), assemble_watch(stored(late))
    assert two.by_group == one.by_group
    assert [entry.kind for entry in stored(late).header.entries].count("labels") == 1
    # What was shown before the late labels came is shown still, with the period it had.
    old = {(a.group, a.metric, a.against): a.period for a in before.alarms}
    new = {(a.group, a.metric, a.against): a.period for a in two.alarms}
    assert old
    assert old.items() <= new.items()


def test_shares_of_alpha_never_exceed_the_whole_however_many_groups_come(tmp_path: Path) -> None:
    path = tmp_path / "w"
    add_batch(path, drawn(0, 0.9), "2000", Columns())
    for year in range(2001, 2010):
        add_batch(path, drawn(year, 0.9, extra=f"new {year}"), str(year), Columns())
    rates = rates_of(stored(path))
    later = list(range(3, 12))
    shares = _shares(rates, [0, 1, 2], later)
    # All rows once; a group and everyone outside it: twice; four metrics.
    total = 4 * (shares[0] + 2 * shares[1:].sum())
    assert 0.9 < total <= 1
    content = assemble_watch(stored(path))
    assert [g.new for g in content.by_group["g"].values()] == [False, False, *[True] * 9]
    widths = {
        name: group.accuracy.high - group.accuracy.low  # type: ignore[operator, union-attr]
        for name, group in content.by_group["g"].items()
    }
    assert widths["new 2009"] > widths["new 2001"] > widths["a"]


def test_a_group_that_the_baseline_lacks_changes_no_other_groups_numbers(tmp_path: Path) -> None:
    contents = []
    for extra in (None, "c"):
        path = tmp_path / f"w{extra}"
        add_batch(path, drawn(1, 0.9), "2025", Columns())
        add_batch(path, drawn(2, 0.9, extra=extra), "2026", Columns())
        contents.append(assemble_watch(stored(path)))
    one, two = (content.by_group["g"]["a"].selection_rate for content in contents)
    assert one is not None
    assert two is not None
    assert (one.value, one.low, one.high) == (two.value, two.low, two.high)


@pytest.mark.parametrize(
    "text", ["26-11", "2026-11-31", "2026-W54", "2026-Q5", "２０２６", "2026-11\n"]
)
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(InputError, match="not a period"):
        period_key(text)


def test_periods_are_in_their_order() -> None:
    for several in (["2025-12", "2026-01"], ["2025-W52", "2026-W01"], ["2025-Q4", "2026-Q1"]):
        keys = [period_key(one) for one in several]
        assert keys == sorted(keys)
    assert (
        len({len(period_key(p)) for p in ("2026", "2026-11", "2026-11-30", "2026-Q1", "2026-W48")})
        == 5
    )
