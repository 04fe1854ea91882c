"""Room `training`: `FairTrainer` on the Hugging Face Trainer, and the predictions table it writes.

>>> from fairlora.training import FairTrainer
"""

from __future__ import annotations

from fairlora.training.groups import GroupVocabulary, group_vocabulary
from fairlora.training.images import ImageCollator, ImageDataset
from fairlora.training.preemption import Preempted
from fairlora.training.rows import ExampleRows
from fairlora.training.seeds import derive_seed
from fairlora.training.table import TableSink, write_predictions_of
from fairlora.training.text import LengthBuckets, TextCollator, TextDataset
from fairlora.training.trainer import FairTrainer

__all__ = [
    "ExampleRows",
    "FairTrainer",
    "GroupVocabulary",
    "ImageCollator",
    "ImageDataset",
    "LengthBuckets",
    "Preempted",
    "TableSink",
    "TextCollator",
    "TextDataset",
    "derive_seed",
    "group_vocabulary",
    "write_predictions_of",
]
