"""The demo's cells: people-emoji, four ways of fine-tuning, three seeds.

The task is gender; skin tones are audited. Two of the six tones are scarce in training (a tenth is
kept) and complete in the test split, where every picture has its twin in the other tones: a gap
between tones is the scarcity's doing, or chance, and not another difference between the pictures.
"""

from __future__ import annotations

from typing import Any

from fairlora.study.spec.run import RunSpec, parse_spec

SCARCE = {"skin_tone": {"medium-dark": 0.1, "dark": 0.1}}
STRENGTH = 1.0
# Rates were tried by hand on the validation split of seed 0 (two for LoRA, one for full).
METHODS: tuple[dict[str, Any], ...] = (
    {"adapter": {"kind": "lora", "rank": 8}, "training": {"learning_rate": 3e-3}},
    {
        "adapter": {"kind": "lora", "rank": 8},
        "objective": {"name": "loss-variance", "strength": STRENGTH, "groups": "skin_tone"},
        "training": {"learning_rate": 3e-3},
    },
    {"adapter": {"kind": "full"}, "training": {"learning_rate": 3e-4}},
    {
        "adapter": {"kind": "full"},
        "objective": {"name": "loss-variance", "strength": STRENGTH, "groups": "skin_tone"},
        "training": {"learning_rate": 3e-4},
    },
)

NOTES = (
    "The test split is the same in every run, and holds 16 families of emoji: another choice of "
    "families would move every number. The intervals speak of seeds (split of training and "
    "validation, head, adapter, order of the data), not of other pictures.",
    "Three seeds are few. Two methods whose intervals overlap are not shown to be equal, and a gap "
    "that may be chance is not shown to be nothing: no evidence of unfairness is not fairness.",
    "Settings were chosen by hand on the validation split of one seed, not by a search, and the "
    "methods do not stop at the same training loss: look at that column before comparing two.",
    "Emoji are drawings. What scarcity does to them says how the tools work, and little about "
    "photographs of people.",
)


def demo_specs(*, seeds: int = 3, epochs: float = 2) -> list[RunSpec]:
    """The demo's runs, methods within seeds, so that every method has a result early."""
    specs = []
    for seed in range(seeds):
        for method in METHODS:
            specs.append(
                parse_spec(
                    {
                        "name": "demo",
                        "data": {
                            "name": "people-emoji",
                            "target": "gender",
                            "groups": ["skin_tone", "renderer"],
                            "scarcity": SCARCE,
                        },
                        "audit": {"positive": "male"},
                        "seed": seed,
                        **{k: v for k, v in method.items() if k != "training"},
                        "training": {"epochs": epochs, **method["training"]},
                    }
                )
            )
    return specs
