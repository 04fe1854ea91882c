"""From predictions tables to evidence: whose rows are whose, in whatever order they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.errors import InputError
from fairlora.predictions import PredictionsWriter, group_column, score_logits
from fairlora.study.membership.evidence import evidence_of, queries_of, read_sheet
from fairlora.study.membership.scores import SCORES, Scores, shared, take
from fairlora.study.runs.cache import Cache
from fairlora.study.runs.folder import RunFolder

IDS = ["a", "b", "c", "d", "e", "f"]


def run(folder: Path, split: str, seed: int, *, flip: bool = False, ids: list[str] = IDS) -> Any:
    """A run's folder whose table has its rows in an order of its own; logits by id."""
    rng = np.random.default_rng(seed)
    logits = dict(zip(ids, rng.normal(size=(len(ids), 2)), strict=True))
    words = {"t": "train", "v": "validation", "s": "test", "x": "target"}
    splits = dict(zip(ids, [words[letter] for letter in split], strict=True))
    order = list(rng.permutation(ids))
    found = RunFolder(folder)
    for path, factor in ((found.predictions, 1), (found.query("flip"), 2)):
        if factor == 2 and not flip:
            continue
        with PredictionsWriter(path, ("no", "yes"), ["g"]) as writer:
            writer.append(
                order,
                [splits[i] for i in order],
                [0] * len(order),
                score_logits(np.array([logits[i] * factor for i in order]), [0] * len(order)),
                {"g": ["xy"[i in "abc"] for i in order]},
            )
    return found, {i: float(pair[0] - pair[1]) for i, pair in logits.items()}


def test_crossed_tables_give_rows_trained_or_not_by_each_model(tmp_path: Path) -> None:
    runs = [run(tmp_path / str(k), s, k) for k, s in enumerate(("tstsvv", "sttsvv", "tsstvv"))]
    sheet = read_sheet([folder for folder, _ in runs])
    assert sheet.ids.tolist() == IDS
    judged = evidence_of(sheet, 0, [1, 2])
    assert judged.evidence.ids.tolist() == ["a", "b", "c", "d"]
    assert judged.member.tolist() == [True, False, True, False]
    assert judged.evidence.trained.tolist() == [
        [False, True],
        [True, False],
        [True, False],
        [False, True],
    ]
    margins = runs[0][1]
    np.testing.assert_allclose(
        judged.evidence.margin[:, 0], [margins[i] for i in "abcd"], rtol=1e-5
    )
    np.testing.assert_allclose(
        judged.evidence.shadow_margin[:, 0, 1], [runs[2][1][i] for i in "abcd"], rtol=1e-5
    )
    population = judged.evidence.population
    assert population is not None
    assert population.ids.tolist() == ["e", "f"]
    assert not population.trained.any()


def test_papers_targets_are_the_rows_that_shadow_models_call_so(tmp_path: Path) -> None:
    target, _ = run(tmp_path / "target", "ttsstv", 0)
    shadows = [run(tmp_path / s, s, k)[0] for k, s in enumerate(("xtxsts", "xsxtvt"), start=1)]
    judged = evidence_of(read_sheet([target, *shadows]), 0, [1, 2])
    assert judged.evidence.ids.tolist() == ["a", "c"]
    assert judged.member.tolist() == [True, False]
    assert not judged.evidence.trained.any()
    population = judged.evidence.population
    assert population is not None
    # Rows that the target did not train on, and that are not attacked.
    assert population.ids.tolist() == ["d", "f"]
    assert population.trained.tolist() == [[False, True], [False, True]]


def test_queries_that_all_models_have_are_read(tmp_path: Path) -> None:
    folders = [run(tmp_path / str(k), "tstsvv", k, flip=True)[0] for k in range(2)]
    assert queries_of(folders[0]) == ("flip",)
    sheet = read_sheet(folders)
    assert sheet.margin.shape == (6, 2, 2)
    np.testing.assert_allclose(sheet.margin[:, 1], 2 * sheet.margin[:, 0], rtol=1e-4)
    without, _ = run(tmp_path / "without", "tstsvv", 5)
    assert read_sheet([*folders, without]).margin.shape == (6, 1, 3)


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    target, _ = run(tmp_path / "target", "ttsstv", 0)
    other, _ = run(tmp_path / "other", "ttsst", 1, ids=IDS[:5])
    with pytest.raises(InputError, match=r"other rows.*'f'"):
        read_sheet([target, other])
    first, _ = run(tmp_path / "first", "xtxsts", 1)
    second, _ = run(tmp_path / "second", "txxsts", 2)
    with pytest.raises(InputError, match="different targets"):
        evidence_of(read_sheet([target, first, second]), 0, [1, 2])
    strange, _ = run(tmp_path / "strange", "tsstxx", 3)
    with pytest.raises(InputError, match="not the target's shadow models"):
        evidence_of(read_sheet([target, strange]), 0, [1])
    members, _ = run(tmp_path / "members", "xxtsts", 4)
    with pytest.raises(InputError, match="no non-members"):
        evidence_of(read_sheet([target, members]), 0, [1])


def made_up(targets: list[str], shift: float = 0.0) -> Scores:
    n = len(targets)
    return Scores(
        np.array(targets),
        np.array([f"e{k % 3}" for k in range(n)]),
        np.arange(n) % 2 == 0,
        {"g": group_column([["x"], ["x", "y"], []] * (n // 3))},
        np.array([f"e{k % 3}" for k in range(n)]),
        {"loss": np.arange(n) + shift},
        {"rmia": "no population"},
    )


def test_kept_scores_are_read_back_while_nothing_changed(tmp_path: Path) -> None:
    cache, scores = Cache(tmp_path), made_up(["seed 0"] * 3 + ["seed 1"] * 3)
    assert cache.get(["key"], lambda: scores, SCORES, "lora") is scores
    assert (tmp_path / "lora.parquet").is_file()
    found = cache.get(["key"], lambda: made_up(["seed 2"] * 3), SCORES, "lora")
    assert found is not scores
    assert found.target.tolist() == scores.target.tolist()
    assert found.member.tolist() == scores.member.tolist()
    assert found.groups["g"].tolist() == scores.groups["g"].tolist()
    assert found.scores["loss"].tolist() == scores.scores["loss"].tolist()
    assert found.refused == scores.refused
    assert (found.first, found.targets) == ("loss", 2)
    other = made_up(["seed 2"] * 3)
    assert cache.get(["another key"], lambda: other, SCORES, "lora") is other


def test_two_methods_are_compared_on_the_targets_that_both_have() -> None:
    first = made_up(["seed 0"] * 3 + ["seed 1"] * 3)
    second = take(made_up(["seed 0"] * 3 + ["seed 1"] * 3, shift=10), np.array([5, 4, 3]))
    one, other = shared(first, second)
    assert one.target.tolist() == other.target.tolist() == ["seed 1"] * 3
    assert one.ids.tolist() == other.ids.tolist()
    np.testing.assert_allclose(other.scores["loss"] - one.scores["loss"], 10)
    with pytest.raises(InputError, match="no targets in common"):
        shared(first, made_up(["seed 7"] * 3))
