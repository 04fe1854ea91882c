"""Distances of a study's data sets from other pictures, one content a model; kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fairlora.data import Examples, load_examples
from fairlora.data.picture_set import limited, read_pictures
from fairlora.errors import InputError
from fairlora.probes.shift_page import shift_page
from fairlora.study.runs.cache import JSON, Cache
from fairlora.study.spec.study import StudyModelSpec, StudySpec

Tell = Callable[[str, int, int], None]
LEVEL = 0.95


def find_shifts(
    study: StudySpec, folder: Path, tell: Tell = lambda what, done, total: None
) -> list[dict[str, Any]]:
    """What `fairlora.probes.shift_sets.distances` gives for each of the study's models.

    Nothing without a ``shift`` section; with InceptionV3's features, one content for all models.

    Parameters
    ----------
    study : names the data sets, the models, and what to compare with.
    folder : the report's; what is found is kept below it, and read again.
    tell : gets what is being done, and (done, total).

    Raises `InputError` for sets that are not there, hold texts, or are called alike, and for one
    set alone.
    """
    shift = study.shift
    if shift is None:
        return []
    sets: dict[str, Examples] = {}
    for data in study.data:
        name = data.label or data.name
        examples = load_examples(data.name, data.options)
        if examples.kind != "image":
            raise InputError("texts, not pictures", where=f"shift: {name}")
        _add(sets, name, limited(examples, shift.rows, shift.seed))
    own = list(sets)
    for name, word in shift.against.items():
        _add(sets, name, limited(read_pictures(word), shift.rows, shift.seed))
    pairs = [(a, b) for a in own for b in shift.against] if shift.against else None
    if pairs is None and len(sets) < 2:
        raise InputError("one set alone", where="shift.against", expected="sets to compare with")
    # InceptionV3's features are the same whatever the study's models are.
    models = study.models[:1] if shift.inception is not None else study.models
    return [_of_model(study, model, sets, pairs, Cache(folder / "shift"), tell) for model in models]


def shift_parts(
    shifts: Sequence[Mapping[str, Any]], kind: Literal["tables", "charts"]
) -> list[dict[str, Any]]:
    """Tables, or charts, of what `find_shifts` gives; titles say whose features they are of."""
    return [
        {**dict(part), "title": f"{part['title']} ({content['features']})"}
        for content in shifts
        for part in shift_page(content, "")[kind]
    ]


def shift_notes(shifts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the reader must not conclude, each once."""
    notes = (text for content in shifts for text in shift_page(content, "")["notes"])
    return list(dict.fromkeys(notes))


def _add(sets: dict[str, Examples], name: str, examples: Examples) -> None:
    if name in sets:
        raise InputError("two sets of one name", where="shift", found=name, expected="labels")
    sets[name] = examples


def _of_model(
    study: StudySpec,
    model: StudyModelSpec,
    sets: dict[str, Examples],
    pairs: list[tuple[str, str]] | None,
    cache: Cache,
    tell: Tell,
) -> dict[str, Any]:
    from fairlora.models.libraries import load_libraries
    from fairlora.models.source import model_fingerprint, resolve_source
    from fairlora.probes.picture_features import inception_features, model_features
    from fairlora.probes.shift_sets import distances

    shift = study.shift
    assert shift is not None
    if shift.inception is None:
        about = {
            "distance": "Frechet distance",
            "features": model.label or model.id.rstrip("/").rsplit("/", 1)[-1],
            "fid": False,
        }
        weights = model_fingerprint(resolve_source(model.id))
    else:
        about = {"distance": "FID", "features": "InceptionV3, the clean-fid way", "fid": True}
        weights = str(shift.inception)

    def content() -> dict[str, Any]:
        load_libraries()
        features = (
            model_features(model.id, model.image_size)
            if shift.inception is None
            else inception_features(shift.inception)
        )
        measured = distances(
            sets,
            features,
            pairs,
            bootstrap=shift.bootstrap,
            permutations=shift.permutations,
            seed=shift.seed,
            level=LEVEL,
            tell=tell,
        )
        return {**about, "level": LEVEL, "seed": shift.seed, **measured}

    rows = [[name, pictures.fingerprint, pictures.ids.tolist()] for name, pictures in sets.items()]
    settings = shift.model_dump(mode="json")
    return cache.get([about, weights, model.image_size, settings, rows, pairs], content, JSON)
