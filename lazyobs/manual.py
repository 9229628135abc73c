# SPDX-License-Identifier: MIT
"""The commands as pages, from what --help prints: docs/commands.md, and a man page each.

``python -m lazyobs.manual > docs/commands.md`` writes the one, ``python -m lazyobs.manual FOLDER`` the others
(``make man``).
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from lazyobs import __version__
from lazyobs.cli import COMMANDS, cli
from lazyobs.errors import EXIT_BAD, EXIT_OK, EXIT_REFUSED, EXIT_USAGE

STATUS = {
    EXIT_OK: "success",
    EXIT_BAD: "the answer is bad: verdict FAIL, a failed selftest",
    EXIT_USAGE: "wrong usage",
    EXIT_REFUSED: "not permitted, not supported here, interrupted before there was an answer, or an error of lazyobs "
    "itself; one line says what, why and what to do next",
    4: "selftest only, as in kselftest: everything was skipped, also for lack of permission",
}
_OF_THE_COMMAND = "record -- COMMAND and selftest --observe exit with the status of COMMAND."
FILES = {
    "/var/cache/lazyobs": "compiled probes of each kernel build; /run/lazyobs where that cannot be written",
    "/etc/lazyobs/lazyobs.toml": "settings of lazyobs export",
    "~/.config/lazyobs/top.toml": "settings of the screen ($XDG_CONFIG_HOME)",
}
ENVIRONMENT = {
    "LAZYOBS_BCC_PYTHON": "the Python interpreter that has BCC (/usr/bin/python3)",
    "LAZYOBS_LOADER_SECONDS": "seconds that a start waits for the probes (600; export and record 10, then they begin without)",
    "LC_ALL, LC_CTYPE, LANG": "a locale without UTF-8 gets ASCII; JSON and CSV do not change",
    "NO_COLOR, TERM, COLORTERM": "colours of the screen",
    "SPARK_REMOTE": "the server that --engine spark uses",
}
_HEAD = """\
# Commands

Written by `python -m lazyobs.manual` from the commands themselves. A test compares. `make man`
writes the same as man pages to `build/man`: `man -M build/man lazyobs-top`.

Completion of commands, options, columns, users and processes: `eval "$(lazyobs completion bash)"`
in `~/.bashrc`; zsh and fish have theirs. `lazyobs help COMMAND`, `COMMAND -h` and `COMMAND --help`
print the help of one.
"""


def contexts() -> Iterator[tuple[str, click.Context]]:
    """Each command, in the order of --help."""
    root = click.Context(cli, info_name="lazyobs", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        yield name, click.Context(command, info_name=name, parent=root)


def synopsis(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def paragraphs(context: click.Context) -> list[str]:
    """What the command is said to do."""
    texts = [context.command.help or "", context.command.epilog or ""]
    return [" ".join(text.split()) for part in texts for text in part.split("\n\n") if text.strip()]


def options(context: click.Context) -> list[tuple[str, str]]:
    """(names, help) of each option but -h, which every command has."""
    records = (one.get_help_record(context) for one in context.command.params if isinstance(one, click.Option))
    return [(names, " ".join(text.split())) for names, text in filter(None, records)]


def markdown() -> str:
    """docs/commands.md."""
    parts = [_HEAD]
    for name, context in contexts():
        parts.append(f"\n## {name}\n\n```\n{synopsis(context)}\n```\n")
        parts += [f"\n{textwrap.fill(text, 100, break_on_hyphens=False)}\n" for text in paragraphs(context)]
        rows = [f"| `{names}` | {text} |\n" for names, text in _cells(context)]
        parts += ["\n| option | |\n|---|---|\n", *rows] if rows else []
    parts.append("\n## Exit status\n\n| | |\n|---|---|\n")
    parts += [f"| {code} | {text} |\n" for code, text in STATUS.items()]
    parts.append(f"\n{_OF_THE_COMMAND}\n")
    for heading, table in (("Files", FILES), ("Environment", ENVIRONMENT)):
        parts.append(f"\n## {heading}\n\n| | |\n|---|---|\n")
        parts += [f"| `{key}` | {text} |\n" for key, text in table.items()]
    return "".join(parts)


def _cells(context: click.Context) -> list[tuple[str, str]]:
    return [(names.replace("|", "\\|"), text.replace("|", "\\|")) for names, text in options(context)]


def man_pages() -> dict[str, str]:
    """{file name: roff} of lazyobs(1) and of a page for each command."""
    pages = {"lazyobs.1": _overview()}
    for name, context in contexts():
        body = [
            _section("NAME", [f"lazyobs-{name} - {COMMANDS[name].rstrip('.')}"]),
            _section("SYNOPSIS", [synopsis(context)]),
            _section("DESCRIPTION", paragraphs(context)),
            _list("OPTIONS", [*options(context), ("-h, --help", "Show the help and exit.")]),
            _list("EXIT STATUS", [(str(code), text) for code, text in STATUS.items()]),
            _section("SEE ALSO", ["lazyobs(1)"]),
        ]
        pages[f"lazyobs-{name}.1"] = _page(f"LAZYOBS-{name.upper()}", body)
    return pages


def _overview() -> str:
    root = click.Context(cli, info_name="lazyobs", **cli.context_settings)
    body = [
        _section("NAME", [f"lazyobs - {(cli.help or '').rstrip('.')}"]),
        _section("SYNOPSIS", [synopsis(root)]),
        _section("DESCRIPTION", ["Each command has a page of its own, for example lazyobs-top(1)."]),
        _list("COMMANDS", [(f"lazyobs-{name}(1)", text) for name, text in COMMANDS.items()]),
        _list("EXIT STATUS", [(str(code), text) for code, text in STATUS.items()], _OF_THE_COMMAND),
        _list("ENVIRONMENT", list(ENVIRONMENT.items())),
        _list("FILES", list(FILES.items())),
        _section("SEE ALSO", [", ".join(f"lazyobs-{name}(1)" for name in COMMANDS)]),
    ]
    return _page("LAZYOBS", body)


def _page(title: str, body: list[str]) -> str:
    return f'.TH {title} 1 "" "lazyobs {__version__}" "User commands"\n' + "".join(body)


def _section(heading: str, texts: list[str]) -> str:
    return f".SH {heading}\n" + ".PP\n".join(f"{_roff(text)}\n" for text in texts)


def _list(heading: str, rows: list[tuple[str, str]], last: str = "") -> str:
    items = "".join(f".TP\n.B {_roff(key)}\n{_roff(text)}\n" for key, text in rows)
    return f".SH {heading}\n{items}" + (f".PP\n{_roff(last)}\n" if last else "")


def _roff(text: str) -> str:
    """Text that roff prints as it is: its escapes, hyphens that are minus signs, no line that is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return "\\&" + text if text.startswith((".", "'")) else text


def main() -> None:
    """Prints docs/commands.md, or writes the man pages to the folder that is named."""
    if len(sys.argv) == 1:
        print(markdown(), end="")
        return
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in man_pages().items():
        (folder / name).write_text(page)


if __name__ == "__main__":
    main()
