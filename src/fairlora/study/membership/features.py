"""Features of the pretrained model of a study's cells, for attacks that read them; kept on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlora.data import Examples
from fairlora.study.membership.evidence import Sheet
from fairlora.study.membership.scores import Features
from fairlora.study.runs.cache import ARRAY, Cache
from fairlora.study.runs.prepare import Prepared


def base_features(prepared: Prepared, data: Examples, cache: Cache) -> Features:
    """What gives the base model's features of a sheet's rows; each computed once.

    Nothing of a fine-tuned model is in them: only the pretrained weights and the rows themselves.

    Parameters
    ----------
    prepared : a cell that is attacked.
    data : its data, before they are split.
    cache : where features are kept.
    """
    model = prepared.spec.model

    def embedded(sheet: Sheet) -> NDArray[np.float32]:
        from fairlora.models.libraries import load_libraries
        from fairlora.probes.embedding import embed
        from fairlora.study.tasks.arguments import load_base

        load_libraries()
        places: dict[Any, int] = {str(id_): k for k, id_ in enumerate(data.ids.tolist())}
        examples = data.take(np.array([places[id_] for id_ in sheet.ids.tolist()]))
        return embed(load_base(prepared.spec, examples), examples)

    def features(sheet: Sheet) -> NDArray[np.float32]:
        made_from = [
            *(prepared.model_fingerprint, prepared.data_fingerprint),
            *(model.image_size, model.max_length, model.quantize, sheet.ids.tolist()),
        ]
        return cache.get(made_from, lambda: embedded(sheet), ARRAY)

    return features
