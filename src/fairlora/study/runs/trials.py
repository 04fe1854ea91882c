"""Record an arm's trials in an Optuna storage.

Optuna proposes, and its storage remembers, so that its own tools can show a search; but what is
proposed depends on nothing that a kill can change. Every trial is proposed in memory, from the
trials recorded before it and a seed of its own, and is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlora.errors import InputError, optional_module
from fairlora.io import locked
from fairlora.study.spec.search import Choices, RangeSpec, SearchSpec, flat_choice

FILE = "search.db"
_SETTINGS = "fairlora_settings"
_RUNS = "fairlora_runs"
_STATE = "fairlora_state"
# How often another proposal is asked for where one was tried before: by the sampler, then blindly.
_ATTEMPTS = (10, 100)


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes
    ----------
    params : key path of a run -> value.
    state : "finished", "failed" (a run did not finish), "undefined" (an objective has no value on
        these rows), or "open" (asked, and nothing is known yet).
    values : (k,) the objectives, means over the seeds; None unless finished.
    runs : names of the runs' folders, one a seed, as far as they finished.
    """

    number: int
    params: dict[str, Any]
    state: str
    values: tuple[float, ...] | None
    runs: tuple[str, ...]


class Record:
    """The trials of one arm.

    Made by `opened`, which holds the arm's lock.
    """

    def __init__(self, optuna: Any, storage: Any, study: Any, arm: str, search: SearchSpec) -> None:
        self._optuna, self._storage, self._study = optuna, storage, study
        self._arm, self._search = arm, search
        self._space = {key: _Axis(optuna, values) for key, values in search.space.items()}
        self._directions = _directions(search)

    def restart(self, settings: Mapping[str, str]) -> None:
        """Forget all trials."""
        self._optuna.delete_study(study_name=self._arm, storage=self._storage)
        self._study = _study(self._optuna, self._storage, self._arm, self._search, settings)

    def trials(self) -> list[Trial]:
        """All trials, in the order in which they were asked."""
        return [self._read(trial) for trial in self._study.get_trials(deepcopy=False)]

    def _read(self, trial: Any) -> Trial:
        finished = trial.state.is_finished()
        return Trial(
            trial.number,
            {key: axis.outside(trial.params[key]) for key, axis in self._space.items()},
            str(trial.user_attrs.get(_STATE, "failed")) if finished else "open",
            None if trial.values is None else tuple(trial.values),
            tuple(trial.user_attrs.get(_RUNS, ())),
        )

    def ask(self, number: int) -> None:
        """Propose trial `number`, the next, and write it down.

        What it is depends on the settings of all trials before it and on the results of the batches
        before its own, and on nothing else: it is the same whenever it is asked.
        """
        states = self._optuna.trial.TrialState
        start = number - number % self._search.batch
        history = [
            self._trial(t, states.RUNNING if t.number >= start else None)
            for t in self.trials()[:number]
        ]
        tried = {_word(t.params) for t in history}
        self._study.add_trial(self._made(self._propose(number, history, tried), states.RUNNING))

    def _propose(self, number: int, history: Sequence[Any], tried: set[str]) -> dict[str, Any]:
        """Settings in Optuna's own words: new ones, as long as there are any."""
        space = {key: axis.distribution for key, axis in self._space.items()}
        blind = self._optuna.samplers.RandomSampler
        kinds = [self._sampler] * _ATTEMPTS[0] + [blind] * _ATTEMPTS[1]
        params: dict[str, Any] = {}
        for attempt, kind in enumerate(kinds):
            seed = _seed(self._search.seed, self._arm, number, attempt)
            memory = self._optuna.create_study(sampler=kind(seed=seed), directions=self._directions)
            memory.add_trials(history)
            asked = memory.ask(space).params
            params = {
                key: axis.inside(axis.outside(asked[key])) for key, axis in self._space.items()
            }
            if _word(params) not in tried:
                return params
        if self._search.size is not None:
            for settings in self._search.settings():
                inside = {key: axis.inside(settings[key]) for key, axis in self._space.items()}
                if _word(inside) not in tried:
                    return inside
        return params

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._search.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        # Said, for other versions of Optuna have other defaults.
        several = len(self._search.objectives) > 1
        return samplers.TPESampler(seed=seed, constant_liar=True, multivariate=not several)

    def _trial(self, trial: Trial, state: Any) -> Any:
        """A recorded trial as Optuna's samplers see it; `state` None is its own."""
        states = self._optuna.trial.TrialState
        inside = {key: axis.inside(trial.params[key]) for key, axis in self._space.items()}
        own = states.FAIL if trial.values is None else states.COMPLETE
        state = own if state is None else state
        return self._made(inside, state, trial.values if state == states.COMPLETE else None)

    def _made(self, params: Mapping[str, Any], state: Any, values: Any = None) -> Any:
        return self._optuna.trial.create_trial(
            state=state,
            params=dict(params),
            distributions={key: axis.distribution for key, axis in self._space.items()},
            values=values,
        )

    def tell(
        self, number: int, state: str, values: Sequence[float] | None, runs: Sequence[str]
    ) -> None:
        """Write down what came of a trial.

        Parameters
        ----------
        number : the trial's, as it was asked.
        state : "finished", "failed" or "undefined", as of `Trial`.
        values : (k,) the objectives; None unless finished.
        runs : names of its runs' folders, as far as they finished.
        """
        storage = self._storage
        study = storage.get_study_id_from_name(self._arm)
        trial = storage.get_trial_id_from_study_id_trial_number(study, number)
        storage.set_trial_user_attr(trial, _RUNS, list(runs))
        storage.set_trial_user_attr(trial, _STATE, state)
        # The last: it says that all is there.
        states = self._optuna.trial.TrialState
        outcome = states.FAIL if values is None else states.COMPLETE
        self._study.tell(number, None if values is None else list(values), state=outcome)


