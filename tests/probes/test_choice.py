"""Choice: every order of the options, symbols crossed, free answers parsed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.models import LanguageModel
from fairlora.probes.choice import ask_choice, parse_answer, prompts_of, questions_of
from fairlora.probes.settings import ChoiceSettings, parse_probe
from fairlora.probes.templates import read_choice

Texts = Callable[..., Examples]
SETS = ("letters", "numbers", "signs", "yes-no")


@pytest.mark.parametrize(("neutral", "orders"), [(False, 2), (True, 6)])
def test_every_order_of_the_meanings_is_asked(neutral: bool, orders: int) -> None:
    file = read_choice(neutral=neutral)
    prompts = prompts_of(file, ("letters",), neutral=neutral)
    assert len(prompts) == len(file.questions) * orders
    for question in file.questions:
        own = [p.meanings for p in prompts if p.wording == question.name]
        assert len(set(own)) == orders
    assert {p.symbols for p in prompts} == {("A", "B", "C")[: 3 if neutral else 2]}


@pytest.mark.parametrize("neutral", [False, True])
@pytest.mark.parametrize("name", SETS)
def test_crossed_prompts_balance_symbol_place_and_meaning(name: str, neutral: bool) -> None:
    prompts = prompts_of(read_choice(neutral=neutral), (name,), neutral=neutral, crossed=True)
    pairs: dict[str, Counter[Any]] = {"sp": Counter(), "sm": Counter(), "pm": Counter()}
    for prompt in prompts:
        for place, (symbol, meaning) in enumerate(
            zip(prompt.symbols, prompt.meanings, strict=True)
        ):
            pairs["sp"][symbol, place] += 1
            pairs["sm"][symbol, meaning] += 1
            pairs["pm"][place, meaning] += 1
    for counts in pairs.values():
        options = 3 if neutral and name != "yes-no" else 2
        assert len(counts) == options**2
        assert len(set(counts.values())) == 1


def test_the_prompt_shows_what_its_options_are() -> None:
    file = read_choice()
    for prompt in prompts_of(file, ("letters",), neutral=False, crossed=True):
        for symbol, word in zip(prompt.symbols, prompt.words, strict=True):
            assert f"{symbol}) {word}" in prompt.text
        first, second = (prompt.text.index(f"{s}) ") for s in prompt.symbols)
        assert first < second
        assert "{text}" in prompt.text
    for prompt in prompts_of(file, ("yes-no",), neutral=False):
        assert " or ".join(prompt.symbols) in prompt.text
        yes = prompt.meanings[prompt.symbols.index("yes")]
        assert {"female": "a woman", "male": "a man"}[yes] in prompt.text


PARSED = {
    # letters, by themselves
    ("A", "A) "): "female", ("B", ""): "male", ("(B)", ""): "male", ("B.", ""): "male",
    ("Answer: A", ""): "female", ("A) a woman", ""): "female", ("B) a man", ""): "male",
    ("A\nB", ""): "female", ("the answer is B, not A", ""): "male",
    # words
    ("A woman.", ""): "female", ("a man", ""): "male", ("A MAN wrote it", ""): "male",
    # neither
    ("", ""): None, ("I cannot say", ""): None, ("both of them", ""): None, ("b", ""): None,
    ("Banana", ""): None, ("AB", ""): None, ("a manager", ""): None,
}  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), PARSED.items())
def test_free_answers_are_parsed(case: tuple[str, str], expected: str | None) -> None:
    found = parse_answer(case[0], ("A", "B"), ("female", "male"), ("a woman", "a man"))
    assert found == expected


def test_yes_and_no_and_signs_are_parsed() -> None:
    for text, expected in (("Yes, it was.", "male"), ("no", "female"), ("NO!", "female"),
                           ("nothing", None), ("yesterday", None)):  # fmt: skip
        assert parse_answer(text, ("yes", "no"), ("male", "female"), ("yes", "no")) == expected
    assert parse_answer("●", ("◆", "●"), ("female", "male"), ("a woman", "a man")) == "male"
    assert parse_answer("2) a man", "12", ("female", "male"), ("a woman", "a man")) == "male"


def test_a_model_that_says_a_prefers_no_meaning(scripted: Any, texts: Texts) -> None:
    language = scripted(lambda text: {"A": 5.0, "B": 0.0, "1": 5.0, "2": 0.0, "yes": 5, "no": 0})
    some = texts([f"word{k}" for k in range(4)])
    asked = ask_choice(language, some, ChoiceSettings())
    for name, symbol in (("letters", "A"), ("numbers", "1"), ("yes-no", "yes")):
        found = asked.summary["sets"][name]
        assert found["meanings"]["female"]["value"] == pytest.approx(0.5)
        assert found["symbols"][symbol]["value"] > 0.99
        assert found["symbols"][symbol]["likeliest"] == 1.0
        assert found["mass"] > 0.3
    letters = asked.summary["sets"]["letters"]
    assert letters["places"]["1"]["value"] > 0.99  # uncrossed: A always stands first


def test_a_model_that_prefers_women_says_so_whatever_the_order(scripted: Any, texts: Texts) -> None:
    def script(text: str) -> dict[str, float]:
        out = dict.fromkeys(("A", "B", "1", "2", "yes", "no"), 0.0)
        offered = dict(reversed(pair) for pair in re.findall(r"(\S)\) (a woman|female)", text))
        symbol = offered.get("a woman") or offered.get("female")
        if symbol:
            out[symbol] = 3.0
        else:
            out["yes" if "a woman" in text else "no"] = 3.0
        return out

    asked = ask_choice(scripted(script), texts(["word1", "word2"]), ChoiceSettings())
    for name in ("letters", "numbers", "yes-no"):
        found = asked.summary["sets"][name]
        assert found["meanings"]["female"]["value"] > 0.94
        for one in found["symbols"].values():
            assert one["value"] == pytest.approx(0.5, abs=1e-6)


def test_free_answers_are_counted(tiny_language: LanguageModel, texts: Texts) -> None:
    some = texts(["the food was good", "the room was cold"])
    settings = ChoiceSettings(generate=True, symbols=("letters",), neutral=True, only=("author",))
    asked = ask_choice(tiny_language, some, settings)
    found = asked.summary["sets"]["letters"]
    assert sum(found["written"].values()) == found["prompts"] == 2 * 6
    assert len(asked.rows["written"]) == 12
    assert "letters_written_female" in asked.summary["estimates"]


def test_what_cannot_be_asked_is_said(tmp_path: Any) -> None:
    file = read_choice()
    with pytest.raises(InputError, match="no such set of symbols .*letters, numbers, signs"):
        prompts_of(file, ("runes",), neutral=False)
    path = tmp_path / "q.yaml"
    path.write_text("questions:\n  - {name: q, text: '{text} {options'}\n")
    with pytest.raises(InputError, match="a brace by itself"):
        read_choice(path)
    path.write_text("questions:\n  - {name: q, text: '{text}'}\n")
    with pytest.raises(InputError, match=r"q: no slot \{options\}"):
        read_choice(path)
    path.write_text("meanings: {female: a, male: b}\nsymbols: {few: [x, y]}\n"
                    "questions:\n  - {name: q, text: '{text} {options}'}\n")  # fmt: skip
    with pytest.raises(InputError, match="symbols.few: too few symbols"):
        read_choice(path)
    path.write_text("meanings: {female: a, male: b}\n")
    with pytest.raises(InputError, match="no question"):
        read_choice(path)


def test_questions_are_chosen_by_name(tmp_path: Any) -> None:
    """`gender` is a question with options alone: it leaves nothing to ask by yes and no."""
    questions = questions_of(ChoiceSettings(only=("gender",), symbols=("letters",)))
    assert {prompt.wording for prompt in questions} == {"gender"}
    with pytest.raises(InputError, match=r"only: no question is left to ask .*yes-no"):
        questions_of(ChoiceSettings(only=("gender",)))
    with pytest.raises(InputError, match=r"only: no such template .*'gendre'"):
        questions_of(ChoiceSettings(only=("gender", "gendre"), symbols=("letters",)))


def test_a_file_of_ones_own_has_symbols_of_ones_own(tmp_path: Any) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "meanings: {female: a woman, male: a man}\nsymbols: {greek: [α, β, γ]}\n"
        "questions:\n  - {name: q, text: '{text} Who? {options} Answer:'}\n",
        encoding="utf-8",
    )
    settings = parse_probe("choice", {"templates": str(path), "symbols": ["greek"]})
    assert {p.symbols for p in questions_of(settings)} == {("α", "β")}
    unknown = parse_probe("choice", {"templates": str(path), "symbols": ["letters"]})
    with pytest.raises(InputError, match="no such set of symbols .*'letters'.*greek, yes-no"):
        questions_of(unknown)
    with pytest.raises(InputError, match=r"probe.symbols: no such set of symbols, expected some"):
        parse_probe("choice", {"symbols": ["greek"]})
    with pytest.raises(InputError, match=r"probe.symbols: a set of symbols twice"):
        parse_probe("token-bias", {"symbols": ["letters", "letters"]})
