"""Make the embedded model: a small ViT that learns from pictures of objects, never of people.

The student is a `ViTForImageClassification` for 64 x 64 pictures (patch 8, width 192, 6 layers,
2.7 M parameters). It is taught by the CLIP ViT-B/16 image tower: on every augmented view of an
object picture it predicts the tower's pooled embedding and the tower's 64 patch tokens (the tower
sees the same view at 128 x 128, so that its 8 x 8 grid of patches lies on the student's), and
beside that the picture's Unicode subcategory. Whole names are held out, in all three renderers
together, so the accuracy in the model card is on emoji that neither loss has seen.

    python scripts/pretrain_embedded.py teacher --clip FOLDER_OR_HUB_ID --cache build/embedded
    python scripts/pretrain_embedded.py train --cache build/embedded --passes 64 --compile \\
        --out src/fairlora/assets/embedded

Both steps resume where they were stopped. Rebuild `objects.parquet` as `assets/README.md` says.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModelWithProjection, ViTConfig, ViTForImageClassification

HERE = Path(__file__).resolve().parent
OBJECTS = HERE.parent / "assets" / "objects.parquet"
CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
CLIP_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
PATCH_TARGETS = 192  # principal components kept of the teacher's patch tokens
HELD_OUT = 0.15


def read_objects(path: Path) -> tuple[Tensor, np.ndarray, list[str], np.ndarray]:
    """Pictures (n, 3, 64, 64) as uint8, labels, class names, and which rows are held out."""
    table = pq.read_table(path, columns=["name", "subcategory", "image"])
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(blob)).convert("RGB"))
            for blob in table["image"].to_pylist()
        ]
    )
    classes = sorted(set(table["subcategory"].to_pylist()))
    labels = np.array([classes.index(s) for s in table["subcategory"].to_pylist()])
    names = np.array(table["name"].to_pylist())
    order = np.random.default_rng(0).permutation(np.unique(names))
    held = np.isin(names, order[: int(HELD_OUT * len(order))])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels, classes, held


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """One random view of each picture: flip, rotation, scale, shift on white; colours moved."""
    n = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    angle, scale = uniform(-0.3, 0.3), torch.exp(uniform(math.log(0.75), math.log(1.9)))
    flip = (torch.rand(n, generator=generator) < 0.5).float() * 2 - 1
    # What is zoomed in may be moved further and still show some of the object.
    reach = 0.15 + 0.5 * (1 - 1 / scale).clamp(min=0)
    dx, dy = uniform(-1, 1) * reach, uniform(-1, 1) * reach
    theta = torch.stack(
        [
            torch.stack([flip * torch.cos(angle) / scale, -torch.sin(angle) / scale, dx], 1),
            torch.stack([flip * torch.sin(angle) / scale, torch.cos(angle) / scale, dy], 1),
        ],
        1,
    )
    x = images.float() / 255
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x - 1, grid, mode="bilinear", align_corners=False) + 1
    brightness, contrast, saturation = (uniform(0.7, 1.25).view(-1, 1, 1, 1) for _ in range(3))
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (mean + (x - mean) * contrast) * brightness
    swap = torch.rand(n, generator=generator) < 0.15  # other colours for the same shape
    if swap.any():
        x[swap] = x[swap][:, torch.randperm(3, generator=generator)]
    return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def teacher(arguments: argparse.Namespace) -> None:
    """Cache views and the teacher's targets, one file a view, so that a stop loses one view."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    images, _, _, held = read_objects(arguments.objects)
    images = images[~torch.from_numpy(held)]
    clip = CLIPVisionModelWithProjection.from_pretrained(arguments.clip, dtype=torch.float32).eval()

    @torch.no_grad()
    def targets(views: Tensor) -> tuple[Tensor, Tensor]:
        pooled, tokens = [], []
        for batch in views.split(64):
            x = F.interpolate(batch.float() / 255, size=128, mode="bicubic", align_corners=False)
            x = (x.clamp(0, 1) - CLIP_MEAN) / CLIP_STD
            with torch.autocast("cpu", dtype=torch.bfloat16):
                out = clip.vision_model(pixel_values=x, interpolate_pos_encoding=True)
                pooled.append(clip.visual_projection(out.pooler_output).float())
            tokens.append(clip.vision_model.post_layernorm(out.last_hidden_state[:, 1:].float()))
        return torch.cat(pooled), torch.cat(tokens)

    basis_file = arguments.cache / "basis.safetensors"
    if not basis_file.exists():
        some = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:600]
        pooled, tokens = targets(images[some])
        flat = tokens.flatten(0, 1)
        mean = flat.mean(0)
        _, singular, right = torch.linalg.svd(flat - mean, full_matrices=False)
        spread = singular[:PATCH_TARGETS] / math.sqrt(len(flat))
        # Half-way whitening: fine distinctions count without letting noise rule the loss.
        basis = right[:PATCH_TARGETS].T / spread.sqrt() / spread[0].sqrt()
        basis = basis / (((flat[:5000] - mean) @ basis).std() + 1e-6)
        save_file(
            {
                "mean": mean,
                "basis": basis.contiguous(),
                "pooled_mean": F.normalize(pooled, dim=1).mean(0),
            },
            basis_file,
        )
    basis = load_file(basis_file)
    for view in range(arguments.views):
        path = arguments.cache / f"view{view:02d}.safetensors"
        if path.exists():
            continue
        start = time.time()
        generator = torch.Generator().manual_seed(100 + view)
        pixels = torch.cat([augment(part, generator) for part in images.split(512)])
        pooled, tokens = targets(pixels)
        pooled = F.normalize(F.normalize(pooled, dim=1) - basis["pooled_mean"], dim=1)
        partial = path.with_suffix(".partial")
        save_file(
            {
                "pixels": pixels,
                "pooled": pooled,
                "tokens": ((tokens - basis["mean"]) @ basis["basis"]).half(),
            },
            partial,
        )
        partial.rename(path)
        print(f"view {view}: {len(images) / (time.time() - start):.0f} pictures/s", flush=True)


