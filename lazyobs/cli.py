# SPDX-License-Identifier: MIT
"""The command line: the list of commands, exit codes, and the signals that end a command."""

from __future__ import annotations

import gc
import importlib
import os
import sys

import click

from lazyobs import __version__, shipped
from lazyobs.commands import completions, usage
from lazyobs.errors import EXIT_OK, EXIT_REFUSED, EXIT_USAGE, LazyobsError
from lazyobs.text import say
from lazyobs.unix import blas, interrupt, locale, memory_limits, stdio
from lazyobs.unix.imports import broken_library, why_broken, why_missing

# name: one line of help; the code is lazyobs/commands/<name>.py
COMMANDS = {
    "doctor": "What this kernel offers: profile, tiers and why not better ones, slab merging.",
    "summary": "What anonymous reverse mapping costs this machine, who holds it, what laziness would save.",
    "top": "Live view of processes, forks, walks, promotions, slabs and lock waits.",
    "export": "Prometheus exporter: what the kernel counted, read when it is scraped.",
    "trace": "Events as they happen, one per line: forks, promotions, slow walks, long lock waits, kernel warnings.",
    "record": "Record samples, events and the kernel log; --replay of top, census and trace shows them.",
    "census": "One snapshot of every process's VMAs by state, and the bytes saved and savable.",
    "report": "PASS, FAIL or INCONCLUSIVE on recordings: leaks, splats, what laziness saves and costs.",
    "compare": "A/B of two kernels by their boots: what got worse, with a margin; exits 1 on FAIL.",
    "selftest": "Exercise each affected path of the kernel and check contents and events (KTAP).",
    "judge": "From a kernel patch series to a verdict: builds it and its base, tests and measures both in QEMU.",
    "images": "The compiled probes that come along: of which sources, by which BCC, and whether they can be loaded.",
    "examples": "The recordings that come along, for --replay; a copy of one.",
    "dashboards": "Grafana boards, recording rules and alerts: a copy, or put where the servers look.",
    "help": "The help of a command, or a topic.",
    "version": "The version of lazyobs.",
    "completion": "The script for the completion of bash, zsh or fish.",
}

# These run until a signal ends them; the others must print a complete answer.
_ENDLESS = ("top", "export", "trace", "record")
# Their exit status is the verdict.
_JUDGE = ("report", "compare", "selftest", "judge")


class _Commands(click.Group):
    """Imports a command's module only when it is needed: a command must not pay for the libraries of another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(usage.no_command(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lazyobs.commands.{cmd_name}")
        gc.freeze()
        gc.enable()  # entry.py has disabled it
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=lambda context, _option, asked: _version(context, asked), help="Show the version and exit.")  # fmt: skip
def cli() -> None:
    """What anonymous reverse mapping costs on this kernel, and what lazy anon_vmas save."""


def _version(context: click.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        click.echo(f"lazyobs, version {shipped.version(__version__)}")
        context.exit()


def main() -> None:
    """Entry point: one line and the documented exit code for whatever goes wrong."""
    sys.excepthook = stdio.print_traceback
    blas.use_one_thread()
    sys.exit(_guarded() if _reads_recordings() and memory_limits.are_set() else _answer())


def _answer() -> int:
    """Runs the command. Returns the exit code."""
    try:
        interrupt.catch()
        code = _exit_code()
        interrupt.settle()
    except KeyboardInterrupt:  # before the command started, or after it ended
        code = _interrupted()
        interrupt.settle()
    except Exception as error:
        code = _failed(error)
        interrupt.settle()
    return code


def _guarded() -> int:
    """The same where a library may end the program for want of memory, with whatever status."""
    try:
        code = memory_limits.survived(_answer)
    except OSError as error:
        _complain(f"{_asked()}: {os.strerror(error.errno or 0).lower()}; look at ulimit -a, or end other programs")
        return EXIT_REFUSED
    if code is None:
        _complain(f"{_asked()}: out of memory, there is no answer; raise the limit (ulimit -v, -d)")
        return EXIT_REFUSED
    return code


def _reads_recordings() -> bool:
    return _asked() in ("report", "compare") or any(word.startswith("--replay") for word in sys.argv[2:])


def _exit_code() -> int:
    """The exit code. Errors of standard output are reported here."""
    stdio.open_closed_streams()
    locale.obey()
    try:
        return _run()
    except BrokenPipeError:  # the reader (| head) has closed the pipe
        stdio.discard_output()
        if _asked() in _JUDGE:
            _complain(f"{_asked()}: the reader closed the pipe before the end; read all output, or write to a file")
            return EXIT_REFUSED
        return EXIT_OK
    except OSError as error:
        if not stdio.is_full(error):
            raise
        stdio.discard_output()
        _complain(f"standard output: {os.strerror(error.errno or 0).lower()}; make room, or write somewhere else")
        return EXIT_REFUSED


def _run() -> int:
    if completions.VARIABLE in os.environ:
        return EXIT_OK if completions.answer(cli) else EXIT_USAGE
    try:
        # Not cli.main(): it treats a closed pipe as a failure.
        with cli.make_context("lazyobs", sys.argv[1:]) as context:
            cli.invoke(context)
        sys.stdout.flush()
        return EXIT_OK
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        if len(sys.argv) == 1:
            error.show()
            _say_what_it_costs()
            return EXIT_USAGE
        where = error.ctx if isinstance(error, click.UsageError) else None
        command = where.command_path if where else f"lazyobs {_asked()}" if _asked() in COMMANDS else "lazyobs"
        _complain(f"{usage.words(error)}; see {command} --help")
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except LazyobsError as error:
        _complain(str(error))
        return error.exit_code
    except Exception:
        # A C module that is interrupted during its import raises "initialization failed".
        if not interrupt.asked():
            raise
        return _interrupted()


def _say_what_it_costs() -> None:
    """Ends the list of commands with the answer to the first question, where this user may have it at once."""
    from lazyobs.commands.summary import in_short

    for line in in_short():
        say(line)


def _failed(error: Exception) -> int:
    """The exit code of an error that nothing expected. Not Python's 1: of ``report`` that would be the verdict FAIL."""
    if why := stdio.scarce(error):
        _complain(f"{_asked()}: {why}; look at ulimit -a, or end other programs")
    elif memory_limits.are_set() and isinstance(error, SystemError | ImportError | RuntimeError):
        _complain(f"{_asked()}: {error}: out of memory, as it seems; raise the limit (ulimit -v, -d)")
    elif isinstance(error, ImportError) and (why := why_broken(error)):
        _complain(f"{_asked()}: {why}; install {broken_library(error)} again, or what it lacks")
    elif why := why_missing(error):
        _complain(f"{_asked()}: {why}")
    else:
        stdio.print_traceback(type(error), error, error.__traceback__)
        _complain(f"{_asked()}: an error of lazyobs itself, so there is no answer; please report the lines above")
    return EXIT_REFUSED


def _asked() -> str:
    """The command. It is the first word: every option before a command ends the program."""
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _interrupted() -> int:
    """The exit code after an interrupt: a normal end for endless commands, no answer from the others."""
    interrupt.taken()
    if _asked() in _ENDLESS:
        return EXIT_OK
    _complain(f"{_asked()}: interrupted before there was an answer; run it again")
    return EXIT_REFUSED


def _complain(text: str) -> None:
    """Prints one line, whatever the text contains: it may quote the command line."""
    try:
        say(f"lazyobs: {text}")
    except OSError:
        pass  # the exit status still reports the failure
