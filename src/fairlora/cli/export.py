"""`fairlora export`: a run or adapter as a file that ships, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fairlora.cli.common import RunBar, note, say, say_json

if TYPE_CHECKING:
    from fairlora.study.export.manifest import Manifest


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A finished run's folder, or an adapter's or model's folder or id."
        ),
    ],
    to: Annotated[
        Literal["merged", "onnx", "openvino"],
        typer.Option(help="A Hugging Face folder, its adapter folded in; ONNX; or OpenVINO."),
    ],
    int8: Annotated[
        Literal["dynamic", "static"] | None,
        typer.Option(
            help="Quantise linear layers: ranges of activations measured at every call, or once, "
            "on training rows drawn evenly over the groups."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_YAML",
            help="The data to prove it on: a data set's name, or a run file whose data section is "
            "used. Default: the data of the run.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="data.KEY=VALUE", help="An option of the data set."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to make; default: exports/RUN-onnx-int8-static."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Where an adapter's base model lies, if it has moved.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export a classifier of pictures or texts, and prove that it answers as what was audited.

    At least 64 rows go through the run and through the export, and their logits are compared by
    group. A float export that is off by more than 0.001 is refused, and nothing is left behind; of
    an int8 export it is said how far logits moved and how many predictions flipped. The folder's
    export.json holds the run's identity, the files' digests, versions and this proof.

    Examples:

        fairlora export runs/demo/lora-r8-seed0-1234567890 --to onnx --int8 dynamic

        fairlora export my-adapter --to openvino --rows image-table
        --set data.path=pictures.csv --set data.groups=[region] --out shipped
    """
    from fairlora.models.libraries import load_libraries

    load_libraries()
    from fairlora.study.export.writing import default_folder, export_model

    folder = out or default_folder(model, to, int8)
    with RunBar("export") as bar:
        manifest = export_model(
            model,
            folder,
            to=to,
            int8=int8,
            rows=rows,
            overrides=set_ or [],
            base=base,
            watch=bar,
        )
    for text in manifest.notes:
        note(text)
    if json_:
        say_json(manifest.model_dump_json())
        return
    for line in _said(manifest):
        say(line)
    say(f"Exported: {folder}\nNext: fairlora predict {folder} --out predictions.parquet")


def _said(manifest: Manifest) -> list[str]:
    """The proof in lines: over all rows, and of quantised weights by group."""
    proof = manifest.proof
    of = ", ".join(f"{rows} {split}" for split, rows in proof.splits.items())
    overall = proof.overall
    lines = [
        f"{overall.rows} rows ({of}): logits moved by {overall.largest:.2g} at most, "
        f"{overall.mean:.2g} on average; {_flips(overall.flips)}"
    ]
    if manifest.int8 is not None:
        lines += [
            f"  {attribute} {name}: {moved.rows} rows, {moved.largest:.2g} at most, "
            f"{moved.mean:.2g} on average; {_flips(moved.flips)}"
            for attribute, groups in proof.by_group.items()
            for name, moved in groups.items()
        ]
    if proof.table is not None:
        table = proof.table
        lines.append(
            f"{table.rows} of them in the run's predictions: probabilities are off by "
            f"{table.largest:.2g} at most; {_flips(table.flips)}"
        )
    return lines


def _flips(flips: int) -> str:
    return f"{flips or 'no'} prediction{' flips' if flips == 1 else 's flip'}"
