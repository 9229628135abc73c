# SPDX-License-Identifier: MIT
"""Options that several commands share, and how a command gets what was typed: as one typed dataclass.

A command declares its options with click and takes a dataclass with a field for each (``collected``). Options
that belong together are a dataclass of their own, which the command's has as a field.
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
    """The command takes one ``into``, made of the parameters that are named like its fields. A field whose type is
    a dataclass is made in the same way; one that no parameter is named like keeps its default.

    Stands below the options. TypeError where a parameter has no field, or a field neither parameter nor default.
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
    """Takes what it uses out of ``values``."""
    kinds = get_type_hints(into)
    found: dict[str, Any] = {}
    for field in fields(into):  # type: ignore[arg-type]
        if field.name in values:
            found[field.name] = values.pop(field.name)
        elif isinstance(kinds[field.name], type) and is_dataclass(kinds[field.name]):
            found[field.name] = _made(kinds[field.name], values)
    return into(**found)


class Finite(click.FloatRange):
    """A number of a range: NaN is in none, but no comparison says so, and infinity is in one that has no end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number", param, ctx)
        return number


SECONDS = Finite(min=LEAST_INTERVAL, max=MOST_INTERVAL)

OUTPUT = click.option("-o", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True, help="Form of the output.")  # fmt: skip
PROFILE = click.option("--profile", type=click.Path(path_type=Path), help="Profile file of a kernel design; detected otherwise.")  # fmt: skip
TIER = click.option("--tier", type=click.Choice(TIERS), help="Best tier to use.")
VERBOSE = click.option("-v", "verbose", is_flag=True, help="Say more on standard error.")


@dataclass(frozen=True)
class ProbeOptions:
    """How the probes are to be loaded, and whether to say how they were."""

    profile: Path | None
    tier: str | None
    verbose: bool


def all_of(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """One decorator of several; --help lists them in this order."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# ``output`` and ProbeOptions: what every command has that looks at the running kernel.
COMMON = all_of(OUTPUT, PROFILE, TIER, VERBOSE)


def pids_option(help_text: str = "Only these processes.") -> Callable[[_Command], _Command]:
    """``pids``: -p 1234,5678; () where it was not given."""
    return click.option("-p", "pids", callback=_pids_of, metavar="PID,..", help=help_text)


def _pids_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        pids = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of process ids: use -p 1234,5678") from None
    if any(not 0 < pid < 1 << 22 for pid in pids):
        raise click.BadParameter(f"{value!r} has a number that is no process id")
    return pids


def exclude(context: click.Context, one: str, others: tuple[str, ...], why: str) -> None:
    """UsageError where a parameter and one of the others were both typed."""
    typed = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if one not in typed:
        return
    named = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for other in others:
        if other in typed:
            raise click.UsageError(f"{named[other]} has no meaning with {named[one]}: {why}")


def say_how(opened: Opened, verbose: bool) -> None:
    """With -v, on standard error: how the probes came to be."""
    if verbose:
        for line in opened.how:
            print(f"lazyobs: {printable(line)}", file=sys.stderr)