class Student(nn.Module):
    """The ViT, and the two projections that only pretraining needs."""

    def __init__(self, classes: list[str]) -> None:
        super().__init__()
        config = ViTConfig(
            image_size=64,
            patch_size=8,
            hidden_size=192,
            num_hidden_layers=6,
            num_attention_heads=3,
            intermediate_size=768,
            num_labels=len(classes),
            id2label=dict(enumerate(classes)),
            label2id={c: k for k, c in enumerate(classes)},
        )
        self.vit = ViTForImageClassification(config)
        self.to_pooled = nn.Linear(192, 512)
        self.to_tokens = nn.Linear(192, PATCH_TARGETS)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.vit.vit(pixel_values=pixels).last_hidden_state
        first = hidden[:, 0]
        return self.vit.classifier(first), self.to_pooled(first), self.to_tokens(hidden[:, 1:])


def normalise(pixels: Tensor) -> Tensor:
    """Mean 0.5, standard deviation 0.5: what the model card's preprocessor file says."""
    return pixels.float() / 127.5 - 1


@torch.no_grad()
def accuracy(student: Student, images: Tensor, labels: Tensor) -> float:
    student.eval()
    hits = [
        (student.vit(pixel_values=normalise(x)).logits.argmax(1) == y).float()
        for x, y in zip(images.split(256), labels.split(256), strict=True)
    ]
    student.train()
    return torch.cat(hits).mean().item()


