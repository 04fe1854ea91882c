"""Make a small vision-language model of LLaVA's architecture out of a tower and a language model.

    python scripts/small_vlm.py CLIP_FOLDER LANGUAGE_MODEL OUT
    python scripts/small_vlm.py CLIP_FOLDER SmolLM2-135M-Instruct.Q4_1.gguf small-vlm \
        --image-size 64 --layers 12 --tower-layers 8

CLIP_FOLDER holds a CLIP image tower, LANGUAGE_MODEL is a chat model: a folder, or a .gguf file,
which takes `pip install 'fairlora[gguf]'`. Both keep their pretrained weights. The projector
between them is new, drawn from --seed: no picture has gone through it yet, so train it with the
adapter (adapter.fields.modules_to_save: [multi_modal_projector]). Pictures are of --image-size
pixels, to which the tower's positions are interpolated; --layers and --tower-layers keep the first
layers alone, for machines without an accelerator. OUT loads as any LLaVA: transformers alone reads
it. It takes about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.nn import functional as F

from fairlora.models import load_language

IMAGE = "<image>"
# A turn as SmolLM2 has it, with the picture's place.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>\n{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tower_of(folder: Path, size: int, layers: int | None) -> Any:
    """The CLIP tower for pictures of `size` pixels, with its first layers."""
    tower = transformers.CLIPVisionModel.from_pretrained(folder, dtype=torch.float32)
    config = transformers.CLIPVisionConfig(**{**tower.config.to_dict(), "image_size": size})
    config.num_hidden_layers = layers or config.num_hidden_layers
    made = transformers.CLIPVisionModel(config)
    state = tower.state_dict()
    name = next(key for key in state if key.endswith("position_embedding.weight"))
    own, width = state[name][:1], state[name].shape[1]
    side = round((len(state[name]) - 1) ** 0.5)
    grid = state[name][1:].T.reshape(1, width, side, side)
    wanted = size // config.patch_size
    grid = F.interpolate(grid, (wanted, wanted), mode="bicubic", align_corners=False)
    state[name] = torch.cat([own, grid.reshape(width, -1).T])
    missing = made.load_state_dict(state, strict=False).missing_keys
    assert not [key for key in missing if "position_ids" not in key], missing
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tower", type=Path, help="folder of a CLIP image tower")
    parser.add_argument("language", help="folder or .gguf file of a chat model")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--layers", type=int, help="of the language model; default: all")
    parser.add_argument("--tower-layers", type=int, help="of the tower; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the projector")
    given = parser.parse_args()

    loaded = load_language(given.language)
    language, tokenizer = loaded.model, loaded.tokenizer
    tower = tower_of(given.tower, given.image_size, given.tower_layers)
    if given.layers:
        language.model.layers = language.model.layers[: given.layers]
        language.config.num_hidden_layers = given.layers
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    if len(tokenizer) > language.get_input_embeddings().num_embeddings:
        language.resize_token_embeddings(len(tokenizer))
    tied = bool(language.config.tie_word_embeddings)
    config = transformers.LlavaConfig(
        vision_config=tower.config,
        text_config=language.config,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(given.image_size // tower.config.patch_size) ** 2,
        tie_word_embeddings=tied,
    )
    torch.manual_seed(given.seed)
    model = transformers.LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    square = {"height": given.image_size, "width": given.image_size}
    processor = transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(size=square, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=tower.config.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    model.save_pretrained(given.out)
    processor.save_pretrained(given.out)
    parts = {
        "tower": model.model.vision_tower,
        "projector": model.model.multi_modal_projector,
        "language model": model.model.language_model,
    }
    for name, part in parts.items():
        print(f"{name}: {sum(p.numel() for p in part.parameters()) / 1e6:.1f} million weights")
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
