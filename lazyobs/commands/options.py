# SPDX-License-Identifier: MIT
"""Options that several commands share, and the typed dataclass in which a command gets its parameters.

A command declares its options with click and takes a dataclass with a field for each (``collected``). Options
that belong together have a dataclass of their own, which is a field of the command's dataclass.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import click
from click.core import ParameterSource

from lazyobs.bpf import optional
from lazyobs.commands import completions, usage
from lazyobs.model import LEAST_INTERVAL, MOST_INTERVAL, PROCESS_COLUMNS, TIERS
from lazyobs.sources import budget as budgets
from lazyobs.text import printable, say
from lazyobs.unix import locale, process_id

if TYPE_CHECKING:
    from lazyobs.sources.open import Opened

_Collected = TypeVar("_Collected")
_Command = Callable[..., Any]
_TIMES = {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number", param, ctx)
        return float(_within(self, number, param, ctx))

    def _describe_range(self) -> str:
        return _limits(self)


class Whole(click.IntRange):
    """A whole number in a range; click's own name of the type would say "integer range" in help and errors."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{printable(str(value))[:60]!r} is not a whole number", param, ctx)
        return int(_within(self, number, param, ctx))

    def _describe_range(self) -> str:
        return _limits(self)


def _limits(kind: click.FloatRange | click.IntRange) -> str:
    """``from 0.05 to 86400``, also in help, where click would write inequalities."""
    if kind.min is None:
        return "" if kind.max is None else f"at most {kind.max:.12g}"
    return f"at least {kind.min:.12g}" if kind.max is None else f"from {kind.min:.12g} to {kind.max:.12g}"


def _within(
    kind: click.FloatRange | click.IntRange, number: float, param: click.Parameter | None, ctx: click.Context | None
) -> float:
    """``number``, if it lies in the range of ``kind``; both ends belong to it."""
    low, high = kind.min, kind.max
    if (low is not None and number < low) or (high is not None and number > high):
        kind.fail(f"{number:.12g} is out of range: use {_limits(kind)}", param, ctx)
    return number


class Format(click.Choice):  # type: ignore[type-arg,unused-ignore]
    """A format of the output. What is not one is probably a file, which no command writes its output to."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        self.fail(
            f"{value!r} is not a format: use {', '.join(self.choices[:-1])} or {self.choices[-1]}; a file is written with > FILE",
            param,
            ctx,
        )


class File(click.Path):
    """A path; "" is not taken for the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)  # the reader says why it cannot

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


FILE = File()
SECONDS = Finite(min=LEAST_INTERVAL, max=MOST_INTERVAL)

_FORMATS = ("table", "json", "csv")


def output_option(
    formats: tuple[str, ...] = _FORMATS, help_text: str = "Output format."
) -> Callable[[_Command], _Command]:
    """``output``: -o, one of ``formats``; the first is the default."""
    kind = Format(formats)
    return click.option("-o", "--output", "output", type=kind, default=formats[0], show_default=True, callback=_of_output, help=help_text)  # fmt: skip


