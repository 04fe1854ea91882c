"""A language model's run as an attacker sees it: its texts' tokens, its members, and their sources.

Members are the texts of the run's training split that it kept numbers of, non-members those of its
test split. Attacks on tokens read no shadow model; those on losses read them as of any other run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairlora.errors import FairloraError, InputError
from fairlora.predictions.texts import Texts, TextsRecord, read_texts, texts_record
from fairlora.privacy.content import Shift
from fairlora.privacy.shift import source_shift
from fairlora.privacy.tokens import TokenRows
from fairlora.study.runs.folder import RunFolder
from fairlora.study.runs.prepare import divided

_WITH_BASE = "the base model's loss and lowest log-probabilities of each text, its length and zlib"
_WITHOUT_BASE = "each text's length and zlib alone: there is no base to read"


class TextsOfTarget(NamedTuple):
    """What the attacked texts of a language model hold beside their losses.

    `tokens` are those of the texts, `shift` says whether members and non-members differ without the
    model, `notes` what a reader should know.
    """

    tokens: TokenRows
    shift: Shift
    notes: list[str]


def texts_of(
    folder: RunFolder,
    ids: NDArray[np.str_],
    member: NDArray[np.bool_],
    families: Mapping[str, str] | None = None,
    seed: int = 0,
) -> TextsOfTarget | None:
    """The tokens of the texts that are attacked, from a run's folder; None of any other run.

    Parameters
    ----------
    folder : of the finished run that is attacked.
    ids, member : (n,) of the texts, and whether the run trained on each.
    families : id -> what is drawn together; None where each text is by itself.
    seed : of the test of the two sides.

    Raises
    ------
    InputError : a broken table, or members that are not training rows of the run's data.
    """
    if texts_record(folder.texts) is None:
        return None
    texts, record = read_texts(folder.texts)
    place = {str(one): k for k, one in enumerate(texts.ids.tolist())}
    rows = [place[str(one)] for one in ids.tolist()]
    base = texts.base_log_probs
    tokens = TokenRows(
        log_probs=[texts.log_probs[k] for k in rows],
        means=[texts.means[k] for k in rows],
        sds=[texts.sds[k] for k in rows],
        top=[texts.top[k] for k in rows],
        base_log_probs=None if base is None else [base[k] for k in rows],
        compressed=texts.compressed[rows],
        no_base=record.no_base,
    )
    clusters = None
    if families is not None:
        clusters = np.array([families.get(str(one), str(one)) for one in ids.tolist()])
    shift = source_shift(
        _untouched(tokens),
        member,
        _WITHOUT_BASE if base is None else _WITH_BASE,
        clusters=clusters,
        seed=seed,
    )
    return TextsOfTarget(tokens, shift, [*_unseen(folder, texts), *_notes(folder, record)])


def _untouched(tokens: TokenRows) -> NDArray[np.float64]:
    """(n, p) what no training touched: each text's length and entropy, and its base's view."""
    length = np.array([len(row) for row in tokens.log_probs], dtype=np.float64)
    columns = [length, tokens.compressed / length]
    if tokens.base_log_probs is not None:
        rows = [row.astype(np.float64) for row in tokens.base_log_probs]
        columns += [
            np.array([row.mean() for row in rows]),
            np.array([np.quantile(row, 0.2) for row in rows]),
        ]
    return np.stack(columns, axis=1)


def _unseen(folder: RunFolder, texts: Texts) -> list[str]:
    """Raise `InputError` for members that the run's data do not train on.

    Returns a note where the data are not at hand, and none can be told.
    """
    try:
        examples = divided(folder.spec())
    except (FairloraError, OSError):
        return [
            "The run's data are not at hand: that its members are its training rows is taken from "
            "its table, and rows of one family, if there are any, count as independent."
        ]
    trained = set(examples.part("train").ids.astype(str).tolist())
    said = texts.ids[texts.split == "train"].tolist()
    strange = [one for one in said if one not in trained]
    strange += [one for one in texts.ids[texts.split == "test"].tolist() if one in trained]
    if strange:
        raise InputError(
            "members that the run did not train on, or non-members that it did",
            where=folder.texts,
            found=f"{len(strange):,} of {len(texts):,} texts, {strange[0]!r} first",
            expected="the table that the run wrote, and the data that it was trained on",
        )
    return []


def _notes(folder: RunFolder, record: TextsRecord) -> list[str]:
    notes = []
    name = folder.path.name
    cut = {split: record.cut.get(split, 0) for split in ("train", "test")}
    if any(cut.values()):
        notes.append(
            f"{cut['train']:,} members and {cut['test']:,} non-members of {name} are cut at "
            f"{record.max_length} tokens, as they were in training: of them the attacks read the "
            "beginning alone."
        )
    without = {split: record.without_tokens.get(split, 0) for split in ("train", "test")}
    if any(without.values()):
        notes.append(
            f"{without['train']:,} training texts and {without['test']:,} test texts of {name} "
            "have no token that another stands before, and are left out: the first token of a text "
            "has no log-probability."
        )
    return notes


def has_texts(folder: RunFolder) -> bool:
    """Whether a run is a language model's that kept its texts' numbers."""
    return texts_record(folder.texts) is not None


def fewer_members(folder: RunFolder, members: int) -> str | None:
    """The line that says that not every training text is attacked; None where all are.

    Parameters
    ----------
    folder : of the run.
    members : how many are attacked.
    """
    record = texts_record(folder.texts)
    if record is None:
        return None
    known = record.of.get("train", members) - record.without_tokens.get("train", 0)
    if members >= known:
        return None
    return (
        f"The members are {members:,} of the {known:,} training texts of {folder.path.name}; with "
        "'training: {predict_train: all}' a run scores them all."
    )
