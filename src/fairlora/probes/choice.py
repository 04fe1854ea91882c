"""Choice probe: a model picks a lettered, numbered or signed option, or says yes or no.

Each question is asked with the options' meanings in every order, so that what stands first, and
what is called A, says nothing about the mean. A prompt's answer is the share of each option in the
likelihood of the options' symbols (whole token sequences); with `generate` also what the model
writes itself, parsed. `mass` is how likely the symbols are altogether: where it is small, the model
would say something else, and the shares say little.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairlora.data import Examples
from fairlora.errors import InputError
from fairlora.probes.cloze import shares
from fairlora.probes.estimates import Estimate, ratio
from fairlora.probes.prompts import Cutter, Filled, encode_options
from fairlora.probes.rows import Asked, chosen_texts, clusters_of, plain
from fairlora.probes.scoring import Watch, generate, score_options
from fairlora.probes.settings import ChoiceSettings, SymbolSettings, TextSettings
from fairlora.probes.templates import MEANINGS, ChoiceFile, Question, digest_of, read_choice

if TYPE_CHECKING:
    from fairlora.models import LanguageModel

NAME = "choice"
YES_NO = "yes-no"


class Prompt(NamedTuple):
    """A question with its options in one order.

    The k-th option offered has the k-th symbol, meaning and words.
    """

    wording: str
    symbol_set: str
    text: str  # with {text}
    symbols: tuple[str, ...]
    meanings: tuple[str, ...]
    words: tuple[str, ...]


def prompts_of(
    file: ChoiceFile, sets: Sequence[str], *, neutral: bool, crossed: bool = False
) -> list[Prompt]:
    """Every question with its options in every order.

    Meanings are permuted over the places. Yes and no are asked of either gender, in either order,
    which crosses them already.

    Parameters
    ----------
    file : the questions, and the symbols by set.
    sets : names of sets of symbols in the file, or "yes-no".
    neutral : three meanings with a neutral one, not two; yes-no questions have none.
    crossed : the symbols are turned round too: then symbol, place and meaning each meet each other
        equally often.

    Raises
    ------
    InputError : a set of symbols that the file does not have, or that no question is left for.
    """
    meanings = MEANINGS if neutral else MEANINGS[:2]
    out: list[Prompt] = []
    for name in sets:
        if not (file.yes_no if name == YES_NO else file.questions):
            raise InputError(
                "no question is left to ask",
                where="only",
                found=f"none for the symbols {name}",
                expected="other questions, or other symbols",
            )
        if name == YES_NO:
            out += [p for q in file.yes_no for p in _yes_no(q, file.answers)]
            continue
        if name not in file.symbols:
            raise InputError(
                "no such set of symbols",
                where="symbols",
                found=repr(name),
                expected="one of " + ", ".join([*file.symbols, YES_NO]),
            )
        symbols = file.symbols[name][: len(meanings)]
        for question in file.questions:
            for order in itertools.permutations(meanings):
                for turned in _turns(symbols) if crossed else (symbols,):
                    out.append(_question(question, name, turned, order))
    return out


def questions_of(settings: SymbolSettings, *, crossed: bool = False) -> list[Prompt]:
    """The prompts of a probe with these settings; `InputError` for faults of its file."""
    file = read_choice(settings.templates, neutral=settings.neutral, only=settings.only)
    return prompts_of(file, settings.symbols, neutral=settings.neutral, crossed=crossed)


def _turns(symbols: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for k in range(len(symbols)):
        yield symbols[k:] + symbols[:k]


def _question(
    question: Question, name: str, symbols: tuple[str, ...], order: tuple[str, ...]
) -> Prompt:
    words = tuple(question.meanings[meaning] for meaning in order)
    lines = "\n".join(f"{s}) {word}" for s, word in zip(symbols, words, strict=True))
    text = question.text.replace("{options}", lines)
    return Prompt(question.name, name, text, symbols, order, words)


def _yes_no(question: Question, answers: tuple[str, str]) -> Iterator[Prompt]:
    other = {"female": "male", "male": "female"}
    for meaning, swapped in itertools.product(("female", "male"), (False, True)):
        symbols, meanings = answers, (meaning, other[meaning])
        if swapped:
            symbols, meanings = symbols[::-1], meanings[::-1]
        text = question.text.replace("{meaning}", question.meanings[meaning])
        text = text.replace("{order}", " or ".join(symbols))
        yield Prompt(question.name, YES_NO, text, symbols, meanings, symbols)


def check_choice(examples: Examples, settings: ChoiceSettings) -> str:
    """Raise the errors that asking would; returns the digest of the questions."""
    chosen_texts(examples, settings)
    return digest_of(questions_of(settings))


def ask_choice(
    language: LanguageModel,
    examples: Examples,
    settings: ChoiceSettings,
    watch: Watch | None = None,
) -> Asked:
    """Ask every question about the chosen rows' texts.

    Parameters
    ----------
    language : the model.
    examples : the data; `settings` choose the rows.
    settings : which rows and questions; whether free answers are written too.
    watch : called with (prompts done, all), and again for free answers; None for no calls.

    Raises
    ------
    InputError : as `check_choice`; a question that the model's context or tokenizer does not allow.
    """
    prompts = questions_of(settings)
    room = settings.max_new_tokens if settings.generate else 0
    rows, filled, notes = ask_prompts(language, examples, settings, prompts, watch, room=room)
    if settings.generate:
        written = generate(
            language,
            [prompt.context for prompt in filled],
            max_new_tokens=settings.max_new_tokens,
            batch_size=settings.batch_size,
            watch=watch,
        )
        rows["written"] = written
        rows["parsed"] = [
            parse_answer(text, *options)
            for text, *options in zip(
                written, rows["symbols"], rows["meanings"], rows["words"], strict=True
            )
        ]
    summary = {
        "settings": settings.model_dump(mode="json"),
        **summary_of(rows),
        "notes": notes,
    }
    return Asked(NAME, summary, rows)


def ask_prompts(
    language: LanguageModel,
    examples: Examples,
    settings: TextSettings,
    prompts: Sequence[Prompt],
    watch: Watch | None = None,
    *,
    room: int = 0,
) -> tuple[dict[str, list[Any]], list[Filled], list[str]]:
    """The likelihood of every prompt's symbols for the chosen rows' texts; a row a prompt.

    Parameters
    ----------
    language : the model.
    examples : the data; `settings` choose the rows.
    settings : which rows, where texts are cut, and how many prompts at a time.
    prompts : what each text is asked with.
    watch : called with (prompts done, all); None for no calls.
    room : tokens kept free for what the model writes.

    Returns
    -------
    The rows by column, the filled prompts as tokens, and what a reader must know.

    Raises
    ------
    InputError : no text to ask about; a prompt that the model's context or tokenizer does not
        allow.
    """
    some = chosen_texts(examples, settings)
    cutter = Cutter(language, settings.text_tokens)
    names = ("id", "cluster", "wording", "set", "symbols", "meanings", "words", "logs", "shares")
    rows: dict[str, list[Any]] = {name: [] for name in names}
    filled: list[Filled] = []
    for text, ident, cluster in zip(some.inputs, some.ids, clusters_of(some), strict=True):
        for prompt in prompts:
            filled.append(_filled(language, cutter, prompt, text, room))
            for name, value in (
                ("id", str(ident)),
                ("cluster", cluster),
                ("wording", prompt.wording),
                ("set", prompt.symbol_set),
                ("symbols", list(prompt.symbols)),
                ("meanings", list(prompt.meanings)),
                ("words", list(prompt.words)),
            ):
                rows[name].append(value)
    scores = score_options(
        language,
        [entry.context for entry in filled],
        [entry.options for entry in filled],
        batch_size=settings.batch_size,
        watch=watch,
    )
    for logs in scores:
        rows["logs"].append(logs.tolist())
        rows["shares"].append(shares(logs[None])[0].tolist())
    return rows, filled, cutter.notes


def _filled(
    language: LanguageModel, cutter: Cutter, prompt: Prompt, text: str, room: int
) -> Filled:
    where = f"question {prompt.wording} ({prompt.symbol_set})"
    options = [f" {symbol}" for symbol in prompt.symbols]

    def fill(part: str) -> Filled:
        return encode_options(language, prompt.text.replace("{text}", part), options, where=where)

    return cutter.fitted(text, fill, where=where, room=room)


def parse_answer(
    text: str, symbols: Sequence[str], meanings: Sequence[str], words: Sequence[str]
) -> str | None:
    """The meaning that a free answer names, by its symbol or by its words; None for neither.

    The first symbol that stands by itself counts ("A", "(A)", "A."), a letter in its own case; then
    the option whose words the answer begins with. "A woman" is therefore the words and not the
    letter A, where an option has these words.

    Parameters
    ----------
    text : the free answer.
    symbols, meanings, words : (K,) of the options, in the order offered.

    >>> parse_answer("B) a man", "AB", ("female", "male"), ("a woman", "a man"))
    'male'
    >>> parse_answer("A woman.", "AB", ("male", "female"), ("a man", "a woman"))
    'female'
    """
    plain_text = text.strip()
    for meaning, word in sorted(zip(meanings, words, strict=True), key=lambda p: -len(p[1])):
        if len(word) > 1 and re.match(rf"{re.escape(word)}(?!\w)", plain_text, re.IGNORECASE):
            return meaning
    best: tuple[int, str] | None = None
    for symbol, meaning in zip(symbols, meanings, strict=True):
        # Words such as yes may begin with a capital; a letter stands for itself.
        flags = re.IGNORECASE if len(symbol) > 1 else 0
        match = re.search(rf"(?<!\w){re.escape(symbol)}(?!\w)", plain_text, flags)
        if match and (best is None or match.start() < best[0]):
            best = (match.start(), meaning)
    return None if best is None else best[1]


def summary_of(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """Shares of meanings, symbols, places and free answers, by set of symbols."""
    sets: dict[str, Any] = {}
    for name in dict.fromkeys(rows["set"]):
        some = of_set(rows, name)
        parts = np.array(some["shares"])
        clusters = some["cluster"]
        mass = np.exp(np.array(some["logs"])).sum(axis=1)
        first = np.array(some["logs"]).argmax(axis=1)
        entry: dict[str, Any] = {
            "prompts": len(clusters),
            "meanings": _levels(some["meanings"], parts, first, clusters),
            "symbols": _levels(some["symbols"], parts, first, clusters),
            "places": _levels(
                [list(range(1, parts.shape[1] + 1))] * len(clusters), parts, first, clusters
            ),
            "mass": float(mass.mean()),
        }
        if "parsed" in some:
            counts = {m: some["parsed"].count(m) for m in entry["meanings"]}
            entry["written"] = {**counts, "unparsed": some["parsed"].count(None)}
        sets[name] = entry
    return plain(
        {
            "texts": len(set(rows["id"])),
            "clusters": len(set(rows["cluster"])),
            "sets": sets,
            "estimates": {estimate.name: estimate.to_dict() for estimate in estimates_of(rows)},
        }
    )


def of_set(rows: Mapping[str, list[Any]], name: str) -> dict[str, list[Any]]:
    """The rows of one set of symbols."""
    keep = [k for k, value in enumerate(rows["set"]) if value == name]
    return {key: [values[k] for k in keep] for key, values in rows.items()}


def _levels(
    labels: Sequence[Sequence[Any]], parts: Any, first: Any, clusters: Sequence[str]
) -> dict[str, Any]:
    """The mean share of each label with its interval, and how often it was the likeliest."""
    out = {}
    for label in sorted({str(x) for row in labels for x in row}, key=_in_order):
        where = np.array([[str(x) == label for x in row] for row in labels])
        share = (parts * where).sum(axis=1)
        chosen = where[np.arange(len(where)), first]
        estimate = ratio(label, label, "share", clusters, share)
        out[label] = {**estimate.to_dict(), "likeliest": float(chosen.mean())}
    return out


def _in_order(label: str) -> tuple[int, str]:
    return (MEANINGS.index(label), "") if label in MEANINGS else (len(MEANINGS), label)


def estimates_of(rows: dict[str, list[Any]]) -> list[Estimate]:
    """The share of every meaning by set of symbols; with free answers, the share of each too."""
    out = []
    for name in dict.fromkeys(rows["set"]):
        some = of_set(rows, name)
        parts = np.array(some["shares"])
        for meaning in sorted({m for row in some["meanings"] for m in row}, key=_in_order):
            where = np.array([[m == meaning for m in row] for row in some["meanings"]])
            out.append(
                ratio(
                    f"{name}_{meaning}",
                    f"P({meaning}), {name}",
                    "share",
                    some["cluster"],
                    (parts * where).sum(axis=1),
                    more=f"more {meaning}",
                    less=f"less {meaning}",
                    primary=meaning == "female",
                )
            )
        if "parsed" in some:
            for meaning in ("female", "male"):
                said = [value == meaning for value in some["parsed"]]
                out.append(
                    ratio(
                        f"{name}_written_{meaning}",
                        f"Free answer {meaning}, {name}",
                        "share",
                        some["cluster"],
                        said,
                        more=f"more {meaning}",
                        less=f"less {meaning}",
                    )
                )
    return out
