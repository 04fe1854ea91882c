"""Which gender an English text gives to a person, by its third-person pronouns.

A text is "female" or "male" if it has pronouns of that gender alone, "both" if it has some of each,
"neutral" if all it has is singular they (or a neopronoun), "none" otherwise. A gendered pronoun
wins over they: "They thanked her" is female. What counts as a word:

- capitals make no difference; a contraction is its pronoun (she's, he'd, they'll), with any
  apostrophe; without one (shes, hes) it is another word, and hell and shed are words;
- s/he, (s)he, he/she and she or he are both;
- of words with a hyphen the parts count where each is a pronoun (he-she), and else none does:
  she-wolf is no pronoun; two hyphens are a dash, and part words;
- it and its are of things.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Pronouns = Literal["female", "male", "neutral", "both", "none"]
Outcome = Literal["pro", "anti", "neutral", "other"]

CLASSES: tuple[Pronouns, ...] = ("female", "male", "neutral", "both", "none")
OUTCOMES: tuple[Outcome, ...] = ("pro", "anti", "neutral", "other")

FORMS: dict[str, str] = {
    **dict.fromkeys(("she", "her", "hers", "herself"), "female"),
    **dict.fromkeys(("he", "him", "his", "himself"), "male"),
    **dict.fromkeys(("they", "them", "their", "theirs", "themselves", "themself"), "neutral"),
    **dict.fromkeys(("xe", "xem", "xyr", "xyrs", "xemself"), "neutral"),
    **dict.fromkeys(("ze", "zir", "zirs", "zirself", "hir", "hirs", "hirself"), "neutral"),
}
CONTRACTED = frozenset(("s", "d", "ll", "re", "ve", ""))
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ＇´`", "'"))
_HYPHENS = str.maketrans(dict.fromkeys("‐‑", "-"))
_DASH = re.compile(r"-{2,}")
_EITHER = re.compile(r"(?<![\w-])(?:s/he|\(s\)he)(?![\w-])")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]*)*")


def pronouns(text: str) -> Pronouns:
    """Class a text by its pronouns.

    >>> pronouns("The nurse said she’d help him."), pronouns("The nurse helped.")
    ('both', 'none')
    """
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).translate(_HYPHENS)
    plain = _DASH.sub(" ", plain.casefold())
    present: set[str] = set()
    if _EITHER.search(plain):
        present |= {"female", "male"}
    for word in _WORD.findall(plain):
        parts = [part for part in word.split("-") if part]
        genders = [_gender(part) for part in parts]
        if all(genders):
            present.update(g for g in genders if g)
    if {"female", "male"} <= present:
        return "both"
    for name in ("female", "male", "neutral"):
        if name in present:
            return name
    return "none"


def _gender(word: str) -> str | None:
    stem, _, ending = word.partition("'")
    return FORMS.get(stem) if ending in CONTRACTED else None


def outcome(pronoun: Pronouns, stereotype: str) -> Outcome | None:
    """What a translation's pronouns say beside the occupation's stereotype.

    None where the occupation has no stereotype ("female" or "male").

    >>> outcome("female", "female"), outcome("female", "male"), outcome("both", "male")
    ('pro', 'anti', 'other')
    """
    if stereotype not in ("female", "male"):
        return None
    if pronoun == "neutral":
        return "neutral"
    if pronoun not in ("female", "male"):
        return "other"
    return "pro" if pronoun == stereotype else "anti"
