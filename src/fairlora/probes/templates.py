"""Read templates, which put a text to a model, from YAML that users can replace or add to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, TypeVar

from fairlora.errors import InputError
from fairlora.io import parse_yaml

HERE = Path(__file__).resolve().parent / "templates"
MEANINGS = ("female", "male", "neutral")


Named = TypeVar("Named", "Cloze", "Question")


class Cloze(NamedTuple):
    """A cloze template: what stands before the slot (with {text}), behind it, and the options."""

    name: str
    before: str
    after: str
    options: dict[str, str]


class Question(NamedTuple):
    """A question with its slots, and the words for each meaning."""

    name: str
    text: str
    meanings: dict[str, str]


class ChoiceFile(NamedTuple):
    """Questions with options, yes-no questions, symbols by set, and the words for yes and no."""

    questions: tuple[Question, ...]
    yes_no: tuple[Question, ...]
    symbols: dict[str, tuple[str, ...]]
    answers: tuple[str, str]


def digest_of(asked: object) -> str:
    """A digest of templates or questions: two models are compared if theirs agree."""
    return hashlib.blake2b(repr(asked).encode(), digest_size=8).hexdigest()


def read_cloze(
    path: Path | None = None, *, neutral: bool = False, only: Sequence[str] | None = None
) -> tuple[Cloze, ...]:
    """The cloze templates of a file, or fairlora's own.

    Parameters
    ----------
    path : a YAML file; None is fairlora's own.
    neutral : three options with a neutral one; else two.
    only : names of the templates to take; None is all.

    Raises
    ------
    InputError : names file and template: a slot that is missing or not behind the text, an unknown
        slot, an option without a word, two options of one word, two templates of one name; a name
        in `only` that no template has.
    """
    path = HERE / "cloze.yaml" if path is None else path
    content = _read(path, ("options", "templates"))
    shared = _words(content.get("options", {}), f"{path}: options")
    out = []
    for k, entry in enumerate(_list(content, "templates", path)):
        name, text, own = _entry(entry, f"{path}: templates[{k}]", "options")
        where = f"{path}: {name}"
        _check_slots(text, ("text", "option"), where)
        words = {**shared, **own}
        before, _, after = text.partition("{option}")
        if "{text}" not in before:
            raise InputError("the text must stand before its slot", where=where, found=repr(text))
        out.append(Cloze(name, before, after, _chosen(words, neutral, where)))
    _check_names([template.name for template in out], only, path)
    return _only(out, only)


def read_choice(
    path: Path | None = None, *, neutral: bool = False, only: Sequence[str] | None = None
) -> ChoiceFile:
    """The questions of a file, or fairlora's own.

    Parameters
    ----------
    path : a YAML file; None is fairlora's own.
    neutral : questions with options have a neutral third; yes-no questions have none.
    only : names of the questions to take; None is all.

    Raises
    ------
    InputError : as `read_cloze`; a file without a question; fewer than three symbols in a set, or
        one twice.
    """
    path = HERE / "choice.yaml" if path is None else path
    content = _read(path, ("symbols", "meanings", "questions", "yes_no", "answers"))
    shared = _words(content.get("meanings", {}), f"{path}: meanings")
    questions: list[Question] = []
    yes_no: list[Question] = []
    for key, slots, out in (
        ("questions", ("text", "options"), questions),
        ("yes_no", ("text", "meaning", "order"), yes_no),
    ):
        for k, entry in enumerate(content.get(key) or []):
            name, text, own = _entry(entry, f"{path}: {key}[{k}]", "meanings")
            where = f"{path}: {name}"
            _check_slots(text, slots, where)
            if text.index("{text}") > text.index("{" + slots[1] + "}"):
                raise InputError("the text must stand first", where=where, found=repr(text))
            third = neutral and key == "questions"
            out.append(Question(name, text, _chosen({**shared, **own}, third, where)))
    if not questions and not yes_no:
        raise InputError("no question", where=path, expected="questions or yes_no")
    symbols = {}
    for name, words in (content.get("symbols") or {}).items():
        marks = tuple(str(word) for word in words)
        if len(marks) < 3 or len(set(marks)) < len(marks):
            raise InputError(
                "too few symbols, or one twice", where=f"{path}: symbols.{name}", expected="three"
            )
        symbols[str(name)] = marks
    answers = {str(k): str(v) for k, v in (content.get("answers") or {}).items()}
    pair = (answers.get("yes", "yes"), answers.get("no", "no"))
    names = [question.name for question in questions]
    # A yes-no question may have the name of one with options: both are asked by it.
    others = [question.name for question in yes_no]
    _check_names(names, None, path)
    _check_names(others, None, path)
    _check_names(list(dict.fromkeys([*names, *others])), only, path)
    return ChoiceFile(_only(questions, only), _only(yes_no, only), symbols, pair)


def _read(path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        raise InputError("no such file of templates", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("not readable as YAML", where=path, found=type(error).__name__) from error
    if not isinstance(content, dict):
        raise InputError("not a file of templates", where=path, expected=", ".join(known))
    for key in content:
        if key not in known:
            raise InputError(
                "unknown key", where=f"{path}: {key}", expected="one of " + ", ".join(known)
            )
    return content


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list) or not value:
        raise InputError("an empty list of templates", where=f"{path}: {key}")
    return value


def _entry(entry: Any, where: str, words: str) -> tuple[str, str, dict[str, str]]:
    if not isinstance(entry, Mapping) or not {"name", "text"} <= set(entry):
        raise InputError("a template has a name and a text", where=where, found=repr(entry)[:80])
    for key in entry:
        if key not in ("name", "text", words):
            known = f"name, text, {words}"
            raise InputError("unknown key", where=f"{where}: {key}", expected=known)
    return str(entry["name"]), str(entry["text"]), _words(entry.get(words, {}), where)


def _words(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError("not a mapping of meanings to words", where=where, found=repr(value)[:80])
    for key in value:
        if key not in MEANINGS:
            raise InputError(
                "unknown meaning", where=where, found=repr(key), expected=", ".join(MEANINGS)
            )
    return {str(key): str(word) for key, word in value.items()}


def _check_slots(text: str, wanted: tuple[str, ...], where: str) -> None:
    try:
        slots = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise InputError("a brace by itself", where=where, found=repr(text)) from error
    for name in slots:
        if name not in wanted:
            raise InputError(
                "unknown slot",
                where=where,
                found="{" + name + "}",
                expected=", ".join("{" + w + "}" for w in wanted),
            )
    for name in wanted:
        if slots.count(name) != 1:
            slot = "{" + name + "}"
            problem = "no slot " if name not in slots else "more than one slot "
            raise InputError(problem + slot, where=where, found=repr(text), expected=f"{slot} once")


def _chosen(words: Mapping[str, str], neutral: bool, where: str) -> dict[str, str]:
    names = MEANINGS if neutral else MEANINGS[:2]
    out = {}
    for name in names:
        if not words.get(name, "").strip():
            raise InputError("no word for a meaning", where=where, expected=f"one for {name}")
        out[name] = words[name]
    if len({word.strip().casefold() for word in out.values()}) < len(out):
        raise InputError("two meanings of one word", where=where, found=", ".join(out.values()))
    return out


def _check_names(names: list[str], only: Sequence[str] | None, path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError("two templates of one name", where=path, found=name)
    for name in only or ():
        if name not in names:
            raise InputError(
                "no template of this name",
                where="only",
                found=name,
                expected="some of " + ", ".join(names),
            )


def _only(named: list[Named], only: Sequence[str] | None) -> tuple[Named, ...]:
    return tuple(template for template in named if only is None or template.name in only)
