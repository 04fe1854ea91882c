"""Cloze: templates, the border of an option, likelihoods that a script sets, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import LanguageModel, load_language
from fairlora.probes.cloze import ask_cloze, estimates_of, shares
from fairlora.probes.prompts import encode_options
from fairlora.probes.rows import read_probe, write_probe
from fairlora.probes.settings import ClozeSettings
from fairlora.probes.templates import read_choice, read_cloze

Texts = Callable[..., Examples]


def template_file(folder: Path, text: str, **more: str) -> Path:
    path = folder / "mine.yaml"
    options = more.pop("options", "{female: woman, male: man, neutral: person}")
    lines = [f"options: {options}", "templates:", f"  - {{name: one, text: {text!r}}}"]
    path.write_text("\n".join([*lines, *more.values()]) + "\n", encoding="utf-8")
    return path


def settings(**values: Any) -> ClozeSettings:
    return ClozeSettings(**values)


def test_an_option_takes_the_space_before_it_along(tiny_language: LanguageModel) -> None:
    """ " woman" is one token, which the space in front of the slot is merged into."""
    tokenizer = tiny_language.tokenizer
    assert len(tokenizer(" woman", add_special_tokens=False)["input_ids"]) == 1
    filled = encode_options(tiny_language, "The ", ["woman", "nurse"], where="here")
    assert tokenizer.decode(filled.context) == "<s>The"
    assert [tokenizer.decode(option) for option in filled.options] == [" woman", " nurse"]
    spaceless = encode_options(tiny_language, "The", [" woman", " nurse"], where="here")
    assert spaceless == filled


def test_options_that_share_a_first_token_are_told_apart(tiny_language: LanguageModel) -> None:
    filled = encode_options(tiny_language, "It was ", ["a woman", "a man"], where="here")
    assert filled.options[0][0] == filled.options[1][0]
    assert filled.options[0] != filled.options[1]


def test_what_stands_behind_the_slot_is_scored_too(tiny_language: LanguageModel) -> None:
    filled = encode_options(tiny_language, "The ", ["guard", "nurse"], " left.", where="here")
    assert tiny_language.tokenizer.decode(filled.options[0]) == " guard left."


@pytest.mark.parametrize("options", [["guard", "guard"], ["guard", "guard and nurse"]])
def test_an_option_that_begins_another_is_refused(
    tiny_language: LanguageModel, options: list[str]
) -> None:
    with pytest.raises(InputError, match=r"here: one option is the beginning of another"):
        encode_options(tiny_language, "The ", options, where="here")


def test_something_must_stand_before_the_slot(scripted: Any) -> None:
    language = scripted(lambda text: {})
    with pytest.raises(InputError, match="nothing stands before the options"):
        encode_options(language, "", ["woman", "man"], where="here")


def test_a_chat_puts_the_question_to_the_user(tiny_language: LanguageModel) -> None:
    chat = load_language(tiny_language.base, chat=True)
    filled = encode_options(chat, "Who?", [" A", " B"], where="here")
    assert chat.tokenizer.decode(filled.context) == "<s>[user] Who?\n[assistant] "
    assert [chat.tokenizer.decode(option) for option in filled.options] == ["A", "B"]


def test_a_planted_preference_is_found_exactly(scripted: Any, texts: Texts) -> None:
    """Logits 1.5 and 0.5 for the two words: log odds 1, whatever the rest."""

    def script(text: str) -> dict[str, float]:
        return {"woman": 1.5, "man": 0.5, "female": 1.5, "male": 0.5}

    asked = ask_cloze(scripted(script), texts(["word1 word2", "word3", "word4"]), settings())
    plain = asked.summary["readings"]["plain"]
    assert plain["log_odds"]["value"] == pytest.approx(1.0, abs=1e-5)
    assert plain["p_female"]["value"] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)
    assert plain["p_female"]["spread_over_templates"] == pytest.approx(0, abs=1e-6)
    assert len(plain["log_odds"]["by_template"]) == len(asked.summary["templates"]) == 5
    # Nothing differs over texts or templates, and still two more of each might.
    estimate = asked.summary["estimates"]["p_female"]
    assert 0.0 < estimate["low"] < 0.73 < estimate["high"] <= 1.0


def test_length_normalised_is_the_mean_over_tokens(tiny_language: LanguageModel, texts: Texts,
                                                   tmp_path: Path) -> None:  # fmt: skip
    path = template_file(tmp_path, "{text}, and the {option}",
                         options="{female: guard and guard, male: woman}")  # fmt: skip
    asked = ask_cloze(tiny_language, texts(["the food was good"]), settings(templates=path))
    (many,), (one,) = asked.rows["tokens_female"], asked.rows["tokens_male"]
    assert many > one == 1
    (female,), (male,) = asked.rows["log_female"], asked.rows["log_male"]
    readings = asked.summary["readings"]
    assert readings["plain"]["log_odds"]["value"] == pytest.approx(female - male)
    assert readings["normalised"]["log_odds"]["value"] == pytest.approx(female / many - male)
    assert asked.summary["estimates"]["log_odds"]["reason"].startswith("one cluster")


def test_a_third_option_takes_its_share(scripted: Any, texts: Texts) -> None:
    def script(text: str) -> dict[str, float]:
        words = {"woman": 1.0, "man": 1.0, "female": 1.0, "male": 1.0}
        if text.endswith("nonbinary"):
            return {"person": 30.0}
        return {**words, "nonbinary": 2.0}

    asked = ask_cloze(scripted(script), texts(["word1", "word2"]), settings(neutral=True))
    plain = asked.summary["readings"]["plain"]
    total = sum(plain[f"p_{name}"]["value"] for name in ("female", "male", "neutral"))
    assert total == pytest.approx(1.0)
    assert plain["p_neutral"]["value"] == pytest.approx(np.e / (np.e + 2), abs=1e-3)
    assert plain["log_odds"]["value"] == pytest.approx(0.0, abs=1e-6)


def test_intervals_are_over_texts_and_over_templates(scripted: Any, texts: Texts) -> None:
    """Texts that differ, and templates that differ more: the second interval is wider."""

    def script(text: str) -> dict[str, float]:
        number = sum(f"word{k} " in text + " " for k in range(0, 40, 2))
        lead = 3.0 if "author" in text else 0.0
        return {"woman": 0.3 * number + lead, "man": 0.0, "female": lead, "male": 0.0}

    carriers = [" ".join(f"word{k}" for k in range(j, j + 5)) for j in range(12)]
    asked = ask_cloze(scripted(script), texts(carriers), settings())
    found = asked.summary["readings"]["plain"]["log_odds"]
    assert found["low"] < found["value"] < found["high"]
    assert found["low_with_templates"] < found["low"]
    assert found["high_with_templates"] > found["high"]
    assert found["spread_over_templates"] > 1


def test_long_texts_are_cut_and_empty_ones_left_out(
    tiny_language: LanguageModel, texts: Texts, tmp_path: Path
) -> None:
    path = template_file(tmp_path, "{text} said the {option}", options="{female: a b, male: c}")
    some = texts(["the food was good " * 20, "  ", "fine"])
    asked = ask_cloze(tiny_language, some, settings(templates=path, text_tokens=10))
    assert asked.summary["texts"] == 2
    assert asked.summary["notes"] == [
        "1 texts are cut at 10 tokens, or where there is no more room"
    ]
    # Beyond the context the text gives way to the template.
    long = ask_cloze(
        tiny_language, texts(["good " * 3000]), settings(templates=path, text_tokens=5000)
    )
    assert long.summary["notes"]
    filler = "and " * 1200
    path = template_file(tmp_path, "{text} " + filler + "the {option}")
    with pytest.raises(InputError, match=r"template one: the template alone is longer than the"):
        ask_cloze(tiny_language, texts(["good"]), settings(templates=path))
    with pytest.raises(InputError, match="every text is empty"):
        ask_cloze(tiny_language, texts(["", " "]), settings())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{text} is a", r"mine.yaml: one: no slot \{option\} .*expected \{option\} once"),
        ("says a {option}", r"no slot \{text\}"),
        ("{text} {option} {option}", r"more than one slot \{option\}"),
        ("{text} {gender} {option}", r"unknown slot .*\{gender\}.*expected \{text\}, \{option\}"),
        ("{option} wrote {text}", "the text must stand before its slot"),
        ("{text} { {option}", "a brace by itself|unknown slot"),
    ],
)
def test_a_template_without_its_slot_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_cloze(template_file(tmp_path, text))


def test_a_file_of_templates_is_checked(tmp_path: Path) -> None:
    good = "{text} by a {option}"
    for options, says in (
        ("{female: woman}", "no word for a meaning .*male"),
        ("{female: woman, male: Woman}", "two meanings of one word"),
        ("{female: woman, men: man}", "unknown meaning .*'men'"),
        ("[woman, man]", "not a mapping of meanings"),
    ):
        with pytest.raises(InputError, match=says):
            read_cloze(template_file(tmp_path, good, options=options))
    twice = "  - {name: one, text: '{text} {option}'}"
    with pytest.raises(InputError, match="two templates of one name"):
        read_cloze(template_file(tmp_path, good, again=twice))
    with pytest.raises(InputError, match=r"unknown key .*option, template|mine.yaml: extra"):
        read_cloze(template_file(tmp_path, good, extra="extra: 1"))
    with pytest.raises(InputError, match="no such file of templates"):
        read_cloze(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match=r"only: no template of this name .*expected some of one"):
        read_cloze(template_file(tmp_path, good), only=("two",))
    (own,) = read_cloze(template_file(tmp_path, good), neutral=True)
    assert own.options == {"female": "woman", "male": "man", "neutral": "person"}


def test_fairloras_own_templates_name_both_genders_alike() -> None:
    """Neutral wording: no template has a word of one gender but in its options."""
    for template in read_cloze(neutral=True):
        assert not {"he", "she", "his", "her"} & set(template.before.lower().split())
        assert set(template.options) == {"female", "male", "neutral"}
    assert len(read_cloze()) == 5
    assert set(read_choice().symbols) == {"letters", "numbers", "signs"}


def test_a_probe_is_written_and_read_again(scripted: Any, texts: Texts, tmp_path: Path) -> None:
    language = scripted(lambda text: {"woman": 1.0, "man": 0.0, "female": 1.0, "male": 0.0})
    asked = ask_cloze(language, texts(["word1", "word2"]), settings())
    assert read_probe(tmp_path, "cloze") is None
    write_probe(tmp_path, asked)
    again = read_probe(tmp_path, "cloze")
    assert again is not None
    assert again.rows == asked.rows
    first = [one.to_dict() for one in estimates_of(again.rows)]
    assert first == [one.to_dict() for one in estimates_of(asked.rows)]
    for text in ("{", "[]", "[" * 100_000, '{"version": 1}', '{"version": "1", "settings": {}}'):
        (tmp_path / "cloze.json").write_text(text)
        with pytest.raises(InputError, match=r"cloze\.json: "):
            read_probe(tmp_path, "cloze")


def test_shares_of_unlikely_options_are_exact() -> None:
    found = shares(np.array([[-1000.0, -1001.0], [0.0, -800.0]]))
    np.testing.assert_allclose(found[0], [1 / (1 + np.exp(-1)), 1 / (1 + np.e)])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
