"""Room `training`: `FairTrainer` on the Hugging Face Trainer, and the predictions table it writes.

The objectives are at hand here too, so that a script needs one import.

>>> from fairlora.training import FairTrainer, LossVariance
"""

from __future__ import annotations

from fairlora.objectives import ERM, GroupDRO, LossGap, LossVariance, Reweight
from fairlora.training.frozen_rows import FrozenCollator, FrozenRows
from fairlora.training.images import ImageCollator, ImageDataset
from fairlora.training.language import LanguageCollator, language_rows
from fairlora.training.last_layer import Retrained, retrain_last_layer
from fairlora.training.preemption import Preempted
from fairlora.training.rows import ExampleRows
from fairlora.training.seeds import derive_seed
from fairlora.training.table import TableSink, write_predictions_of
from fairlora.training.text import LengthBuckets, TextCollator, TextDataset
from fairlora.training.trackers import AuditCallback
from fairlora.training.trainer import FairTrainer
from fairlora.training.vocabulary import GroupVocabulary, group_vocabulary

__all__ = [
    "ERM",
    "AuditCallback",
    "ExampleRows",
    "FairTrainer",
    "FrozenCollator",
    "FrozenRows",
    "GroupDRO",
    "GroupVocabulary",
    "ImageCollator",
    "ImageDataset",
    "LanguageCollator",
    "LengthBuckets",
    "LossGap",
    "LossVariance",
    "Preempted",
    "Retrained",
    "Reweight",
    "TableSink",
    "TextCollator",
    "TextDataset",
    "derive_seed",
    "group_vocabulary",
    "language_rows",
    "retrain_last_layer",
    "write_predictions_of",
]