def train(arguments: argparse.Namespace) -> None:
    """Teach the student; a checkpoint after every pass over one cached view of all pictures."""
    images, label_array, classes, held_array = read_objects(arguments.objects)
    labels, held = torch.from_numpy(label_array), torch.from_numpy(held_array)
    files = sorted(arguments.cache.glob("view*.safetensors"))
    if not files:
        raise SystemExit(f"{arguments.cache}: no cached views; run the 'teacher' step first")
    torch.manual_seed(0)
    student = Student(classes)
    # Dropout of the whole residual branch is not worth its noise at this size; weight decay is.
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=arguments.learning_rate, weight_decay=0.05, betas=(0.9, 0.98)
    )
    n = int((~held).sum())
    steps_a_pass = n // arguments.batch
    total = steps_a_pass * arguments.passes
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min(1, (s + 1) / (0.05 * total)) * 0.5 * (1 + math.cos(math.pi * s / total)),
    )
    log: list[dict[str, float]] = []
    first = 0
    checkpoint = arguments.cache / "student.safetensors"
    state_file = arguments.cache / "student.json"
    if checkpoint.exists() and state_file.exists():
        state = json.loads(state_file.read_text())
        if state["passes"] == arguments.passes:
            first, log = state["done"], state["log"]
            tensors = load_file(checkpoint)
            student.load_state_dict(
                {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
            )
            for k, p in enumerate(student.parameters()):
                optimizer.state[p] = {
                    "step": torch.tensor(float(first * steps_a_pass)),
                    "exp_avg": tensors[f"first.{k}"],
                    "exp_avg_sq": tensors[f"second.{k}"],
                }
            schedule.last_epoch = first * steps_a_pass
    forward = torch.compile(student) if arguments.compile else student
    train_labels = labels[~held]
    for done in range(first, arguments.passes):
        start = time.time()
        cached = load_file(files[done % len(files)])
        generator = torch.Generator().manual_seed(1000 + done)
        order = torch.randperm(n, generator=generator)
        sums = torch.zeros(3)
        for step in range(steps_a_pass):
            rows = order[step * arguments.batch : (step + 1) * arguments.batch]
            x = normalise(cached["pixels"][rows])
            logits, pooled, tokens = forward(x)
            by_class = F.cross_entropy(logits, train_labels[rows], label_smoothing=0.1)
            aim = cached["pooled"][rows]
            # The picture's own embedding among the batch's: the shape of the space, not its scale.
            likeness = F.normalize(pooled, dim=1) @ aim.T / 0.07
            soft = (aim @ aim.T / 0.07).softmax(1)
            by_picture = -(soft * likeness.log_softmax(1)).sum(1).mean()
            by_patch = F.smooth_l1_loss(tokens, cached["tokens"][rows].float())
            loss = 0.3 * by_class + by_picture + 4.0 * by_patch
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            sums += torch.stack([by_class, by_picture, by_patch]).detach()
        row = {
            "pass": done + 1,
            "class_loss": round(float(sums[0]) / steps_a_pass, 4),
            "picture_loss": round(float(sums[1]) / steps_a_pass, 4),
            "patch_loss": round(float(sums[2]) / steps_a_pass, 4),
            "held_out_accuracy": round(accuracy(student, images[held], labels[held]), 4),
            "seconds": round(time.time() - start, 1),
        }
        log.append(row)
        print(row, flush=True)
        tensors = {f"model.{k}": v for k, v in student.state_dict().items()}
        for k, p in enumerate(student.parameters()):
            tensors[f"first.{k}"] = optimizer.state[p]["exp_avg"]
            tensors[f"second.{k}"] = optimizer.state[p]["exp_avg_sq"]
        save_file(tensors, checkpoint.with_suffix(".partial"))
        checkpoint.with_suffix(".partial").rename(checkpoint)
        state_file.write_text(
            json.dumps({"passes": arguments.passes, "done": done + 1, "log": log})
        )

    arguments.out.mkdir(parents=True, exist_ok=True)
    student.vit.half().save_pretrained(arguments.out)
    (arguments.out / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "ViTImageProcessor",
                "do_resize": True,
                "size": {"height": 64, "width": 64},
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
            },
            indent=1,
        )
        + "\n"
    )
    (arguments.out / "pretraining.json").write_text(
        json.dumps(
            {
                "pictures": n,
                "held_out_pictures": int(held.sum()),
                "classes": len(classes),
                "views": len(files),
                "passes": arguments.passes,
                "batch": arguments.batch,
                "learning_rate": arguments.learning_rate,
                "held_out_accuracy": log[-1]["held_out_accuracy"],
                "log": log,
            },
            indent=1,
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    steps = parser.add_subparsers(required=True)
    for name, step in (("teacher", teacher), ("train", train)):
        sub = steps.add_parser(name, help=(step.__doc__ or "").split("\n")[0])
        sub.set_defaults(step=step)
        sub.add_argument("--objects", type=Path, default=OBJECTS)
        sub.add_argument("--cache", type=Path, default=Path("build/embedded"))
        if name == "teacher":
            sub.add_argument("--clip", default="openai/clip-vit-base-patch16")
            sub.add_argument("--views", type=int, default=8)
        else:
            sub.add_argument("--out", type=Path, required=True)
            sub.add_argument("--passes", type=int, default=64)
            sub.add_argument("--batch", type=int, default=64)
            sub.add_argument("--learning-rate", type=float, default=1e-3)
            sub.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    arguments.step(arguments)


if __name__ == "__main__":
    main()