class _Axis:
    """One key of the space, as Optuna has it."""

    def __init__(self, optuna: Any, values: Choices | RangeSpec) -> None:
        kinds = optuna.distributions
        self._values = values
        if isinstance(values, tuple):
            self._choices = {flat_choice(choice): choice for choice in values}
            self.distribution = kinds.CategoricalDistribution(tuple(self._choices))
            return
        # A range ends where its steps do.
        high = values.high if values.count is None else values.number(values.count - 1)
        if values.whole:
            self.distribution = kinds.IntDistribution(
                int(values.low), int(high), log=values.log, step=int(values.spacing or 1)
            )
        else:
            self.distribution = kinds.FloatDistribution(
                values.low, high, log=values.log, step=values.step
            )

    def outside(self, value: Any) -> Any:
        """The setting that Optuna's word stands for."""
        return (
            self._choices[value] if isinstance(self._values, tuple) else self._values.rounded(value)
        )

    def inside(self, value: Any) -> Any:
        """Optuna's word for a setting."""
        return flat_choice(value) if isinstance(self._values, tuple) else value


def _word(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)


def _seed(*parts: object) -> int:
    """A seed of its own for every proposal."""
    digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def _directions(search: SearchSpec) -> list[str]:
    return ["maximize" if o.direction > 0 else "minimize" for o in search.objectives]


@contextlib.contextmanager
def opened(
    arm: str, search: SearchSpec, folder: Path, settings: Mapping[str, str]
) -> Iterator[Record]:
    """The record of an arm, for one process at a time.

    Parameters
    ----------
    settings : part of the search -> its hash: what trials must share to be compared.

    Raises `InputError` if Optuna is not installed, the storage cannot be opened, another process
    searches the same arm, or the arm was searched with other settings.
    """
    with _stored(arm, search, folder) as (optuna, storage):
        yield Record(optuna, storage, _study(optuna, storage, arm, search, settings), arm, search)


def forget(arm: str, search: SearchSpec, folder: Path) -> bool:
    """Remove an arm's trials from the record; whether there were any. Runs stay where they are.

    Searching again then finds them, tries anew what failed, and goes on from there.

    Parameters
    ----------
    arm : its name in the record.
    search : for where its storage is.
    folder : the study's, with the lock, and with the record unless the search has another storage.

    Raises
    ------
    InputError : Optuna is not installed, the storage cannot be opened, or another process searches
        the same arm.
    """
    with _stored(arm, search, folder) as (optuna, storage):
        try:
            optuna.delete_study(study_name=arm, storage=storage)
        except KeyError:
            return False
    return True


@contextlib.contextmanager
def _stored(arm: str, search: SearchSpec, folder: Path) -> Iterator[tuple[Any, Any]]:
    optuna = optional_module(
        "optuna", where=f"search.sampler {search.sampler}", otherwise="sampler grid"
    )
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = hashlib.blake2b(arm.encode(), digest_size=6).hexdigest()
    busy = InputError(f"another process is searching {arm!r}", where=folder / FILE)
    try:
        with warnings.catch_warnings(), locked(folder / f".search-{name}.lock", busy):
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = _open(optuna, search.storage, folder)
            try:
                yield optuna, storage
            finally:
                storage.remove_session()
                storage.engine.dispose()
    finally:
        optuna.logging.set_verbosity(before)


def _open(optuna: Any, url: str | None, folder: Path) -> Any:
    from sqlalchemy import URL

    file = folder / FILE
    if url is None:
        # A path may hold what means something else in a URL.
        own = URL.create("sqlite", database=str(file.absolute()))
        url, where, expected = own.render_as_string(hide_password=False), str(file), None
    else:
        # Not the URL itself: it may hold a password.
        where, expected = "search.storage", "a URL that Optuna can open, such as sqlite:///file.db"
    try:
        # A run may take longer than a server keeps an idle connection.
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:
        raise InputError(
            "cannot open the record of the search",
            where=where,
            found=type(error).__name__,
            expected=expected,
        ) from None


def _study(
    optuna: Any, storage: Any, arm: str, search: SearchSpec, settings: Mapping[str, str]
) -> Any:
    study = optuna.create_study(
        study_name=arm, storage=storage, directions=_directions(search), load_if_exists=True
    )
    known = study.user_attrs.get(_SETTINGS)
    where = f"search of {arm!r}"
    other = [d.name.lower() for d in study.directions] != _directions(search)
    if known is None and (other or study.get_trials(deepcopy=False)):
        raise InputError(
            "the storage has other trials under this name",
            where=where,
            expected="another storage, or another name of the study",
        )
    if known is None:
        study.set_user_attr(_SETTINGS, dict(settings))
    elif known != dict(settings):
        changed = [k for k in settings if known.get(k) != settings[k]] or ["settings"]
        raise InputError(
            "this was searched with other settings: their trials cannot be mixed",
            where=where,
            found="other " + ", ".join(changed),
            expected="another name of the study, or its record removed"
            + (f" ({FILE})" if search.storage is None else ""),
        )
    return study
