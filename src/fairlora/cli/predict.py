"""`fairlora predict`: a predictions table from any classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlora.cli.common import RunBar, note, say, say_json


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A run's, model's or adapter's folder, an exported folder or file, or a hub id."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The predictions table to write (.parquet).")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_YAML",
            help="A data set's name, or a run file whose data section is used. Default: the data "
            "of the run.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="data.KEY=VALUE", help="An option of the data set."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the input; default: as it was fine-tuned.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens a text is cut to; default: as fine-tuned.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Where an adapter's base model lies, if it has moved.")
    ] = None,
    untrained_head: Annotated[
        bool,
        typer.Option(help="Give a model without a fitting head a new one: chance, as a baseline."),
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    bf16: Annotated[bool, typer.Option(help="Compute in bfloat16.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of an untrained head.")] = 0,
    check: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Send N rows through the model's own library too, and stop if the answers differ; "
            "default: 4 of models made elsewhere.",
        ),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Decide by these thresholds: what fairlora thresholds wrote."
        ),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="NAME=INPUT",
            help="What an ONNX file calls pixel_values, input_ids, attention_mask.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="What an ONNX file of several outputs calls its logits.")
    ] = None,
    processor: Annotated[
        str | None,
        typer.Option(help="Where an ONNX file's image processor or tokenizer is; default: beside."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Predict with any classifier of pictures or texts: a checkpoint, an adapter, a run.

    On the data of the model's own run the rows keep the splits that they had in the run ("unused"
    where it left them out). Other data keep the splits that their own files give, rows set aside
    for training as "train"; where they give none, all rows are "test".

    Examples:

        fairlora predict runs/demo/lora-r8-seed0-1234567890 --out predictions.parquet

        fairlora predict google/vit-base-patch16-224 --data image-table
        --set data.path=pictures.csv --set data.groups=[region] --out predictions.parquet

        fairlora predict exports/lora-r8-seed0-1234567890-onnx-int8-static --out int8.parquet

        fairlora predict theirs.onnx --input pixel_values=images --processor their-model
        --data image-table --set data.path=pictures.csv --out predictions.parquet
    """
    from fairlora.models.libraries import load_libraries

    load_libraries()
    from fairlora.models.sessions import named_inputs
    from fairlora.study.runs.predict import predict_with

    with RunBar("predict") as bar:
        summary = predict_with(
            model,
            out,
            data=data,
            overrides=set_ or [],
            image_size=image_size,
            max_length=max_length,
            base=base,
            untrained_head=untrained_head,
            batch_size=batch_size,
            bf16=bf16,
            seed=seed,
            check=check,
            thresholds=thresholds,
            inputs=named_inputs(input_ or []),
            output=output,
            processor=processor,
            watch=bar,
        )
    for text in summary["notes"]:
        note(text)
    if json_:
        import json

        say_json(json.dumps(summary, ensure_ascii=False))
        return
    print(f"{summary['rows']:,} rows, accuracy {summary['accuracy']:.4f}")
    say(f"Predictions: {out}\nNext: fairlora audit {out}")
