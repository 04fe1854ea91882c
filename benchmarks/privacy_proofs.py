"""Membership inference by simulation: p-values, power, coverage, where the truth is known.

See `privacy.py`, which runs these; `share` is of the simulations.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def nothing_to_find(seed: int, n: int = 400, k: int = 8) -> tuple[dict[str, Any], Any]:
    """Every attack's scores of examples that no model was trained on; half are called members."""
    from fairlora.privacy import (
        QuantileAttack,
        lira_offline,
        lira_online,
        loss_attack,
        reference_difference,
        rmia_offline,
    )

    rng = np.random.default_rng([7, seed])
    hard = 2 * rng.normal(size=n)
    margins = hard[:, None] + rng.normal(size=(n, k + 1))
    target, shadows = margins[:, 0], margins[:, 1:]
    trained = rng.random((n, k)).argsort(axis=1) < k // 2
    out = np.where(trained, np.nan, shadows)
    logp = -np.logaddexp(0, -margins)
    z = -np.logaddexp(0, -(2 * rng.normal(size=(500, 1)) + rng.normal(size=(500, k + 1))))
    base = 2 * rng.normal(size=(300, 1))

    def features(of: Any) -> Any:
        return of + rng.normal(size=of.shape)

    regression = QuantileAttack(ridge=1.0).fit(
        (base + rng.normal(size=base.shape))[:, 0], features(base)
    )
    scores = {
        "loss": loss_attack(-logp[:, 0]),
        "lira offline": lira_offline(target, out),
        "lira offline, fixed variance": lira_offline(target, out, True),
        "lira online": lira_online(target, shadows, trained),
        "lira online, fixed variance": lira_online(target, shadows, trained, True),
        "difference": reference_difference(target, out),
        "rmia": rmia_offline(logp[:, 0], logp[:, 1:], z[:, 0], z[:, 1:]),
        "quantile": regression.score(target, features(hard[:, None])),
    }
    return scores, rng.random(n) < 0.5


def proof_nothing(share: float) -> dict[str, Any]:
    """P-values of each attack where there is nothing to find, and of gaps between groups."""
    from scipy.stats import kstest

    from fairlora.privacy import roc

    times = max(50, round(1000 * share))
    auc: dict[str, list[float]] = {}
    covered: dict[str, int] = {}
    gaps: dict[str, list[float]] = {}
    beyond: dict[str, int] = {}
    for seed in range(times):
        scores, member = nothing_to_find(seed)
        rng = np.random.default_rng([8, seed])
        group = rng.choice(["a", "b", "c"], len(member), p=[0.6, 0.3, 0.1])
        found = roc(scores, member, permutations=0, seed=seed)
        for name in found.attacks:
            one = found.overall(name)["auc"]
            auc.setdefault(name, []).append(one["p"])
            covered[name] = covered.get(name, 0) + (one["low"] <= 0.5 <= one["high"])
        # An attack that works, and alike on all groups.
        works = scores["difference"] + 1.5 * member
        judged = roc(works, member, {"g": group}, permutations=199, seed=seed, fprs=(0.1,))
        for name, gap in judged.attack()["gaps"]["g"].items():
            gaps.setdefault(name, []).append(gap["p"])
            beyond[name] = beyond.get(name, 0) + (gap["low"] > 0)
    return {
        "work": f"{times:,} simulations of nothing to find, 400 examples, 8 shadow models",
        "auc_above_chance": {
            name: {
                **_uniform(p, kstest),
                "interval_holds_one_half": round(covered[name] / times, 4),
            }
            for name, p in auc.items()
        },
        "gaps_between_groups": {
            name: {
                **_uniform(p, kstest),
                "interval_leaves_out_no_gap": round(beyond[name] / times, 4),
            }
            for name, p in gaps.items()
        },
    }


