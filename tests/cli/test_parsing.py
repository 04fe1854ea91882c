"""An option that takes one value is given once; repeatable options as often as one likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fairlora.cli import app


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def single_options() -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Every command's options that take one value, or none."""
    for path, command in commands(typer.main.get_command(app)):
        for option in command.params:
            if option.param_type_name == "option" and not option.multiple and not option.is_eager:
                yield path, option.opts[0], option.is_flag


@pytest.mark.parametrize(
    ("path", "option", "flag"),
    [pytest.param(*one, id=" ".join((*one[0], one[1]))) for one in single_options()],
)
def test_an_option_given_twice_is_refused_by_every_command(
    fairlora: Callable[..., Any], path: tuple[str, ...], option: str, flag: bool
) -> None:
    given = [option] if flag else [option, "1"]
    done = fairlora(*path, *given, *given)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"fairlora: {option}: given more than once (found 2 times; expected")
    assert len(done.err.splitlines()) == 1


def test_a_second_prediction_column_is_told_where_it_belongs(fairlora: Callable[..., Any]) -> None:
    done = fairlora("audit", "f.csv", "--pred", "a", "--pred=b")
    assert "expected one; a second model's predictions are --against-pred" in done.err


def test_a_flag_and_its_opposite_are_one_option(fairlora: Callable[..., Any]) -> None:
    assert "given more than once" in fairlora("study", "plan", "x", "--count", "--no-count").err


def test_help_is_given_whatever_else_is(fairlora: Callable[..., Any]) -> None:
    assert fairlora("audit", "--pred", "a", "--pred", "b", "--help").code == 0


def test_repeatable_options_are_repeated(fairlora: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("y,h,a,b\n" + "1,1,x,u\n0,1,y,v\n" * 20)
    columns = ("--label", "y", "--pred", "h", "--positive", "1")
    asked = ("--group", "a", "--group", "b", "--bootstrap", "0", "--full")
    done = fairlora("audit", file, *columns, *asked)
    assert done.code == 0
    assert "Disparities by a" in done.out
    assert "Disparities by b" in done.out


def test_a_group_suggests_one_class(fairlora: Callable[..., Any], tmp_path: Path) -> None:
    given = ("--suggests", "g:a=yes", "--suggests", "g:a=no")
    done = fairlora("audit", tmp_path / "f.csv", *given)
    assert (done.code, done.out) == (2, "")
    assert "--suggests g:a: two classes suggested for one group (found yes and no" in done.err
