"""What membership attacks gain from more shadow models, and why they come in the order they do.

Reads the models of one method from the folders of crossed studies: no model is trained or run.
Prints, as Markdown, margins of members and non-members by how hard an example is; how often each
group is told right; what either half of the online likelihood ratio finds by itself; and AUC and
TPR at 1 and 0.1 % FPR of each attack on the same eight targets, with 8, 16, 32 ... models.

    python scripts/privacy_shadows.py full runs/privacy-leak runs/privacy-leak-64
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import kurtosis

from fairlora.metrics.inference.intervals import Float
from fairlora.predictions import read_predictions
from fairlora.privacy import roc
from fairlora.privacy.attacks import ATTACKS
from fairlora.study.membership.scores import Trial, scores_of
from fairlora.study.runs.folder import RunFolder
from fairlora.study.spec.run import read_spec

TARGETS = 8
NAMES = (
    "lira-online-fixed",
    "lira-online",
    "lira-online-bavaria",
    "lira-online-bavaria-n",
    "lira-offline-fixed",
    "lira-offline",
    "lira-offline-bavaria",
    "rmia",
    "difference",
    "loss",
)


def models_of(method: str, studies: list[Path]) -> list[RunFolder]:
    """The finished crossed models of a method, in the design's order."""
    found: dict[int, RunFolder] = {}
    for study in studies:
        for path in sorted(study.glob("*-crossed*")):
            folder = RunFolder(path)
            spec = read_spec(path / "spec.yaml")
            membership = spec.data.membership
            if membership is not None and spec.method == method and folder.is_finished():
                found[membership.model] = folder
    if sorted(found) != list(range(len(found))):
        raise SystemExit(f"models {sorted(found)} of {method}: some are missing")
    return [found[k] for k in sorted(found)]


def sides(models: list[RunFolder]) -> tuple[Float, Float]:
    """Margins (n, models) where the example was trained on, and where not; else NaN."""
    tables = [read_predictions(folder.predictions) for folder in models]
    columns = []
    for table in tables:
        order = np.argsort(table.ids)
        order = order[table.split[order] != "validation"]
        assert table.margin is not None
        columns.append((table.margin[order].astype(np.float64), table.split[order] == "train"))
    margin, member = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
    return np.where(member, margin, np.nan), np.where(member, np.nan, margin)