def _uniform(p: list[float], kstest: Any) -> dict[str, float]:
    """How far p-values are from uniform; undefined ones count in neither."""
    values = np.array([one for one in p if one is not None])
    return {
        "simulations": len(values),
        "mean": round(float(values.mean()), 3),
        "share_below_0.05": round(float((values <= 0.05).mean()), 3),
        "kolmogorov_smirnov_p": round(float(kstest(values, "uniform").pvalue), 4),
    }


def proof_power(share: float) -> dict[str, Any]:
    """AUC and TPR of LiRA as shadow models grow, beside Neyman and Pearson's best test."""
    from scipy.stats import norm

    from fairlora.privacy import VariancePrior, lira_offline, lira_online, roc

    shift, n, rows = 2.0, 5000, []
    times = max(2, round(20 * share))
    for k in (4, 8, 16, 32, 64, 128, 256):
        sums: dict[str, list[tuple[float, float]]] = {}
        for seed in range(times):
            rng = np.random.default_rng([9, seed, k])
            center, sigma = 3 * rng.normal(size=n), np.exp(0.5 * rng.normal(size=n))
            member = np.arange(n) % 2 == 0
            target = center + sigma * (rng.normal(size=n) + shift * member)
            trained = rng.random((n, k)).argsort(axis=1) < k // 2
            noise = rng.normal(size=(n, k)) + shift * trained
            shadows = center[:, None] + sigma[:, None] * noise
            out = np.where(trained, np.nan, shadows)
            scores = {
                "online": lira_online(target, shadows, trained),
                "online, fixed variance": lira_online(target, shadows, trained, True),
                "online, BaVarIA": lira_online(target, shadows, trained, prior=VariancePrior()),
                "online, BaVarIA-n": lira_online(
                    target, shadows, trained, prior=VariancePrior("normal")
                ),
                "online, BaVarIA, own spread": lira_online(
                    target, shadows, trained, prior=VariancePrior(spread="own")
                ),
                "offline": lira_offline(target, out),
                "offline, fixed variance": lira_offline(target, out, True),
                "offline, BaVarIA": lira_offline(target, out, prior=VariancePrior()),
                "offline, BaVarIA, own spread": lira_offline(
                    target, out, prior=VariancePrior(spread="own")
                ),
            }
            found = roc(scores, member, permutations=0, fprs=(0.01,))
            for name in found.attacks:
                one = found.overall(name)
                point = one["tpr_at_fpr"]["0.01"]["value"]
                sums.setdefault(name, []).append((one["auc"]["value"], point))
        rows.append(
            {
                "shadow_models": k,
                **{
                    name: {
                        "auc": round(float(np.mean([v[0] for v in values])), 4),
                        "tpr_at_1_percent": round(float(np.mean([v[1] for v in values])), 4),
                    }
                    for name, values in sums.items()
                },
            }
        )
    return {
        "work": f"LiRA, margins of known normal distributions, {times} x {n:,} examples",
        "neyman_pearson": {
            "auc": round(float(norm.cdf(shift / np.sqrt(2))), 4),
            "tpr_at_1_percent": round(float(norm.sf(norm.isf(0.01) - shift)), 4),
        },
        "rows": rows,
    }


