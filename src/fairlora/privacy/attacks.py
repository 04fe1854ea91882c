"""The attacks by name, as study files and commands choose them: each turns evidence into scores.

Adding an attack is one function here and one row of `ATTACKS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairlora.errors import InputError, require_known
from fairlora.privacy.attack_inputs import Float, Floats
from fairlora.privacy.evidence import Evidence
from fairlora.privacy.lira import lira_offline, lira_online
from fairlora.privacy.lira_bayes import VariancePrior
from fairlora.privacy.loss import loss_attack
from fairlora.privacy.loss_difference import reference_difference
from fairlora.privacy.quantile import QuantileAttack
from fairlora.privacy.rmia import choose_a, rmia_offline
from fairlora.privacy.shadows import equal_counts
from fairlora.privacy.tokens import (
    base_ratio,
    error_zone,
    min_k,
    min_k_plus,
    window_comparison,
    zlib_ratio,
)

# What the authors use for CIFAR-10, where it is not chosen from the shadow models.
RMIA_A = 0.3
_ROWS_FOR_A, _MODELS_FOR_A = 2000, 8


@dataclass(frozen=True)
class AttackOptions:
    """The options of attacks.

    `seed` is of the shadow models that are left out where their numbers differ (`equal_counts`);
    `rmia_a` is that of `rmia_offline`; `ridge` that of `QuantileAttack`.
    """

    seed: int = 0
    rmia_a: float = RMIA_A
    ridge: float | None = None


@dataclass(frozen=True)
class NamedAttack:
    """An attack and what it takes.

    Attributes
    ----------
    title : what a report calls it.
    run : evidence and options -> (n,) scores.
    outside, inside : how many shadow models each example needs that did not, and that did, train
        on it.
    population, features : whether it reads the population, and features of the base model.
    usual : whether it is run where no attack is named; each more costs the others some of their
        corrected p-values.
    tokens, base : whether it reads a text's tokens, and those under the base model too.
    """

    title: str
    run: Callable[[Evidence, AttackOptions], Float]
    outside: int = 0
    inside: int = 0
    population: bool = False
    features: bool = False
    usual: bool = True
    tokens: bool = False
    base: bool = False


def _loss(given: Evidence, options: AttackOptions) -> Float:
    return loss_attack(given.loss)


def _outside(given: Evidence, values: Floats, seed: int) -> Floats:
    """(n, q, k) numbers under models that did not train on an example, as many for each."""
    known = given.without_training(values)
    return equal_counts(known, np.zeros(given.trained.shape, dtype=np.bool_), seed)


def _difference(given: Evidence, options: AttackOptions) -> Float:
    return reference_difference(given.margin, _outside(given, given.shadow_margin, options.seed))


def _offline(
    fixed: bool = False, prior: VariancePrior | None = None
) -> Callable[[Evidence, AttackOptions], Float]:
    def run(given: Evidence, options: AttackOptions) -> Float:
        shadows = _outside(given, given.shadow_margin, options.seed)
        return lira_offline(given.margin, shadows, fixed, prior=prior)

    return run


def _online(
    fixed: bool = False, prior: VariancePrior | None = None
) -> Callable[[Evidence, AttackOptions], Float]:
    def run(given: Evidence, options: AttackOptions) -> Float:
        shadows = equal_counts(given.shadow_margin, given.trained, options.seed)
        return lira_online(given.margin, shadows, given.trained, fixed, prior=prior)

    return run


def _rmia(given: Evidence, options: AttackOptions) -> Float:
    population = given.require_population("rmia")
    references = np.where(population.trained, np.nan, -population.shadow_loss)
    some = ~np.isnan(references).all(axis=1)
    if not some.any():
        raise InputError("all shadow models trained on all of the population", where="rmia")
    return rmia_offline(
        -given.loss,
        _outside(given, -given.shadow_loss, options.seed),
        -population.loss[some],
        references[some],
        options.rmia_a,
    )


def _quantile(given: Evidence, options: AttackOptions) -> Float:
    return _fitted(given, options).score(given.margin, given.features, given.ids)


def _fitted(given: Evidence, options: AttackOptions) -> QuantileAttack:
    population = given.require_population("quantile")
    if given.features is None or population.features is None:
        raise InputError("no features of the base model", where="quantile")
    attack = QuantileAttack(ridge=options.ridge, seed=options.seed)
    return attack.fit(population.margin, population.features, population.ids)


def _base_ratio(given: Evidence, options: AttackOptions) -> Float:
    tokens = given.require_tokens("base-ratio")
    return base_ratio(tokens.log_probs, tokens.base("base-ratio"))


def _error_zone(given: Evidence, options: AttackOptions) -> Float:
    tokens = given.require_tokens("ez-mia")
    return error_zone(tokens.log_probs, tokens.base("ez-mia"), tokens.top)


def _windows(given: Evidence, options: AttackOptions) -> Float:
    tokens = given.require_tokens("wbc")
    return window_comparison(tokens.log_probs, tokens.base("wbc"))


def _min_k(given: Evidence, options: AttackOptions) -> Float:
    return min_k(given.require_tokens("min-k").log_probs)


def _min_k_plus(given: Evidence, options: AttackOptions) -> Float:
    tokens = given.require_tokens("min-k++")
    return min_k_plus(tokens.log_probs, tokens.means, tokens.sds)


def _zlib(given: Evidence, options: AttackOptions) -> Float:
    tokens = given.require_tokens("zlib")
    return zlib_ratio(tokens.log_probs, tokens.compressed)


ATTACKS: dict[str, NamedAttack] = {
    "loss": NamedAttack("LOSS", _loss),
    "difference": NamedAttack("difference", _difference, outside=1),
    "lira-offline": NamedAttack("LiRA offline", _offline(), outside=2),
    "lira-offline-fixed": NamedAttack("LiRA offline, fixed variance", _offline(True), outside=1),
    "lira-offline-bavaria": NamedAttack(
        "LiRA offline, BaVarIA", _offline(prior=VariancePrior()), outside=1, usual=False
    ),
    "lira-online": NamedAttack("LiRA online", _online(), outside=2, inside=2),
    "lira-online-fixed": NamedAttack(
        "LiRA online, fixed variance", _online(True), outside=1, inside=1
    ),
    "lira-online-bavaria": NamedAttack(
        "LiRA online, BaVarIA", _online(prior=VariancePrior()), 1, 1, usual=False
    ),
    "lira-online-bavaria-n": NamedAttack(
        "LiRA online, BaVarIA-n", _online(prior=VariancePrior("normal")), 1, 1, usual=False
    ),
    "rmia": NamedAttack("RMIA offline", _rmia, outside=1, population=True),
    "quantile": NamedAttack("quantile regression", _quantile, population=True, features=True),
    "base-ratio": NamedAttack("ratio to the base", _base_ratio, tokens=True, base=True),
    "ez-mia": NamedAttack("EZ-MIA", _error_zone, tokens=True, base=True),
    "wbc": NamedAttack("WBC", _windows, tokens=True, base=True),
    "min-k++": NamedAttack("Min-K %++", _min_k_plus, tokens=True),
    "min-k": NamedAttack("Min-K %", _min_k, tokens=True),
    "zlib": NamedAttack("zlib ratio", _zlib, tokens=True),
}
# Without shadow models, of a language model; the first is the one that verdicts are about.
OF_TEXTS = (*(name for name, one in ATTACKS.items() if one.tokens), "loss")


def run_attacks(
    given: Evidence, names: Sequence[str], options: AttackOptions | None = None
) -> dict[str, Float]:
    """Scores of several attacks on one target model: name -> (n,), larger for a likelier member.

    Parameters
    ----------
    given : what the attacker has.
    names : of `ATTACKS`.
    options : what the attacks are run with; None is the defaults.

    Raises
    ------
    InputError : an unknown attack, or evidence that an attack cannot do with.
    """
    options = options or AttackOptions()
    require_known(names, ATTACKS, "attack", "attack")
    return {name: ATTACKS[name].run(given, options) for name in names}


def chosen_options(
    given: Evidence, names: Sequence[str], seed: int = 0, before: AttackOptions | None = None
) -> AttackOptions:
    """Choose the options for one target without its membership.

    RMIA's `a` by `choose_rmia_a`, for each target anew: the first target of a crossed design is a
    shadow model of the next, and what was chosen by its training rows must not be used against it.
    The ridge of quantile regression by cross-validation on the population, which no model trained
    on. Where one cannot be chosen it is left as it is by default: the attack itself says why it
    cannot be run.

    Parameters
    ----------
    given : what the attacker has.
    names : the attacks to be run; only what they need is chosen.
    seed : the options' seed.
    before : the options of the target before, whose ridge is kept, as the choice is slow; None
        chooses it.
    """
    options = AttackOptions(seed)
    with contextlib.suppress(InputError):
        if "rmia" in names:
            options = replace(options, rmia_a=choose_rmia_a(given))
    if before is not None:
        return replace(options, ridge=before.ridge)
    with contextlib.suppress(InputError):
        if "quantile" in names:
            options = replace(options, ridge=_fitted(given, options).chosen_ridge)
    return options


def choose_rmia_a(given: Evidence) -> float:
    """Choose RMIA's `a` by attacking the shadow models with each other; the target is not used.

    Needs two shadow models that each trained on some of the rows and a population that none of them
    trained on; `RMIA_A` where there is no such thing. Of many rows and models some are enough.
    """
    population = given.population
    models = np.flatnonzero(given.trained.any(axis=0) & ~given.trained.all(axis=0))[:_MODELS_FOR_A]
    if len(models) < 2 or population is None:
        return RMIA_A
    apart = np.flatnonzero(~population.trained[:, models].any(axis=1))[:_ROWS_FOR_A]
    # A row that all but one of them trained on leaves that one without a reference.
    usable = (~given.trained[:, models]).sum(axis=1) >= 2
    rows = np.flatnonzero(usable)
    # From all over the table: names in order often have ages or places in order.
    rows = rows[:: max(1, len(rows) // _ROWS_FOR_A)][:_ROWS_FOR_A]
    inside = given.trained[np.ix_(rows, models)]
    if not len(apart) or inside.all(axis=0).any() or not inside.any(axis=0).all():
        return RMIA_A
    return choose_a(
        -given.shadow_loss[rows, 0][:, models],
        inside,
        -population.shadow_loss[np.ix_(apart, models)],
    )
