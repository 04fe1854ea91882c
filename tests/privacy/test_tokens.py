"""Attacks on the tokens of texts: definitions, oracles, and what is refused."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from fairlora.errors import InputError
from fairlora.privacy import roc
from fairlora.privacy.attacks import ATTACKS, OF_TEXTS, run_attacks
from fairlora.privacy.evidence import Evidence
from fairlora.privacy.tokens import (
    WINDOWS,
    TokenRows,
    base_ratio,
    error_zone,
    min_k,
    min_k_plus,
    window_comparison,
    zlib_ratio,
)

number = st.floats(-20, 0, width=32)
token = st.tuples(number, number, st.booleans())
texts = st.lists(st.lists(token, min_size=1, max_size=50), min_size=1, max_size=5)


def columns(rows: Any) -> tuple[list[Any], list[Any], list[Any]]:
    first, second, third = ([np.array([t[k] for t in row]) for row in rows] for k in range(3))
    return first, second, third


@given(texts)
def test_every_attack_is_what_its_definition_says_token_by_token(rows: Any) -> None:
    own, base, top = columns(rows)
    for k, row in enumerate(rows):
        moved = [x - b for x, b, _ in row]
        assert base_ratio(own, base)[k] == pytest.approx(sum(moved) / len(row), abs=1e-9)
        lowest = sorted(x for x, _, _ in row)[: max(1, int(0.2 * len(row)))]
        assert min_k(own)[k] == pytest.approx(sum(lowest) / len(lowest))
        up = sum(d for d, (_, _, hit) in zip(moved, row, strict=True) if not hit and d > 0)
        down = -sum(d for d, (_, _, hit) in zip(moved, row, strict=True) if not hit and d < 0)
        found = error_zone(own, base, top)[k]
        if all(hit for _, _, hit in row):
            assert found == 1
        elif up + down == 0:
            assert found == 0.5
        else:
            # P / N and P / (P + N) order texts alike.
            assert found / (1 - found) == pytest.approx(up / down) if down else found == 1
        votes = []
        for window in WINDOWS:
            size = min(window, len(row))
            sums = [sum(moved[i : i + size]) for i in range(len(row) - size + 1)]
            if min(abs(s) for s in sums) < 1e-6:  # a sum of nothing has no sign
                break
            votes.append(sum(s > 0 for s in sums) / len(sums))
        else:
            assert window_comparison(own, base)[k] == pytest.approx(sum(votes) / len(votes))


def test_min_k_plus_is_the_vocabulary_s_standard_score() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(10, 30)) * 3
    logged = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    p = np.exp(logged)
    mean = (p * logged).sum(1)
    sd = np.sqrt((p * logged**2).sum(1) - mean**2)
    own = logged[np.arange(10), rng.integers(30, size=10)]
    wanted = np.sort((own - mean) / sd)[:2].mean()
    assert min_k_plus([own], [mean], [sd])[0] == pytest.approx(wanted)
    # A place where the model is sure has no spread, and its token is as likely as it can be.
    assert min_k_plus([np.zeros(3)], [np.zeros(3)], [np.zeros(3)]).tolist() == [0]


def test_zlib_ratio_is_loss_over_bytes() -> None:
    size = len(zlib.compress(b"the same the same the same", 9))
    assert zlib_ratio([[-1.0, -3.0]], [size]).tolist() == [-2 / size]
    with pytest.raises(InputError, match="bytes"):
        zlib_ratio([[-1.0]], [0])


@pytest.mark.parametrize("attack", [base_ratio, window_comparison])
def test_a_text_of_one_token_has_a_score(attack: Any) -> None:
    assert np.isfinite(attack([[-1.0]], [[-2.0]])).all()


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (([], []), "no texts"),
        (([[]], [[]]), "no tokens"),
        (([[-1.0]], [[-1.0, -2.0]]), "another number of tokens"),
        (([[-1.0]], [[-1.0], [-2.0]]), "another number of texts"),
        (([[-1.0]], [[np.nan]]), "not a finite number"),
        (([[-np.inf]], [[-1.0]]), "not a finite number"),
    ],
)
def test_rows_that_cannot_be_scored_are_one_line(rows: Any, line: str) -> None:
    with pytest.raises(InputError, match=line):
        base_ratio(*rows)


def test_shares_and_windows_out_of_range_are_one_line() -> None:
    for share in (0, 1.5):
        with pytest.raises(InputError, match="share"):
            min_k([[-1.0]], share)
    with pytest.raises(InputError, match="window"):
        window_comparison([[-1.0]], [[-1.0]], [0])


def made_up(rng: np.random.Generator, n: int, learnt: float) -> tuple[Evidence, Any]:
    """Texts of a base of some hardness each, of which members rose by `learnt` nats a token."""
    member = np.arange(n) % 2 == 0
    lengths = rng.integers(3, 30, size=n)
    base = [-np.abs(rng.normal(2 + rng.normal(), 1.5, size=t)) for t in lengths]
    own = [
        np.minimum(b + rng.normal(0.3, 0.5, size=len(b)) + learnt * inside, -1e-3)
        for b, inside in zip(base, member, strict=True)
    ]
    sds = [np.full(len(x), 1.0) for x in own]
    tokens = TokenRows(
        own, [np.full(len(x), -2.0) for x in own], sds, [x > -0.7 for x in own], base,
        10 + 5 * lengths,
    )  # fmt: skip
    loss = np.array([[-x.mean()] for x in own])
    none = np.zeros((n, 1, 0))
    ids = np.arange(n).astype(str)
    trained = np.zeros((n, 0), dtype=bool)
    return Evidence(ids, -loss, loss, none, none, trained, tokens=tokens), member


def test_every_attack_finds_members_and_the_base_finds_most() -> None:
    evidence, member = made_up(np.random.default_rng(0), 600, 0.6)
    found = roc(run_attacks(evidence, OF_TEXTS), member, permutations=0)
    auc = {name: found.overall(name)["auc"]["value"] for name in OF_TEXTS}
    assert all(value > 0.53 for value in auc.values()), auc
    of_base = [auc[name] for name in OF_TEXTS if ATTACKS[name].base]
    assert min(of_base) > max(value for name, value in auc.items() if not ATTACKS[name].base)


def test_p_values_are_uniform_where_there_is_nothing_to_find() -> None:
    rng = np.random.default_rng(1)
    p: dict[str, list[float]] = {name: [] for name in OF_TEXTS}
    for _ in range(120):
        evidence, member = made_up(rng, 80, 0.0)
        for name, scores in run_attacks(evidence, OF_TEXTS).items():
            own = roc(scores, member, permutations=0).overall()["auc"]["p"]
            p[name].append(own)
    for name, values in p.items():
        assert kstest(values, "uniform").pvalue > 0.005, name


def test_without_a_base_an_attack_that_reads_it_says_why() -> None:
    evidence, _ = made_up(np.random.default_rng(0), 10, 0.0)
    assert evidence.tokens is not None
    bare = TokenRows(
        *(getattr(evidence.tokens, k) for k in ("log_probs", "means", "sds", "top")),
        None,
        evidence.tokens.compressed,
        no_base="nothing was trained",
    )
    without = Evidence(**{**evidence.__dict__, "tokens": bare})
    for name in OF_TEXTS:
        if ATTACKS[name].base:
            with pytest.raises(InputError, match="nothing was trained"):
                run_attacks(without, [name])
        else:
            assert len(run_attacks(without, [name])[name]) == 10
    with pytest.raises(InputError, match="texts.parquet"):
        run_attacks(Evidence(**{**evidence.__dict__, "tokens": None}), ["min-k"])