def proof_bands(share: float) -> dict[str, Any]:
    """How often the 95 % intervals of a ROC's points hold the truth."""
    from scipy.stats import norm

    from fairlora.metrics.curves.roc_intervals import allowed
    from fairlora.metrics.curves.roc_scores import Sides

    times = max(200, round(4000 * share))
    rng = np.random.default_rng(11)
    rows = []
    for m, n in ((50, 50), (200, 200), (1000, 1000), (1000, 200), (200, 2000)):
        for shift in (0.0, 0.5, 2.0):
            for fpr in (0.1, 0.01):
                if fpr * n < 1:
                    continue
                true, at = float(norm.sf(norm.isf(fpr) - shift)), np.array([fpr])
                hits = {"band": 0, "tpr_alone": 0, "realised_fpr": 0, "tpr_of_the_threshold": 0}
                width = 0.0
                for _ in range(times):
                    sides = Sides(
                        -np.sort(-(rng.normal(size=m) + shift)), -np.sort(-rng.normal(size=n))
                    )
                    band = sides.band(at, 0.95)[1]
                    threshold = sides.thresholds(allowed(at, n))
                    own = sides.rate(threshold, 0.95, "positives")[1]
                    around = sides.rate(threshold, 0.95, "negatives")[1]
                    there = norm.sf(threshold[0] - shift), norm.sf(threshold[0])
                    hits["band"] += band.low[0] <= true <= band.high[0]
                    hits["tpr_alone"] += own.low[0] <= true <= own.high[0]
                    hits["tpr_of_the_threshold"] += own.low[0] <= there[0] <= own.high[0]
                    hits["realised_fpr"] += around.low[0] <= there[1] <= around.high[0]
                    width += float(band.high[0] - band.low[0])
                rows.append(
                    {
                        "members": m,
                        "non_members": n,
                        "shift": shift,
                        "fpr": fpr,
                        "true_tpr": round(true, 4),
                        **{name: round(count / times, 4) for name, count in hits.items()},
                        "mean_width_of_band": round(width / times, 4),
                    }
                )
    return {"work": f"coverage of 95 % intervals, {times:,} simulations each", "rows": rows}


def proof_paired(share: float) -> dict[str, Any]:
    """P-values and verdicts where two models leak alike, by simulation."""
    from scipy.stats import kstest

    from fairlora.privacy import compare_attacks

    times = max(50, round(500 * share))
    rng = np.random.default_rng(12)
    found: dict[str, list[float]] = {}
    verdicts: dict[str, int] = {}
    for seed in range(times):
        member = np.arange(800) % 2 == 0
        group = np.where(rng.random(800) < 0.3, "a", "b")
        shared = rng.normal(size=800) + member
        pair = [shared + 0.7 * rng.normal(size=800) for _ in range(2)]
        result = compare_attacks(
            *pair, member, {"g": group}, bootstrap=300, seed=seed, fprs=(0.1,)
        ).to_dict()
        rows = {**result["overall"], **result["disparities"]["g"]}
        for name, row in rows.items():
            found.setdefault(name, []).append(row["p"])
        word = result["overall"]["auc"]["verdict"]
        verdicts[word] = verdicts.get(word, 0) + 1
    return {
        "work": f"two models that leak alike, {times} simulations",
        "p": {name: _uniform(values, kstest) for name, values in found.items()},
        "verdicts_on_the_auc": verdicts,
    }


def proof_counts(share: float) -> dict[str, Any]:
    """The crossed design's trap: unequal numbers of shadow models tell of members, or hide them."""
    from fairlora.privacy import equal_counts, lira_online, roc

    n, rows = max(20_000, round(200_000 * share)), []
    for k in (8, 16, 32):
        rng = np.random.default_rng([13, k])
        margins = rng.normal(size=(n, k))
        trained = rng.random((n, k)).argsort(axis=1) < k // 2
        target, shadows = margins[:, 0], margins[:, 1:]
        member, inside = trained[:, 0], trained[:, 1:]
        scores = {
            "as they are": lira_online(target, shadows, inside),
            "equal_counts": lira_online(target, equal_counts(shadows, inside), inside),
        }
        found = roc(scores, member, permutations=0)
        rows.append(
            {
                "models": k,
                **{
                    name: {
                        key: round(found.overall(name)["auc"][key], 4)
                        for key in ("value", "low", "high")
                    }
                    for name in found.attacks
                },
            }
        )
    return {"work": f"AUC of online LiRA where nothing is to be found, {n:,} rows", "rows": rows}


