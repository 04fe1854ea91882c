"""Token bias: scripted preferences come out as what they are, and as nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.probes.settings import TokenBiasSettings
from fairlora.probes.token_bias import ask_token_bias, estimates_of

Texts = Callable[..., Examples]
Script = Callable[[str], dict[str, float]]
SYMBOLS = ("A", "B", "C", "◆", "●", "▲")


def offered(text: str) -> list[tuple[str, str]]:
    """Symbols with their words, as a prompt offers them."""
    return re.findall(r"([ABC◆●▲])\) (a woman|a man|it cannot|female|male|unknown)", text)


def noise(text: str, size: float) -> float:
    """A number of the text's own, the same for all of its prompts."""
    carrier = re.findall(r"word\d+", text)
    digest = hashlib.blake2b(" ".join(carrier).encode(), digest_size=4).digest()
    return size * (int.from_bytes(digest, "little") / 2**31 - 1)


def says_a(text: str) -> dict[str, float]:
    first = {"A": 4.0 + noise(text, 0.5), "◆": 4.0 + noise(text, 0.5), "yes": 4.0}
    return {**dict.fromkeys((*SYMBOLS, "yes", "no"), 0.0), **first}


def says_woman(text: str) -> dict[str, float]:
    out = dict.fromkeys((*SYMBOLS, "yes", "no"), 0.0)
    pull = 2.0 + noise(text, 0.5)
    for symbol, word in offered(text):
        if word in ("a woman", "female"):
            out[symbol] = pull
    if not offered(text):
        out["yes" if "a woman" in text else "no"] = pull
    return out


def says_first(text: str) -> dict[str, float]:
    out = dict.fromkeys((*SYMBOLS, "yes", "no"), 0.0)
    if offered(text):
        out[offered(text)[0][0]] = 2.0 + noise(text, 0.5)
    return out


def says_by_wording(text: str) -> dict[str, float]:
    """For women in one question, for men in another."""
    out = dict.fromkeys((*SYMBOLS, "yes", "no"), 0.0)
    pull = {"Who wrote": 2.0, "had to guess": -2.0}
    sign = next((v for key, v in pull.items() if key in text), 0.0)
    for symbol, word in offered(text):
        if word in ("a woman", "female"):
            out[symbol] = sign + noise(text, 0.2)
    return out


def says_nothing(text: str) -> dict[str, float]:
    return dict.fromkeys((*SYMBOLS, "yes", "no"), 0.0)


CASES: dict[str, tuple[Script, str, float]] = {
    "always A": (says_a, "symbol", 4.0),
    "a woman": (says_woman, "meaning", 2.0),
    "the first": (says_first, "place", 2.0),
    # Log odds of 2, -2 and 0: their root mean square.
    "by wording": (says_by_wording, "wording", (8 / 3) ** 0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_preference_shows_as_what_it_is(name: str, scripted: Any, texts: Texts) -> None:
    script, factor, size = CASES[name]
    some = texts([f"word{k} word{k + 1}" for k in range(10)])
    asked = ask_token_bias(scripted(script), some, TokenBiasSettings(symbols=("letters",)))
    factors = asked.summary["sets"]["letters"]["factors"]
    own = factors[factor]
    assert own["low"] <= own["value"] <= own["high"]
    assert own["value"] == pytest.approx(size, rel=0.3)
    assert own["low"] > 0.3 * size
    assert own["p"] < 1e-4
    assert own["share"] > 0.95
    for other, found in factors.items():
        if other != factor:
            assert found["value"] < 0.1 * own["value"]


def test_yes_is_a_symbol_and_a_woman_a_meaning(scripted: Any, texts: Texts) -> None:
    some = texts([f"word{k}" for k in range(8)])
    settings = TokenBiasSettings(symbols=("yes-no",))
    yes = ask_token_bias(scripted(says_a), some, settings).summary["sets"]["yes-no"]["factors"]
    assert yes["symbol"]["value"] == pytest.approx(4.0, abs=0.01)
    assert yes["meaning"]["value"] < 0.01
    levels = yes["symbol"]["levels"]
    assert levels["yes"]["value"] == pytest.approx(2.0, abs=0.01)
    assert levels["no"]["value"] == pytest.approx(-2.0, abs=0.01)
    her = ask_token_bias(scripted(says_woman), some, settings).summary["sets"]["yes-no"]["factors"]
    assert her["meaning"]["levels"]["female"]["low"] > 0.5
    assert her["symbol"]["value"] < 0.01


@pytest.mark.parametrize("response", ["probabilities", "choices"])
def test_a_model_without_preference_shows_none(scripted: Any, texts: Texts, response: str) -> None:
    """Of ties the first option counts as chosen, which is a preference for the place."""
    some = texts([f"word{k}" for k in range(6)])
    settings = TokenBiasSettings(symbols=("letters",), response=response)  # type: ignore[arg-type]
    asked = ask_token_bias(scripted(says_nothing), some, settings)
    factors = asked.summary["sets"]["letters"]["factors"]
    for name in ("symbol", "meaning", "wording"):
        assert factors[name]["value"] < 0.3
        assert factors[name]["low"] == 0
    assert (factors["place"]["low"] > 0) == (response == "choices")


def test_choices_say_the_same_with_wider_intervals(scripted: Any, texts: Texts) -> None:
    some = texts([f"word{k}" for k in range(10)])
    settings = TokenBiasSettings(symbols=("letters",), response="choices")
    asked = ask_token_bias(scripted(says_a), some, settings)
    factors = asked.summary["sets"]["letters"]["factors"]
    assert factors["symbol"]["value"] > 4
    assert factors["symbol"]["low"] > 1
    assert factors["meaning"]["low"] == 0


def test_a_third_option_has_its_levels(scripted: Any, texts: Texts) -> None:
    some = texts([f"word{k}" for k in range(6)])
    settings = TokenBiasSettings(symbols=("signs",), neutral=True)
    asked = ask_token_bias(scripted(says_woman), some, settings)
    factors = asked.summary["sets"]["signs"]["factors"]
    levels = factors["meaning"]["levels"]
    assert set(levels) == {"female", "male", "neutral"}
    assert sum(one["value"] for one in levels.values()) == pytest.approx(0, abs=1e-9)
    assert levels["female"]["low"] > 0 > levels["male"]["high"]
    assert set(factors["symbol"]["levels"]) == {"◆", "●", "▲"}
    assert factors["meaning"]["share"] > 0.95


def test_two_models_are_compared_text_by_text(scripted: Any, texts: Texts) -> None:
    from fairlora.probes.estimates import compare

    some = texts([f"word{k}" for k in range(8)])
    settings = TokenBiasSettings(symbols=("letters",))
    lists = [
        [estimates_of(ask_token_bias(scripted(script), some, settings).rows)]
        for script in (says_a, says_woman)
    ]
    rows = {row.name: row for row in compare(*lists)}
    assert rows["letters_symbol"].answer == "stronger"
    assert rows["letters_meaning"].answer == "weaker"
    assert rows["letters_place"].answer == "inconclusive"


def test_one_text_is_refused_in_a_line(scripted: Any, texts: Texts) -> None:
    with pytest.raises(InputError, match="a mixed model needs texts"):
        ask_token_bias(scripted(says_a), texts(["word1"]), TokenBiasSettings())
