"""`fairlora probe shift`: how far sets of pictures lie apart in a model's features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlora.cli.output import Answer, FullOption, JsonOption, OutOption

if TYPE_CHECKING:
    from fairlora.probes.picture_features import Features

_SETS = (
    "Two or more sets: a folder of pictures, a Parquet file with a column `image`, a run file "
    "(its data section), or a data set as NAME:key=value,key=value."
)


def shift(
    sets: Annotated[list[str], typer.Argument(metavar="SET...", help=_SETS)],
    model: Annotated[
        str, typer.Option(help="A vision model: hub id, folder, run's folder, or embedded.")
    ] = "embedded",
    inception: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights inception-2015-12-05.pt (TorchScript): FID in the clean-fid manner.",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the model's input; default: its own.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="What to call each set, in their order; repeatable."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=10, help="At most so many pictures of each, drawn at random.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Draws for the interval.")] = 100,
    permutations: Annotated[
        int, typer.Option(min=0, help="Random partings, for what chance gives.")
    ] = 100,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")] = 0,
    title: Annotated[str, typer.Option(help="The page's title.")] = "Distribution shift",
    out: OutOption = None,
    json_: JsonOption = False,
    full: FullOption = False,
) -> None:
    """Frechet distance between sets of pictures, in the features of any vision model.

    Beside it stands what chance alone would give for so many pictures. Called FID only with
    InceptionV3's weights; without bootstrap and permutations features are not kept in memory.

    Examples:

        fairlora probe shift UTKFace people-emoji --model openai/clip-vit-base-patch16

        fairlora probe shift people-emoji:renderers=[noto] people-emoji:renderers=[twemoji]

        fairlora probe shift photos/ drawings/ --inception inception-2015-12-05.pt
    """
    from fairlora.cli.output import check_endings
    from fairlora.cli.study_live import ReportBar
    from fairlora.data.picture_set import limited, read_pictures
    from fairlora.errors import InputError
    from fairlora.models.libraries import load_libraries
    from fairlora.probes.shift_page import shift_page
    from fairlora.probes.shift_sets import distances

    check_endings(out or [])
    if len(sets) < 2:
        raise InputError("one set alone", where="SET", found=sets[0], expected="two or more")
    if not 0.5 <= level <= 0.999999:
        raise InputError("no level", where="--level", found=level, expected="0.5 to 0.999999")
    names = name or [_short(one) for one in sets]
    if len(names) != len(sets) or len(set(names)) != len(names):
        raise InputError(
            "not one name a set",
            where="--name",
            found=", ".join(names),
            expected=f"{len(sets)} names, each once",
        )
    pictures = {
        label: limited(read_pictures(one), rows, seed)
        for label, one in zip(names, sets, strict=True)
    }
    load_libraries()
    features, about = _features(model, inception, image_size)
    with ReportBar() as bar:
        found = distances(
            pictures,
            features,
            bootstrap=bootstrap,
            permutations=permutations,
            seed=seed,
            level=level,
            tell=bar,
        )
    content = {**about, "level": level, "seed": seed, **found}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    Answer(shift_page(content, title), lambda: text).give(out or [], json_)


def _short(named: str) -> str:
    """What a set is called: a folder's or file's name, or the data set with its options."""
    path = Path(named)
    return path.stem if path.suffix else path.name if path.is_dir() else named


def _features(
    model: str, inception: Path | None, image_size: int | None
) -> tuple[Features, dict[str, Any]]:
    from fairlora.errors import InputError
    from fairlora.probes.picture_features import inception_features, model_features

    if inception is None:
        named = "the embedded model" if model == "embedded" else model
        about = {"distance": "Frechet distance", "features": named, "fid": False}
        return model_features(model, image_size), about
    if image_size is not None or model != "embedded":
        raise InputError("InceptionV3 has its own", where="--inception with --model, --image-size")
    about = {"distance": "FID", "features": "InceptionV3, the clean-fid way", "fid": True}
    return inception_features(inception), about
