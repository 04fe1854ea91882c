"""The errors that fairlora raises on purpose. Below every room: any room may import it.

A message is one line and says where, what was found and what was expected. The command line prints
it without a traceback and exits with the error's `exit_code`.
"""

from __future__ import annotations


class FairloraError(Exception):
    """Base of fairlora's own errors."""

    exit_code = 1


class InputError(FairloraError, ValueError):
    """The user's input is wrong, and the user can mend it (exit code 2).

    Parameters
    ----------
    problem : what is wrong, in a few words.
    where : the file, key, row or column at fault.
    found, expected : what was there, and what should have been.

    >>> print(InputError("negative strength", where="strength", found=-1, expected=">= 0"))
    strength: negative strength (found -1; expected >= 0)
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        where: object = None,
        found: object = None,
        expected: object = None,
    ) -> None:
        details = [
            f"{word} {value}"
            for word, value in (("found", found), ("expected", expected))
            if value is not None
        ]
        message = problem if where is None else f"{where}: {problem}"
        if details:
            message += f" ({'; '.join(details)})"
        super().__init__(" ".join(message.split()))


class WorkError(FairloraError, RuntimeError):
    """The input was right and the work failed all the same (exit code 1)."""

    exit_code = 1
