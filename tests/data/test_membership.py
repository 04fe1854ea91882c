"""Which rows shadow models train on: exact halves, whole families, the same for every process."""

from __future__ import annotations

import numpy as np
import pytest

from fairlora.data import TARGET, Examples, MembershipPlan, assign_membership, assign_splits
from fairlora.errors import InputError


def examples(n: int = 400, family: bool = False, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    made = Examples(
        name="made-up",
        ids=np.array([f"row{k:04d}" for k in range(n)]),
        labels=rng.integers(0, 2, n),
        classes=("a", "b"),
        groups={"g": rng.choice(["x", "y", "z"], n, p=[0.6, 0.3, 0.1]).tolist()},
        fingerprint="made-up",
        texts=[f"text {k}" for k in range(n)],
        family=np.array([f"f{k // 3}" for k in range(n)]) if family else None,
    )
    return assign_splits(made, seed=0)


def crossed(model: int, rows: int | None = None) -> MembershipPlan:
    return MembershipPlan(design="crossed", model=model, rows=rows)


@pytest.mark.parametrize("family", [False, True])
@pytest.mark.parametrize("models", [2, 6, 16])
def test_crossed_every_row_is_in_exactly_half_of_the_models(models: int, family: bool) -> None:
    base = examples(family=family)
    assert base.split is not None
    parts = [assign_membership(base, crossed(k), 0).split for k in range(models)]
    grid = np.stack([part for part in parts if part is not None], axis=1)
    pool = base.split != "validation"
    assert (grid[~pool] == "validation").all()
    inside = (grid == "train")[pool]
    assert (inside.sum(axis=1) == models // 2).all()
    assert set(np.unique(grid[pool])) == {"train", "test"}
    # And every model has half of the rows, to within one family.
    off = np.abs(inside.sum(axis=0) - pool.sum() / 2)
    assert (off <= (40 if family else 0.5)).all()


def test_crossed_halves_are_halves_of_every_stratum() -> None:
    base = examples()
    split = assign_membership(base, crossed(3), 0).split
    assert split is not None
    assert base.split is not None
    for label in (0, 1):
        for group in ("x", "y", "z"):
            rows = (base.labels == label) & base.groups["g"].contains(group)
            inside, out = ((split[rows] == name).sum() for name in ("train", "test"))
            assert abs(int(inside) - int(out)) <= 2


def test_crossed_rows_limit_the_rows_for_all_models_alike() -> None:
    base = examples()
    limited = [assign_membership(base, crossed(k, rows=100), 0) for k in range(4)]
    assert all((one.ids == limited[0].ids).all() for one in limited)
    split = limited[0].split
    assert split is not None
    assert base.split is not None
    assert (split != "validation").sum() == 100
    assert (split == "validation").sum() == (base.split == "validation").sum()


@pytest.mark.parametrize("family", [False, True])
def test_papers_targets_are_no_shadow_models_rows(family: bool) -> None:
    base = examples(900, family)
    assert base.split is not None
    parts = [
        assign_membership(base, MembershipPlan(design="papers", model=k), 0).split for k in range(5)
    ]
    targets = parts[0] == TARGET
    members, others = targets & (base.split == "train"), targets & (base.split == "test")
    assert (members | others)[targets].all()
    assert members.sum() == pytest.approx(0.125 * (base.split == "train").sum(), rel=0.1)
    assert others.sum() == pytest.approx(0.5 * (base.split == "test").sum(), rel=0.1)
    for part in parts:
        assert part is not None
        assert ((part == TARGET) == targets).all()
        assert (part == "train").sum() == pytest.approx((~targets).sum() / 2, rel=0.05)
        assert (part == "validation").sum() == pytest.approx(
            (base.split == "validation").sum(), rel=0.2
        )
        assert (part == "test").any()
    assert len({tuple(part.tolist()) for part in parts if part is not None}) == 5


@pytest.mark.parametrize("plan", [MembershipPlan(design="papers", model=2), crossed(2)])
def test_families_are_in_together_or_out_together(plan: MembershipPlan) -> None:
    found = assign_membership(examples(900, family=True), plan, 0)
    assert found.family is not None
    assert found.split is not None
    for name in np.unique(found.family):
        own = found.split[found.family == name]
        if plan.design == "crossed":
            own = own[own != "validation"]
        assert len(set(own.tolist())) <= 1


def test_it_is_a_function_of_design_seed_and_model_alone() -> None:
    base = examples()
    for design in ("papers", "crossed"):
        plans = [MembershipPlan(design=design, model=k) for k in (0, 0, 1)]
        a, b, c = (assign_membership(base, plan, 0).split for plan in plans)
        assert a is not None
        assert b is not None
        assert c is not None
        assert (a == b).all()
        assert (a != c).any()
        other = assign_membership(base, plans[0], 1).split
        assert other is not None
        assert (a != other).any()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"design": "both", "model": 0}, "'papers' or 'crossed'"),
        ({"design": "crossed", "model": -1}, "model: out of range .found -1; expected >= 0"),
    ],
)
def test_bad_plans_are_one_line(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        MembershipPlan(**arguments)  # type: ignore[arg-type]


def test_too_few_rows_are_one_line() -> None:
    with pytest.raises(InputError, match="targets"):
        assign_membership(examples(12), MembershipPlan(design="papers", model=0, members=0.01), 0)
