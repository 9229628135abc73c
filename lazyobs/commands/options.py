# SPDX-License-Identifier: MIT
"""Options that several commands share, and the typed dataclass in which a command gets its parameters.

A command declares its options with click and takes a dataclass with a field for each (``collected``). Options
that belong together have a dataclass of their own, which is a field of the command's dataclass.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import click
from click.core import ParameterSource

from lazyobs.model import LEAST_INTERVAL, MOST_INTERVAL, TIERS
from lazyobs.text import printable

if TYPE_CHECKING:
    from lazyobs.sources.open import Opened

_Collected = TypeVar("_Collected")
_Command = Callable[..., Any]


def collected(into: type[_Collected]) -> Callable[[Callable[[_Collected], None]], _Command]:
    """The command takes a single ``into``, made of the parameters that have the names of its fields. A field whose
    type is a dataclass is made in the same way; a field without a parameter keeps its default.

    Place it below the options. TypeError if a parameter has no field, or a field has neither parameter nor default.
    """

    def decorate(command: Callable[[_Collected], None]) -> _Command:
        @functools.wraps(command)
        def with_values(**values: Any) -> None:
            left = dict(values)
            made = _made(into, left)
            if left:
                raise TypeError(f"{into.__name__} has no field for {', '.join(left)}")
            command(made)

        return with_values

    return decorate


def _made(into: type[_Collected], values: dict[str, Any]) -> _Collected:
    """Makes an ``into``, and removes the values it uses from ``values``."""
    kinds = get_type_hints(into)
    found: dict[str, Any] = {}
    for field in fields(into):  # type: ignore[arg-type]
        if field.name in values:
            found[field.name] = values.pop(field.name)
        elif isinstance(kinds[field.name], type) and is_dataclass(kinds[field.name]):
            found[field.name] = _made(kinds[field.name], values)
    return into(**found)


class Finite(click.FloatRange):
    """A finite number in a range. FloatRange accepts NaN, and infinity if the range has no upper end."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number", param, ctx)
        return number


class Whole(click.IntRange):
    """An integer in a range; click's own name of the type would say "integer range" in help and errors."""

    name = "integer"


SECONDS = Finite(min=LEAST_INTERVAL, max=MOST_INTERVAL)

OUTPUT = click.option("-o", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True, help="Output format.")  # fmt: skip
PROFILE = click.option("--profile", type=click.Path(path_type=Path), help="Profile file of a kernel design; default: detected.")  # fmt: skip
TIER = click.option("--tier", type=click.Choice(TIERS), help="Best tier to try; default: the best available.")
VERBOSE = click.option("-v", "verbose", is_flag=True, help="Print details to standard error.")


@dataclass(frozen=True)
class ProbeOptions:
    """How to load the probes, and whether to print the details."""

    profile: Path | None
    tier: str | None
    verbose: bool


def all_of(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Combines option decorators into one; --help lists the options in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# ``output`` and ProbeOptions: every command that reads the running kernel has them.
COMMON = all_of(OUTPUT, PROFILE, TIER, VERBOSE)


def pids_option(help_text: str = "Only these processes.") -> Callable[[_Command], _Command]:
    """``pids``: -p 1234,5678; () if it was not given."""
    return click.option("-p", "pids", callback=_pids_of, metavar="PID,..", help=help_text)


def _pids_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        pids = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of process ids: use -p 1234,5678") from None
    if any(not 0 < pid < 1 << 22 for pid in pids):
        raise click.BadParameter(f"{value!r} has a number that is not a process id")
    return pids


def exclude(context: click.Context, one: str, others: tuple[str, ...], why: str) -> None:
    """UsageError if the command line has both the parameter ``one`` and any of ``others``."""
    typed = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if one not in typed:
        return
    named = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for other in others:
        if other in typed:
            raise click.UsageError(f"{named[other]} has no meaning with {named[one]}: {why}")


def say_how(opened: Opened, verbose: bool) -> None:
    """With -v, prints how the probes were loaded to standard error."""
    if verbose:
        for line in opened.how:
            print(f"lazyobs: {printable(line)}", file=sys.stderr)
