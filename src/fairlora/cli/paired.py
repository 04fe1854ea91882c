"""`fairlora audit FILE --against OTHER`: two sets of predictions on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlora.metrics import Settings
    from fairlora.predictions import Predictions


def paired(
    file: Path,
    other: Path | None,
    columns: dict[str, Any],
    second_columns: dict[str, Any],
    id_: str | None,
    split: str | None,
    settings: Settings,
    margin: float,
    title: str | None,
    out: list[Path],
    json_: bool,
) -> None:
    """Compare two files of predictions, or two columns of one; see `fairlora audit --help`."""
    from fairlora.cli.output import Answer
    from fairlora.errors import InputError
    from fairlora.metrics.comparison.compare import PairedResult
    from fairlora.metrics.comparison.paired import compare_predictions
    from fairlora.metrics.comparison.verdicts import check_margin
    from fairlora.predictions.binning import Ranges

    check_margin(margin, "--margin")
    for path in (file, other or file):
        if path.is_dir():
            raise InputError(
                "a comparison needs the rows in memory",
                where=path,
                found="a folder",
                expected="a file of predictions",
            )
    if other is None and second_columns == {name: columns[name] for name in second_columns}:
        raise InputError(
            "the model against itself",
            where="--against-pred",
            found=columns["pred"],
            expected="another column of predictions",
        )
    # Quantiles of the first's rows serve both: those of the second would be of other rows where it
    # has left some out.
    bins = {name: Ranges(text, f"--bin {name}") for name, text in columns["bins"].items()}
    columns = {**columns, "bins": bins}
    first = _read(file, columns, id_, split)
    second = _read(other or file, {**columns, **second_columns}, id_, split)
    if not first.groups:
        raise InputError("no group column named", where="--group", expected="at least one")
    from fairlora.predictions.pairing import paired_rows

    first, second = paired_rows(first, second, file, other or file)
    if other is None:
        a, b = (str(one["pred"] or one["probs"]) for one in (columns, second_columns))
        names = (a, b)
    else:
        names = names_of(file, other)
    content = compare_predictions(first, second, settings, margin=margin, names=names)
    result = PairedResult(content)
    page = result.page(title or f"{names[0]} against {names[1]}")
    Answer(page, result.to_json).give(out, json_)


def names_of(file: Path, other: Path) -> tuple[str, str]:
    """What tells the two apart: the files' names, else the folders', as of two runs."""
    for one, two in ((file.stem, other.stem), (file.parent.name, other.parent.name)):
        if one != two and one and two:
            return one, two
    return str(file), str(other)


def _read(file: Path, columns: dict[str, Any], id_: str | None, split: str | None) -> Predictions:
    from fairlora.predictions import read_table
    from fairlora.predictions.splits import AUTO

    return read_table(file, **columns, id_column=id_, split=split or AUTO)
