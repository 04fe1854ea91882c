"""Translation: classes, shares by stereotype, BLEU and chrF with intervals over scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.data import Examples, assign_splits, load_examples
from fairlora.data.tiny import write_tiny
from fairlora.errors import InputError
from fairlora.models import LanguageModel
from fairlora.probes.settings import TranslationSettings, parse_probe
from fairlora.probes.translation import ask_translation, estimates_of, need_sacrebleu, summary_of

pytest.importorskip("sacrebleu")


def made(translations: list[str], stereotypes: list[str], scenes: list[str] | None = None) -> Any:
    from fairlora.probes.pronouns import outcome, pronouns

    classes = [pronouns(text) for text in translations]
    count = len(translations)
    return {
        "id": [str(k) for k in range(count)],
        "cluster": scenes or [str(k) for k in range(count)],
        "reference": ["The nurse left because she was tired ."] * count,
        "translation": translations,
        "pronouns": classes,
        "stereotype": stereotypes,
        "outcome": [outcome(c, s) for c, s in zip(classes, stereotypes, strict=True)],
    }


def test_shares_are_by_the_occupations_stereotype() -> None:
    rows = made(
        ["she left", "he left", "they left", "nobody left", "he or she", "she left"],
        ["female", "female", "male", "male", "male", "none"],
    )
    summary = summary_of(rows)
    found = {name: one["value"] for name, one in summary["estimates"].items()}
    assert summary["with_stereotype"] == 5
    assert found["pro"] == found["anti"] == found["neutral"] == pytest.approx(0.2)
    assert found["other"] == pytest.approx(0.4)
    assert found["stereotype_gap"] == 0
    assert summary["pronouns"] == {"female": 2, "male": 1, "neutral": 1, "both": 1, "none": 1}
    assert summary["pronouns_by_stereotype"]["female"]["female"] == 1
    total = sum(found[name] for name in ("pro", "anti", "neutral", "other"))
    assert total == pytest.approx(1.0)


def test_the_gap_is_paired_over_scenes() -> None:
    """A scene with one of each has no gap; its two sentences are one observation."""
    scenes = [str(k) for k in range(20) for _ in range(2)]
    even = made(["she left", "he left"] * 20, ["female", "female"] * 20, scenes)
    gap = estimates_of(even)[0]
    assert gap.value == 0
    assert len(gap.clusters) == 20
    pro = estimates_of(even)[1]
    assert pro.value == 0.5
    assert float((pro.influence**2).sum()) == pytest.approx(0)


def test_bleu_and_chrf_are_sacrebleus() -> None:
    import sacrebleu

    references = ["The nurse met him because he was early .", "A guard paid the driver .",
                  "The cleaner thanked the teacher .", "It was cold in the room ."]  # fmt: skip
    translations = ["The nurse met her because he was early .", "A guard paid a driver .",
                    "The teacher thanked the cleaner .", "It was cold in the room ."]  # fmt: skip
    rows = made(translations, ["female"] * 4)
    rows["reference"] = references
    summary = summary_of(rows)
    expected = sacrebleu.corpus_bleu(translations, [references])
    assert summary["estimates"]["bleu"]["value"] == pytest.approx(expected.score)
    chrf = sacrebleu.corpus_chrf(translations, [references])
    assert summary["estimates"]["chrf"]["value"] == pytest.approx(chrf.score)
    assert summary["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp")
    assert sacrebleu.__version__ in summary["signatures"]["chrf"]
    one = summary["estimates"]["bleu"]
    assert one["low"] < one["value"] < one["high"]


def test_the_jackknife_of_bleu_is_that_of_scoring_anew() -> None:
    import sacrebleu

    rng = np.random.default_rng(0)
    words = ["the", "nurse", "met", "a", "guard", "and", "left", "early", "today"]
    references = [" ".join(rng.choice(words, 9)) for _ in range(12)]
    translations = [
        " ".join(w if rng.random() < 0.8 else "x" for w in r.split()) for r in references
    ]
    rows = made(translations, ["female"] * 12, [str(k // 2) for k in range(12)])
    rows["reference"] = references
    bleu = next(one for one in estimates_of(rows) if one.name == "bleu")
    without = []
    for scene in sorted({str(k // 2) for k in range(12)}):
        keep = [k for k in range(12) if str(k // 2) != scene]
        without.append(
            sacrebleu.corpus_bleu(
                [translations[k] for k in keep], [[references[k] for k in keep]]
            ).score
        )
    variance = 5 / 6 * ((np.array(without) - np.mean(without)) ** 2).sum()
    assert bleu.variance == pytest.approx(variance, rel=1e-6)


def test_a_model_is_asked_each_sentence_once(tiny_language: LanguageModel, tmp_path: Path) -> None:
    options = write_tiny("winomt", tmp_path, rows=60)
    examples = assign_splits(load_examples("winomt", options), 0)
    told: list[tuple[int, int]] = []
    settings = TranslationSettings(max_new_tokens=6, batch_size=8)
    asked = ask_translation(
        tiny_language, examples, settings, lambda done, total: told.append((done, total))
    )
    test = examples.part("test")
    assert asked.summary["rows"] == len(test)
    assert told[-1] == (len(set(test.inputs)),) * 2
    by_prompt: dict[str, set[str]] = {}
    for prompt, text in zip(asked.rows["prompt"], asked.rows["translation"], strict=True):
        by_prompt.setdefault(prompt, set()).add(text)
    assert all(len(found) == 1 for found in by_prompt.values())
    again = ask_translation(tiny_language, examples, settings)
    assert again.rows == asked.rows


def test_fewer_rows_are_whole_scenes(tiny_language: LanguageModel, tmp_path: Path) -> None:
    options = write_tiny("winomt", tmp_path, rows=120)
    examples = assign_splits(load_examples("winomt", options), 0)
    settings = TranslationSettings(max_new_tokens=2, rows=9, split="train")
    asked = ask_translation(tiny_language, examples, settings)
    whole = examples.part("train")
    assert whole.family is not None
    for scene in set(asked.rows["cluster"]):
        assert asked.rows["cluster"].count(scene) == int((whole.family == scene).sum())
    assert asked.summary["rows"] <= 12


def test_data_without_references_are_refused(
    tiny_language: LanguageModel, texts: Callable[..., Examples]
) -> None:
    with pytest.raises(InputError, match="needs prompts with reference answers, .*no answers"):
        ask_translation(tiny_language, texts(["a"]), TranslationSettings(split="train"))
    some = texts(["a", "b"], answers=["c", "d"])
    with pytest.raises(InputError, match="a group column 'stereotype'"):
        ask_translation(tiny_language, some, TranslationSettings(split="train"))


def test_settings_are_checked() -> None:
    with pytest.raises(
        InputError, match=r"probes.translation.max_new_tokens: out of range .*expected >= 1"
    ):
        parse_probe("translation", {"max_new_tokens": 0}, where="probes.translation")
    with pytest.raises(InputError, match="no such probe .*expected one of translation, cloze"):
        parse_probe("poem", {})


def test_without_sacrebleu_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match=r"pip install 'fairlora\[translation\]'"):
        need_sacrebleu()


@pytest.mark.parametrize("words", [2, 3, 4, 5])
def test_bleu_of_short_right_answers_is_perfect_or_undefined_and_never_0(words: int) -> None:
    texts = [" ".join(f"w{k}{i}" for i in range(words)) for k in range(12)]
    rows = made(texts, ["female"] * 12, [str(k) for k in range(12)])
    rows["reference"] = texts
    found = summary_of(rows)["estimates"]
    bleu, chrf = found["bleu"], found["chrf"]
    if words < 4:
        assert (bleu["value"], bleu["low"], bleu["high"]) == (None, None, None)
        assert "no reference has 4 words" in bleu["reason"]
    else:
        # sacrebleu says 100.00000000000004; twelve perfect scenes do not make the next one so.
        assert bleu["value"] == bleu["high"] == 100
        assert 60 < bleu["low"] < 100
    assert chrf["value"] == chrf["high"] == 100
    assert chrf["low"] < 100


def test_bleu_of_nothing_written_is_0() -> None:
    rows = made([""] * 4, ["female"] * 4)
    rows["reference"] = ["The nurse met him early ."] * 4
    assert summary_of(rows)["estimates"]["bleu"]["value"] == 0
