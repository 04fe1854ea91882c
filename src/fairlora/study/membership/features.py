"""Features of the pretrained model of a study's cells, for attacks that read them; kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.io import replacing
from fairlora.study.membership.evidence import Sheet
from fairlora.study.membership.scores import Features
from fairlora.study.runs.shadow_models import AttackedCells


def base_features(cells: AttackedCells, folder: Path) -> Features:
    """What gives the base model's features of a sheet's rows; computed once, kept in `folder`.

    Nothing of a fine-tuned model is in them: only the pretrained weights and the rows themselves.
    """

    def features(sheet: Sheet) -> NDArray[np.float32]:
        spec = cells.arm.spec
        prepared = cells.own[0].prepared
        known = [prepared.model_fingerprint, prepared.data_fingerprint, spec.model.image_size]
        text = repr([*known, spec.model.max_length, sheet.ids.tolist()])
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        path = folder / f"features-{digest}.npy"
        try:
            kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
            return kept
        except (OSError, ValueError):
            pass
        found = _embedded(cells, sheet)
        with replacing(path) as partial:
            np.save(partial, found, allow_pickle=False)
        return found

    return features


def _embedded(cells: AttackedCells, sheet: Sheet) -> NDArray[np.float32]:
    from fairlora.models import load_classifier
    from fairlora.probes.embedding import embed
    from fairlora.study.engines.worker import quiet_training

    quiet_training()
    spec, data = cells.arm.spec, cells.data
    places: dict[Any, int] = {str(one): k for k, one in enumerate(data.ids.tolist())}
    examples = data.take(np.array([places[one] for one in sheet.ids.tolist()]))
    classifier = load_classifier(
        spec.model.id,
        examples.classes,
        kind=examples.kind,
        image_size=spec.model.image_size,
        max_length=spec.model.max_length,
        quantize=spec.model.quantize,
    )
    return embed(classifier, examples)
