"""Attacks by name, from the evidence against one target to scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.privacy import lira_offline, lira_online, roc
from fairlora.privacy.attacks import (
    ATTACKS,
    RMIA_A,
    AttackOptions,
    choose_rmia_a,
    chosen_options,
    run_attacks,
)
from fairlora.privacy.evidence import Evidence, Population


def made_up(simulate: Callable[..., Any], k: int = 16, shift: float = 1.5) -> tuple[Evidence, Any]:
    found = simulate(n=1200, k=k, shift=shift)
    rows, rest = np.arange(800), np.arange(800, 1200)
    rng = np.random.default_rng(1)
    # Nobody trained on the population.
    z = found.center[rest, None] + rng.normal(size=(len(rest), k + 1))

    def loss(margin: Any) -> Any:
        return np.logaddexp(0, -margin)

    evidence = Evidence(
        ids=rows.astype(str),
        margin=found.target[rows, None],
        loss=loss(found.target[rows, None]),
        shadow_margin=found.shadows[rows][:, None, :],
        shadow_loss=loss(found.shadows[rows][:, None, :]),
        trained=found.trained[rows],
        population=Population(
            rest.astype(str),
            z[:, 0],
            loss(z[:, 0]),
            loss(z[:, 1:]),
            np.zeros((len(rest), k), dtype=bool),
            found.center[rest, None],
        ),
        features=found.center[rows, None],
    )
    return evidence, found.member[rows]


def test_every_attack_finds_the_members(simulate: Callable[..., Any]) -> None:
    evidence, member = made_up(simulate)
    names = [name for name, one in ATTACKS.items() if not one.tokens]
    scores = run_attacks(evidence, names, chosen_options(evidence, names))
    found = roc(scores, member, permutations=0)
    auc = {name: found.overall(name)["auc"]["value"] for name in names}
    # Of margins that are this far apart LOSS sees mostly how hard an example is.
    assert 0.55 < auc["loss"] < 0.75
    # The best test there is reaches 0.856; RMIA sees probabilities, which saturate.
    least = {"rmia": 0.7, "quantile": 0.7}
    for name in set(names) - {"loss"}:
        assert least.get(name, 0.8) < auc[name] < 0.88, name


def test_a_name_is_the_function(simulate: Callable[..., Any]) -> None:
    evidence, _ = made_up(simulate)
    x, shadows, trained = evidence.margin, evidence.shadow_margin, evidence.trained
    scores = run_attacks(evidence, ["lira-online", "lira-offline-fixed"])
    # Every row is in half of the models here: none has to be left out.
    np.testing.assert_allclose(scores["lira-online"], lira_online(x, shadows, trained))
    out = np.where(trained[:, None, :], np.nan, shadows)
    np.testing.assert_allclose(scores["lira-offline-fixed"], lira_offline(x, out, True))


def test_a_of_rmia_is_chosen_from_the_shadow_models_alone(simulate: Callable[..., Any]) -> None:
    evidence, _ = made_up(simulate)
    a = choose_rmia_a(evidence)
    assert 0 <= a <= 1
    moved = Evidence(**{**evidence.__dict__, "margin": -evidence.margin, "loss": evidence.loss + 1})
    assert choose_rmia_a(moved) == a
    offline = Evidence(**{**evidence.__dict__, "trained": np.zeros_like(evidence.trained)})
    assert choose_rmia_a(offline) == RMIA_A


def test_what_an_attack_lacks_is_one_line(simulate: Callable[..., Any]) -> None:
    evidence, _ = made_up(simulate)
    bare = Evidence(**{**evidence.__dict__, "population": None, "features": None})
    for name, line in (("rmia", "beside the attacked"), ("quantile", "beside the attacked")):
        with pytest.raises(InputError, match=line):
            run_attacks(bare, [name])
    without = Evidence(**{**evidence.__dict__, "features": None})
    with pytest.raises(InputError, match="no features"):
        run_attacks(without, ["quantile"])
    with pytest.raises(InputError, match="no such attack"):
        run_attacks(evidence, ["lira"])
    all_in = Evidence(**{**evidence.__dict__, "trained": np.ones_like(evidence.trained)})
    with pytest.raises(InputError, match="no shadow model"):
        run_attacks(all_in, ["difference"], AttackOptions())


def test_shapes_that_do_not_agree_are_one_line(simulate: Callable[..., Any]) -> None:
    evidence, _ = made_up(simulate)
    with pytest.raises(InputError, match="shadow_loss"):
        Evidence(**{**evidence.__dict__, "shadow_loss": evidence.shadow_loss[:, :, 1:]})


def test_a_is_chosen_for_each_target_anew_and_the_ridge_once(
    simulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crossed design's first target is a shadow model of the next: its rows must not help."""
    evidence, _ = made_up(simulate)
    chosen = iter((0.2, 0.8))
    monkeypatch.setattr("fairlora.privacy.attacks.choose_rmia_a", lambda given: next(chosen))
    first = chosen_options(evidence, ["rmia", "quantile"])
    second = chosen_options(evidence, ["rmia", "quantile"], before=first)
    assert (first.rmia_a, second.rmia_a) == (0.2, 0.8)
    assert first.ridge is not None
    assert second.ridge == first.ridge


def test_options_that_cannot_be_chosen_are_left_and_the_attack_says_why(
    simulate: Callable[..., Any],
) -> None:
    evidence, _ = made_up(simulate)
    broken = evidence.shadow_loss.copy()
    broken[3, 0, 2] = np.inf
    given = Evidence(**{**evidence.__dict__, "shadow_loss": broken})
    options = chosen_options(given, ["rmia", "loss"])
    assert options.rmia_a == RMIA_A
    assert len(run_attacks(given, ["loss"], options)["loss"]) == 800
    with pytest.raises(InputError, match="no logarithm"):
        run_attacks(given, ["rmia"], options)


def test_a_study_can_name_every_attack() -> None:
    from typing import get_args

    from fairlora.study.spec.privacy import AttackName

    assert set(get_args(AttackName)) == set(ATTACKS)
