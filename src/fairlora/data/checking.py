"""Report on a copy of a data set: counts beside the published ones, and missing files.

The rule of a good copy. A count that equals the published one is "as published". Where the native
files hold a list of their rows (a metadata file, a table), another count means another or a broken
copy. Where the files are a heap without a list (UTKFace), fewer of them are "a part", which people
train on rightly; more are not. Whatever a list names must be there and must open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.data.examples import SPLITS, Examples
from fairlora.data.opening import has_frames, open_image
from fairlora.errors import InputError

SHOWN = 5  # of many names, those that a finding prints


class Count(NamedTuple):
    """A count that somebody has published. `part` says that a copy may rightly hold fewer."""

    what: str
    found: int
    published: int
    part: bool = False

    @property
    def ok(self) -> bool:
        return self.found == self.published or (self.part and self.found < self.published)

    def __str__(self) -> str:
        if self.found == self.published:
            return f"{self.found:,}, as published"
        if self.ok:
            return f"a part: {self.found:,} of {self.published:,}"
        return f"found {self.found:,}, published {self.published:,}"


class Problem(NamedTuple):
    """Something missing that a check reports and that training must not go on without."""

    what: str
    finding: str
    error: InputError


class Finding(NamedTuple):
    """A line of a check. `ok` is None where there is nothing to hold it against."""

    what: str
    finding: str
    ok: bool | None = None


@dataclass(frozen=True)
class Reading:
    """What reading a data set's files gave: the rows they name, and what is missing of them."""

    examples: Examples
    counts: Sequence[Count] = ()
    problems: Sequence[Problem] = ()

    def complete(self) -> Examples:
        """The examples; raises the first problem's error if there is one."""
        if self.problems:
            raise self.problems[0].error
        return self.examples


def some(names: Sequence[str]) -> str:
    """The first few names.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d, e ...'
    """
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def absent_splits(split: NDArray[np.str_], where: str) -> list[Problem]:
    """A problem for each official split without a row."""
    return [
        Problem(f"split {name}", "none", InputError(f"no row of split {name!r}", where=where))
        for name in SPLITS
        if name not in split
    ]


def findings(reading: Reading, watch: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Everything that there is to say of a copy; opens every picture."""
    rows = _described(reading.examples)
    if reading.examples.kind == "text":
        rows.extend(_lengths(reading.examples.texts or []))
    if reading.examples.answers is not None:
        empty = sum(not answer.strip() for answer in reading.examples.answers)
        rows.append(Finding("empty answers", f"{empty:,}", empty == 0))
    if reading.examples.trainable is not None:
        rows.append(Finding("rows to train on", f"{int(reading.examples.trainable.sum()):,}"))
    compared = [Finding(count.what, str(count), count.ok) for count in reading.counts]
    compared += [Finding(problem.what, problem.finding, False) for problem in reading.problems]
    places = {row.what: k for k, row in enumerate(rows)}
    for finding in compared:
        if finding.what in places:
            rows[places[finding.what]] = finding
        else:
            rows.append(finding)
    if reading.examples.kind == "image":
        rows.extend(_opened(reading.examples, watch))
    rows.extend(Finding("note", note) for note in reading.examples.notes)
    return rows


def _absent(pictures: Sequence[Path | bytes], row: int) -> bool:
    """Whether a picture is not there at all: that is a problem of the reading already."""
    try:
        source = pictures[row]
    except InputError:
        return True
    return isinstance(source, Path) and not source.is_file()


def _described(examples: Examples) -> list[Finding]:
    rows = [
        Finding("examples", f"{len(examples):,}"),
        Finding("fingerprint", examples.fingerprint[:16]),
    ]
    counts = np.bincount(examples.labels, minlength=len(examples.classes))
    if examples.language and len(examples.classes) < 2:
        pass  # texts to continue, of one kind
    elif len(examples.classes) <= 12:
        for name, count in zip(examples.classes, counts.tolist(), strict=True):
            rows.append(Finding(f"class {name}", f"{count:,}"))
    else:
        rows.append(Finding("classes", str(int((counts > 0).sum()))))
    for attribute, values in examples.groups.items():
        names = values.names
        shown = ", ".join(f"{g} {int(values.contains(g).sum()):,}" for g in names[:12])
        rows.append(Finding(f"group {attribute}", shown + (" ..." if len(names) > 12 else "")))
    if examples.split is not None:
        for name, number in zip(*np.unique(examples.split, return_counts=True), strict=True):
            rows.append(Finding(f"split {name}", f"{number:,}"))
    if examples.family is not None:
        rows.append(Finding("families", f"{len(set(examples.family.tolist())):,}"))
    return rows


def _lengths(texts: Sequence[str]) -> list[Finding]:
    lengths = np.array([len(text) for text in texts])
    empty = sum(not text.strip() for text in texts)
    return [
        Finding("characters", f"median {np.median(lengths):,.0f}, longest {lengths.max():,}"),
        Finding("empty texts", f"{empty:,}", empty == 0),
        Finding("repeated texts", f"{len(texts) - len(set(texts)):,}"),
    ]


def _opened(examples: Examples, watch: Callable[[int, int], None] | None) -> list[Finding]:
    """Open every picture that is there: a broken one would stop a run in its middle."""
    opened, frames, broken = 0, 0, []
    for k in range(len(examples)):
        name = str(examples.ids[k])
        try:
            source = examples.inputs[k]
            if isinstance(source, Path):
                name = str(source)
            open_image(source, name=name)
            opened += 1
            frames += has_frames(source)
        except InputError:
            if not _absent(examples.inputs, k):
                broken.append(name)
        if watch is not None:
            watch(k + 1, len(examples))
    if broken:
        text = f"{len(broken):,} of {len(examples):,} unreadable: {some(broken)}"
        finding = Finding("pictures", text, False)
    elif opened < len(examples):
        finding = Finding("pictures", f"{opened:,} of {len(examples):,} open", False)
    else:
        finding = Finding("pictures", f"all {opened:,} open", True)
    return [
        finding,
        *([Finding("of several frames", f"{frames:,}: the first is taken")] * (frames > 0)),
    ]