def _of_output(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value != "table":
        locale.leave_data_alone()
    return value


OUTPUT = output_option()
PROFILE = click.option("--profile", type=FILE, metavar="FILE", help="Profile of a kernel design; default: detected.")  # fmt: skip
TIER = click.option("--tier", type=click.Choice(TIERS), help="Best tier to try; default: the best available.")
COMPILE = click.option("--compile", is_flag=True, expose_value=False, callback=lambda _context, _option, asked: _compile(asked), help="Compile the probes with BCC, also where there is an image of them.")  # fmt: skip
ALSO = click.option("--also", expose_value=False, callback=lambda _context, _option, names: _also(names), metavar="POINT,..", shell_complete=completions.list_of(tuple(optional.COSTS)), help=f"Attach probe points that are left out for what they cost: {', '.join(optional.COSTS)} or all.")  # fmt: skip
BUDGET = click.option("--budget", "budget", callback=lambda _context, _option, value: _budget(value), metavar="SHARE", help="Share of the CPU time of the whole machine (all its CPUs) to keep within, such as 0.5%. Above it events, then probe points of --also, then the other optional points, then censuses are left out, and taken back when there is room; what is left out is null.")  # fmt: skip
VERBOSE = click.option("-v", "--verbose", "verbose", is_flag=True, help="Say on standard error how the probes were loaded.")  # fmt: skip


def _compile(asked: bool) -> None:
    """For what this process loads; nothing is imported for it otherwise."""
    if asked:
        from lazyobs.bpf.session import COMPILE as VARIABLE

        os.environ[VARIABLE] = "1"


def _budget(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return budgets.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{printable(value)[:40]!r} is no budget: {error}") from None


def _also(names: str | None) -> None:
    """For what this process loads, as above."""
    if names is not None:
        optional.named(names, "--also")
        os.environ[optional.ALSO] = names


def interval_option(name: str, default: int | None = None, help_text: str = "") -> Callable[[_Command], _Command]:
    """Seconds between two samples, as the parameter ``name``: the same three names wherever they are asked for."""
    text = help_text or ("Seconds between samples." if default else "Seconds between samples (1).")
    return click.option("-d", "--interval", "--delay", name, type=SECONDS, metavar="SECONDS", default=default, show_default=True, help=text)  # fmt: skip


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
COMMON = all_of(OUTPUT, PROFILE, TIER, ALSO, COMPILE, VERBOSE)


def sort_option(default: str | None, help_text: str) -> Callable[[_Command], _Command]:
    """``sort``: -s COLUMN."""
    names = completions.one_of(PROCESS_COLUMNS)
    return click.option("-s", "--sort", "sort", default=default, show_default=default is not None, metavar="COLUMN", shell_complete=names, help=help_text)  # fmt: skip


def pids_option(help_text: str = "Only these processes.") -> Callable[[_Command], _Command]:
    """``pids``: -p 1234,5678; () if it was not given."""
    return click.option("-p", "--pid", "pids", callback=_pids_of, metavar="PID,..", shell_complete=completions.pids, help=help_text)  # fmt: skip


def _pids_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    if value is None:
        return ()
    try:
        pids = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of process ids: use 1234,5678") from None
    if any(not 0 < pid < 1 << 22 for pid in pids):
        raise click.BadParameter(f"{value!r} has a number that is not a process id")
    return pids


ARGS = click.option("--args/--no-args", "args", default=True, help="Show command lines, or only names of processes.")


def check_pids(pids: tuple[int, ...]) -> None:
    """UsageError if none of ``pids`` is a process of the running kernel; says which are not, if some are."""
    reasons = {pid: why for pid in pids if (why := process_id.why_no_process(pid))}
    if reasons and len(reasons) == len(set(pids)):
        raise process_id.refusal(reasons)
    if reasons:
        numbers = ",".join(map(str, reasons))
        say(f"lazyobs: -p {numbers}: {process_id.listed(reasons)}; going on with the others")


def exclude(context: click.Context, one: str, others: tuple[str, ...], why: str) -> None:
    """UsageError if the command line has both the parameter ``one`` and any of ``others``."""
    typed = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if one not in typed:
        return
    named = {parameter.name: usage.name(parameter) for parameter in context.command.params}
    for other in others:
        if other in typed:
            raise click.UsageError(f"{named[other]} has no meaning with {named[one]}: {why}")


def check_budget(budget: float | None, tier: str | None) -> None:
    """UsageError for a budget where there is nothing to shed."""
    if budget is not None and tier == "procfs":
        raise click.UsageError("--budget has no meaning with --tier procfs: that tier has no probes to shed")


def say_how(opened: Opened, verbose: bool) -> None:
    """With -v, prints how the probes were loaded to standard error."""
    if verbose:
        for line in opened.how:
            say(f"lazyobs: {line}")


def span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of "90", "15m" (or min), "24h" or "7d"."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(|s|min|m|h|d)", value)
    seconds = float(found[1]) * _TIMES[found[2]] if found else 0.0
    if not 0 < seconds < 1e9:
        raise click.BadParameter(f"{value!r} is not a duration: use 90, 15m, 24h or 7d")
    return seconds
