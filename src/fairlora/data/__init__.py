"""Room `data`: from a data set's native files to `Examples`.

Adding a data set is one file with a `DataSet` in it and one row in `DATA_SETS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlora.data.checking import Count, Finding, Problem, Reading
from fairlora.data.dlab_hatespeech import DLabHateSpeech
from fairlora.data.examples import REST, Examples, cross_groups
from fairlora.data.fgvc_aircraft import FGVCAircraft
from fairlora.data.geode import GeoDE
from fairlora.data.hf_dataset import HFDataset
from fairlora.data.image_table import ImageTable
from fairlora.data.membership import TARGET, MembershipPlan, assign_membership
from fairlora.data.opening import open_image
from fairlora.data.people_emoji import PeopleEmoji
from fairlora.data.plain_text import PlainText
from fairlora.data.registry import DataOptions, DataSet
from fairlora.data.splits import (
    SplitPlan,
    assign_splits,
    keep_trainable,
    limit_training,
    make_scarce,
)
from fairlora.data.text_table import TextTable
from fairlora.data.utkface import UTKFace
from fairlora.data.waterbirds import Waterbirds
from fairlora.data.winomt import WinoMT
from fairlora.data.yelp_md_gender import YelpMDGender
from fairlora.errors import require_known

DATA_SETS: dict[str, DataSet] = {
    d.name: d
    for d in (
        PeopleEmoji(),
        UTKFace(),
        ImageTable(),
        TextTable(),
        HFDataset(),
        Waterbirds(),
        GeoDE(),
        FGVCAircraft(),
        DLabHateSpeech(),
        WinoMT(),
        YelpMDGender(),
        PlainText(),
    )
}

__all__ = [
    "DATA_SETS",
    "REST",
    "TARGET",
    "Count",
    "DataOptions",
    "DataSet",
    "Examples",
    "Finding",
    "MembershipPlan",
    "Problem",
    "Reading",
    "SplitPlan",
    "assign_membership",
    "assign_splits",
    "cross_groups",
    "data_set",
    "keep_trainable",
    "limit_training",
    "load_examples",
    "make_scarce",
    "open_image",
    "parse_options",
]


def data_set(name: str) -> DataSet:
    """The registered data set of this name; `InputError` names those there are."""
    require_known([name], DATA_SETS, "data set", "data.name")
    return DATA_SETS[name]


def parse_options(name: str, options: Mapping[str, Any]) -> DataOptions:
    """The data set's own options from plain values; `InputError` names the key at fault."""
    return data_set(name).options.parse(options, name)


def load_examples(name: str, options: Mapping[str, Any] | None = None) -> Examples:
    """Read a registered data set.

    >>> examples = load_examples("people-emoji", {"renderers": ["noto"]})
    >>> len(examples), examples.classes
    (994, ('female', 'male'))
    """
    return data_set(name).load(parse_options(name, options or {}))