def margins(models: list[RunFolder]) -> Iterator[str]:
    """Margins of examples where they were trained on and where not, in fifths by the latter."""
    inside, outside = sides(models)
    center = [np.nanmean(side, axis=1) for side in (inside, outside)]
    spread = [np.nanstd(side, axis=1, ddof=1) for side in (inside, outside)]
    fifth = np.searchsorted(np.quantile(center[1], [0.2, 0.4, 0.6, 0.8]), center[1])
    yield "| examples | members: mean | spread | non-members: mean | spread |"
    yield "|---|---:|---:|---:|---:|"
    names = ("hardest fifth", "second", "third", "fourth", "easiest fifth", "all")
    for k, name in enumerate(names):
        rows = fifth == k if k < 5 else np.ones(len(fifth), dtype=bool)
        cells = [
            text
            for mean, deviation in zip(center, spread, strict=True)
            for text in (
                f"{mean[rows].mean():.1f}",
                f"{np.sqrt((deviation[rows] ** 2).mean()):.2f}",
            )
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    low, high = np.quantile(spread[1], [0.1, 0.9])
    yield ""
    yield f"Spread of non-members, 10th and 90th percentile of examples: {low:.2f} and {high:.2f}."
    apart = inside - center[0][:, None]
    apart = apart[np.isfinite(apart)]
    yield f"Excess kurtosis of members about their own example's mean: {kurtosis(apart):.0f}."


def accuracies(models: list[RunFolder]) -> Iterator[str]:
    """How often each group is told right by models that trained on the example, and by others."""
    right: dict[tuple[str, str], list[list[float]]] = {}
    for folder in models:
        table = read_predictions(folder.predictions)
        hits, member = table.predictions == table.labels, table.split == "train"
        for attribute, column in table.groups.items():
            for k, name in enumerate(column.names):
                here = (column.codes == k) & (table.split != "validation")
                means = [hits[here & member].mean(), hits[here & ~member].mean(), here.sum()]
                right.setdefault((attribute, name), []).append(means)
    yield "| attribute | group | examples | right, trained on | right, not trained on |"
    yield "|---|---|---:|---:|---:|"
    for (attribute, name), found in right.items():
        inside, outside, count = np.mean(found, axis=0)
        cells = f"{count:.0f} | {100 * inside:.1f} | {100 * outside:.1f}"
        yield f"| {attribute} | {name} | {cells} |"


def halves(models: list[RunFolder]) -> Iterator[str]:
    """What each half of the online ratio with fixed variances finds, a model in turn the target."""
    inside, outside = sides(models)
    scores: dict[str, list[Float]] = {}
    members = []
    for target in range(len(models)):
        z = []
        x = np.where(np.isnan(inside[:, target]), outside[:, target], inside[:, target])
        for side in (inside, outside):
            others = np.delete(side, target, axis=1)
            center = np.nanmean(others, axis=1)
            apart = others - center[:, None]
            free = np.isfinite(apart).sum() - len(apart)
            z.append((x - center) / np.sqrt(np.nansum(apart**2) / free))
        near, far = z
        for name, score in {
            "non-members' half: how far above them": far,
            "members' half: how near to them": -(near**2),
            "both: LiRA online, fixed variance": far**2 - near**2,
            "both, and no minus above the members' mean": far**2 - np.minimum(near, 0) ** 2,
        }.items():
            scores.setdefault(name, []).append(score)
        members.append(np.isfinite(inside[:, target]))
    found = roc(
        {name: np.concatenate(parts) for name, parts in scores.items()},
        np.concatenate(members),
        clusters=np.tile(np.arange(len(inside)), len(models)),
        fprs=(0.01, 0.001),
        permutations=0,
    )
    yield f"| of {len(models)} models | AUC | TPR at 1 % | TPR at 0.1 % |"
    yield "|---|---:|---:|---:|"
    for name in scores:
        one = found.overall(name)
        found_of = [one["auc"], *(one["tpr_at_fpr"][fpr] for fpr in ("0.01", "0.001"))]
        values = [f"{100 * each['value']:.1f}" for each in found_of]
        yield f"| {name} | {' | '.join(values)} |"


def powers(models: list[RunFolder]) -> Iterator[str]:
    """Each attack on the same targets, by how many models there are."""
    counts = [8 * 2**k for k in range(8) if 8 * 2**k <= len(models)]
    yield f"| attack | | {' | '.join(f'{count} models' for count in counts)} |"
    yield "|---|---|" + "---:|" * len(counts)
    results = []
    for count in counts:
        scores = scores_of([Trial(0, None, tuple(models[:count]))], NAMES, targets=TARGETS)
        for name, why in scores.refused.items():
            yield f"{ATTACKS[name].title}, {count} models: {why}"
        found = roc(
            {ATTACKS[name].title: values for name, values in scores.scores.items()},
            scores.member,
            clusters=scores.clusters,
            fprs=(0.01, 0.001),
            permutations=0,
        )
        results.append(found)
    for name in NAMES:
        title = ATTACKS[name].title
        overall = [found.overall(title) if title in found.attacks else None for found in results]
        for label, of in (
            ("AUC", lambda one: one["auc"]),
            ("TPR at 1 %", lambda one: one["tpr_at_fpr"]["0.01"]),
            ("TPR at 0.1 %", lambda one: one["tpr_at_fpr"]["0.001"]),
        ):
            cells = []
            for one in overall:
                value = None if one is None else of(one)["value"]
                cells.append("" if value is None else f"{100 * value:.1f}")
            yield f"| {title} | {label} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", help="as the study has it: LoRA, full")
    parser.add_argument("study", type=Path, nargs="+", help="folders of studies")
    given = parser.parse_args()
    models = models_of(given.method, given.study)
    for line in (
        *margins(models),
        "",
        *accuracies(models),
        "",
        *halves(models[:16]),  # each the target in turn, as in the study
        "",
        *halves(models),
        "",
        *powers(models),
    ):
        print(line)


if __name__ == "__main__":
    main()