def crossed_nothing(seed: int, n: int = 300, models: int = 8) -> tuple[dict[str, Any], Any, Any]:
    """A crossed design in which nothing was learned: scores, membership and example of each row."""
    from fairlora.privacy.attacks import run_attacks
    from fairlora.privacy.evidence import Evidence

    rng = np.random.default_rng([15, seed])
    margins = 2 * rng.normal(size=(n, 1)) + rng.normal(size=(n, models))
    losses = np.logaddexp(0, -margins)
    half = rng.random((n // 2, models)).argsort(axis=1) < models // 2
    # As in a study: of two neighbours each model trains on one.
    inside = np.stack([half, ~half], axis=1).reshape(n, models)
    names = ("loss", "difference", "lira-offline", "lira-online-fixed")
    scores: dict[str, list[Any]] = {name: [] for name in names}
    for target in range(models):
        rest = [k for k in range(models) if k != target]
        found = run_attacks(
            Evidence(
                np.arange(n).astype(str),
                margins[:, [target]],
                losses[:, [target]],
                margins[:, None, rest],
                losses[:, None, rest],
                inside[:, rest],
            ),
            names,
        )
        for name in names:
            scores[name].append(found[name])
    rows = np.tile(np.arange(n), models)
    return {name: np.concatenate(s) for name, s in scores.items()}, inside.T.reshape(-1), rows


def proof_crossed(share: float) -> dict[str, Any]:
    """Each of 8 models is the target in turn, and nothing is to be found: p-values, intervals."""
    from scipy.stats import kstest

    from fairlora.privacy import roc

    times = max(50, round(400 * share))
    p: dict[str, list[float]] = {}
    held: dict[str, int] = {}
    width: dict[str, float] = {}
    for seed in range(times):
        scores, member, example = crossed_nothing(seed)
        found = roc(scores, member, clusters=example, permutations=0, fprs=(0.1,))
        for name in found.attacks:
            auc = found.overall(name)["auc"]
            p.setdefault(name, []).append(auc["p"])
            held[name] = held.get(name, 0) + (auc["low"] <= 0.5 <= auc["high"])
            width[name] = width.get(name, 0.0) + auc["high"] - auc["low"]
    return {
        "work": f"crossed design, 300 examples under 8 targets, {times} simulations",
        "auc_above_chance": {
            name: {
                **_uniform(values, kstest),
                "interval_holds_one_half": round(held[name] / times, 4),
                "mean_width_of_interval": round(width[name] / times, 4),
            }
            for name, values in p.items()
        },
    }


def proof_shift(share: float) -> dict[str, Any]:
    """How often the interval of a Frechet distance holds the populations', by rows a feature."""
    from fairlora.probes.frechet import frechet_distance, frechet_of_rows
    from fairlora.probes.shift import interval_of

    times, rows = max(50, round(400 * share)), []
    # The width, rows of each set, how far the means are apart, ratio of the variances.
    for d, n, m, off, ratio in (
        (8, 200, 200, 1.0, 1.0),
        (8, 200, 200, 0.3, 1.0),
        (8, 100, 300, 0.0, 2.0),
        (20, 100, 100, 1.0, 1.5),
        (30, 60, 60, 1.0, 1.0),
    ):
        mean = np.zeros(d)
        mean[0] = off
        true = frechet_distance(np.zeros(d), np.eye(d), mean, ratio * np.eye(d)).value
        held, values, corrected = 0, [], []
        for seed in range(times):
            rng = np.random.default_rng([13, seed, d, n])
            first = rng.normal(size=(n, d))
            second = mean + np.sqrt(ratio) * rng.normal(size=(m, d))
            value = frechet_of_rows(first, second).value
            # Below five rows a feature `shift` gives no interval, and this says why.
            found = interval_of([first, second], value, draws=100, seed=seed)
            held += found["low"] <= true <= found["high"]
            values.append(value)
            corrected.append(found["corrected"])
        rows.append(
            {
                "features": d,
                "rows": [n, m],
                "rows_a_feature": round(min(n, m) / d, 1),
                "true": round(true, 3),
                "mean_value": round(float(np.mean(values)), 3),
                "mean_less_its_bias": round(float(np.mean(corrected)), 3),
                "interval_holds": round(held / times, 3),
            }
        )
    return {"work": f"95 % intervals of a Frechet distance, {times} simulations each", "rows": rows}
