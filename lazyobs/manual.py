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
from lazyobs.commands import completions
from lazyobs.commands.pages import ENVIRONMENT, FILES, OF_THE_COMMAND, PAGES, STATUS

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
        if name in PAGES:
            parts += _more(name)
    parts.append("\n## Exit status\n\n| | |\n|---|---|\n")
    parts += [f"| {code} | {text} |\n" for code, text in STATUS.items()]
    parts.append(f"\n{OF_THE_COMMAND}\n")
    for heading, table in (("Files", FILES), ("Environment", ENVIRONMENT)):
        parts.append(f"\n## {heading}\n\n| | |\n|---|---|\n")
        parts += [f"| `{key}` | {text} |\n" for key, text in table.items()]
    return "".join(parts)


def _more(name: str) -> Iterator[str]:
    page = PAGES[name]
    yield f"\n{textwrap.fill(f'Permissions: {page.permissions}', 100, break_on_hyphens=False)}\n"
    yield f"\n{textwrap.fill(f'Overhead: {page.overhead}', 100, break_on_hyphens=False)}\n"
    yield "\n| example | |\n|---|---|\n"
    yield from (f"| `{line}` | {text} |\n" for line, text in page.examples.items())


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
            *_of_command(name),
            _list("EXIT STATUS", [(str(code), text) for code, text in STATUS.items()]),
            _section("SEE ALSO", ["lazyobs(1)"]),
        ]
        pages[f"lazyobs-{name}.1"] = _page(f"LAZYOBS-{name.upper()}", body)
    return pages


def _of_command(name: str) -> list[str]:
    page = PAGES.get(name)
    if page is None:
        return []
    files = [_list("FILES", [(file, FILES[file]) for file in page.files])] if page.files else []
    examples = [_list("EXAMPLES", list(page.examples.items()))]
    return [_section("PERMISSIONS", [page.permissions]), _section("OVERHEAD", [page.overhead]), *files, *examples]


def _overview() -> str:
    root = click.Context(cli, info_name="lazyobs", **cli.context_settings)
    body = [
        _section("NAME", [f"lazyobs - {(cli.help or '').rstrip('.')}"]),
        _section("SYNOPSIS", [synopsis(root)]),
        _section("DESCRIPTION", ["Each command has a page of its own, for example lazyobs-top(1)."]),
        _list("COMMANDS", [(f"lazyobs-{name}(1)", text) for name, text in COMMANDS.items()]),
        _list("EXIT STATUS", [(str(code), text) for code, text in STATUS.items()], OF_THE_COMMAND),
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


def write_pages(folder: Path) -> None:
    """The man pages, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in man_pages().items():
        (folder / name).write_text(page, encoding="utf-8")


def write_completions(folder: Path) -> None:
    """The scripts of the shells, into a folder each, by the names under which the shells look for them."""
    for shell, name in {"bash": "lazyobs", "zsh": "_lazyobs", "fish": "lazyobs.fish"}.items():
        (folder / shell).mkdir(parents=True, exist_ok=True)
        (folder / shell / name).write_text(completions.script(shell, cli), encoding="utf-8")


def main() -> None:
    """Prints docs/commands.md, or writes the man pages to the folder that is named."""
    if len(sys.argv) == 1:
        print(markdown(), end="")
        return
    write_pages(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
