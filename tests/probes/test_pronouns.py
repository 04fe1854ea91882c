"""Which gender a text gives: a table of edge cases, and what must hold of any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlora.probes.pronouns import CLASSES, FORMS, OUTCOMES, outcome, pronouns

CASES = {
    # plain
    "The nurse said she was tired.": "female",
    "The driver gave him the keys.": "male",
    "The teacher forgot their bag.": "neutral",
    "The guard left early.": "none",
    "": "none",
    " \n\t ": "none",
    # every form
    "her": "female", "hers": "female", "herself": "female", "She": "female",
    "him": "male", "his": "male", "himself": "male", "He": "male",
    "them": "neutral", "theirs": "neutral", "themselves": "neutral", "themself": "neutral",
    # neopronouns
    "Xe forgot xyr bag.": "neutral", "Ze met hir.": "neutral",
    # both, and who wins
    "He told her.": "both",
    "She said that he left.": "both",
    "They told her.": "female",
    "He met them.": "male",
    "She met him and them.": "both",
    # capitals
    "SHE LEFT.": "female", "hE left": "male", "THEIR": "neutral",
    # contractions, with every apostrophe
    "she's late": "female", "she’s late": "female", "SHE'D go": "female", "she`ll": "female",
    "he'll come": "male", "he‘s here": "male", "they're in": "neutral", "they've": "neutral",
    "she´d": "female",
    # no apostrophe, no pronoun: these are words
    "hell is hot": "none", "a shed": "none", "shell": "none", "ill": "none", "shes": "none",
    "well, Hershey": "none", "theyre": "none",
    # parts of words
    "The theme of the chef": "none", "Sheila and Herman": "none", "history": "none",
    "other": "none", "mother": "none", "ushers": "none", "thesis": "none", "whisper": "none",
    # punctuation
    "(she)": "female", "“She”, said": "female", "she.": "female", "...he?": "male",
    "*her* book": "female", "_his_ book": "male", "she,he": "both", "she—gone": "female",
    "her/their": "female", "him;": "male", "'his'": "male", "his'": "male",
    # one of the two
    "he/she left": "both", "s/he left": "both", "(s)he left": "both", "S/HE": "both",
    "she or he": "both", "his or her": "both", "his/hers": "both",
    # hyphens
    "a she-wolf": "none", "the he-man": "none", "he-she": "both", "her-": "female",
    "his- and herself": "both", "the nurse--she left": "female", "he---who came": "male",
    # possessive after a contraction-like ending that is none
    "she'n": "none", "her's": "female",
    # things, the first and the second person
    "It broke its leg.": "none", "I met you.": "none", "We lost our way.": "none",
    # other scripts and forms
    "ｓｈｅ left": "female", "hé left": "none", "она ушла": "none", "onu gördü": "none",
    # numbers beside
    "she2": "female", "3 of them": "neutral",
    # line ends
    "The\nnurse\nshe": "female",
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_the_class_of_a_text(text: str, expected: str) -> None:
    assert pronouns(text) == expected


def test_every_form_and_class_is_in_the_table() -> None:
    assert set(CASES.values()) == set(CLASSES)
    assert {pronouns(form) for form in FORMS} == {"female", "male", "neutral"}


WORDS = st.sampled_from(["nurse", "the", "met", "because", "it", "you", "shell", "hers-elf", "a"])
PRONOUN = st.sampled_from(["she", "Her", "HERS", "he", "Him", "his", "they", "Them", "theirs"])
SWAP = {"she": "he", "he": "she", "her": "him", "him": "her", "hers": "his", "his": "hers"}


@given(st.lists(WORDS | PRONOUN, max_size=12))
def test_what_holds_of_any_sentence(words: list[str]) -> None:
    text = " ".join(words)
    found = pronouns(text)
    assert pronouns(text.upper()) == found
    assert pronouns(f"“{text}!”") == found
    assert pronouns(" ".join(reversed(words))) == found
    assert pronouns(text + " nurse") == found
    swapped = " ".join(SWAP.get(word.lower(), word) for word in words)
    other = {"female": "male", "male": "female"}
    assert pronouns(swapped) == other.get(found, found)


@given(st.text(max_size=40))
def test_any_text_has_a_class(text: str) -> None:
    assert pronouns(text) in CLASSES


@pytest.mark.parametrize(
    ("found", "female", "male"),
    [
        ("female", "pro", "anti"),
        ("male", "anti", "pro"),
        ("neutral", "neutral", "neutral"),
        ("both", "other", "other"),
        ("none", "other", "other"),
    ],
)
def test_the_outcome_is_beside_the_stereotype(found: str, female: str, male: str) -> None:
    assert outcome(found, "female") == female  # type: ignore[arg-type]
    assert outcome(found, "male") == male  # type: ignore[arg-type]
    assert outcome(found, "none") is None  # type: ignore[arg-type]
    assert {female, male} <= set(OUTCOMES)
