"""The CLIP image tower with a linear head on its pooled output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.models.clip.modeling_clip import CLIPPreTrainedModel


class ClipTowerForImageClassification(CLIPPreTrainedModel):
    """CLIP's vision transformer and a linear classifier.

    The head reads the pooled output: the class token after the last layer norm, before CLIP's
    projection (width 768 for ViT-B). `CLIPForImageClassification` of transformers averages the
    patch tokens instead and leaves that layer norm unused, so its pooled output is not what CLIP
    was trained to make.
    """

    config: CLIPVisionConfig  # type: ignore[assignment]
    config_class = CLIPVisionConfig
    base_model_prefix = "vision_model"
    main_input_name = "pixel_values"
    # Checkpoints carry CLIP's projection, which this head does not use, and the text tower.
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012
        r"visual_projection\..*",
        r"text_projection\..*",
        r"text_model\..*",
        r"logit_scale",
    ]
    _no_split_modules = ["CLIPVisionEmbeddings", "CLIPEncoderLayer"]  # noqa: RUF012

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.vision_model = CLIPVisionModel._from_config(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 2)
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        **kwargs: Any,
    ) -> ImageClassifierOutput:
        """Logits (N, classes) for pictures (N, 3, H, W); with `labels` (N,) the mean loss too.

        Parameters
        ----------
        pixel_values : (N, 3, H, W) pictures, prepared.
        labels : (N,) numbers of the classes; None computes no loss.
        interpolate_pos_encoding : take pictures of another size than the config's.
        kwargs : those of `CLIPVisionModel`.
        """
        outputs = self.vision_model(
            pixel_values=pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **kwargs
        )
        logits = self.classifier(outputs.pooler_output)
        loss = None
        if labels is not None:
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        return ImageClassifierOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )
