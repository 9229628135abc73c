# SPDX-License-Identifier: MIT
"""What is wrong with a command line, in one line without its end: click's own errors in our words."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterable

import click

from lazyobs.text import printable


def words(error: click.ClickException) -> str:
    """What is wrong, and what was probably meant."""
    if isinstance(error, click.NoSuchOption):
        return f"there is no option {printable(error.option_name)}{_meant(error.possibilities or ())}{_place(error)}"
    if isinstance(error, click.MissingParameter) and error.param is not None and error.ctx is not None:
        metavar = getattr(error.param, "metavar", None) if isinstance(error.param, click.Option) else None
        return " ".join(filter(None, [error.ctx.info_name, "needs", name(error.param), metavar]))
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"{name(error.param)}: {error.message}".rstrip(".")
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def no_command(name: str, commands: Iterable[str], kind: str = "command") -> str:
    """The error for a command that does not exist."""
    return f"there is no {kind} {name!r}{_meant(difflib.get_close_matches(name, commands, 1))}"


def no_such(kind: str, name: str, names: Iterable[str]) -> str:
    """The error for a value that is none of ``names``."""
    there = list(names)
    meant = _meant(difflib.get_close_matches(name, there, 1))
    return f"there is no {kind} {printable(name)!r}{meant}; there are {', '.join(there)}"


def _meant(names: Iterable[str]) -> str:
    """The nearest name, which comes first."""
    nearest = next(iter(names), "")
    return f" (did you mean {nearest}?)" if nearest else ""


def _place(error: click.UsageError) -> str:
    """Before the command there are no options but those of help and version."""
    before_command = error.ctx is not None and error.ctx.parent is None
    return ": options stand behind the command" if before_command else ""


def name(parameter: click.Parameter) -> str:
    """``-o`` of an option, or the name by which it was given; ``DIR...`` of an argument."""
    if isinstance(parameter, click.Argument):
        return parameter.metavar or str(parameter.name).upper()
    given = {word.partition("=")[0] for word in itertools.takewhile(lambda word: word != "--", sys.argv[1:])}
    return next((option for option in parameter.opts if option in given), parameter.opts[0])
