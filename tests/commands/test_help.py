# SPDX-License-Identifier: MIT
"""Help, the names of options, and what is said of a word that is none."""

from __future__ import annotations

import importlib

import click
import pytest
from click.testing import CliRunner

from lazyobs import __version__, shipped
from lazyobs.cli import COMMANDS, cli
from lazyobs.commands import pages, usage
from lazyobs.errors import EXIT_USAGE
from tests.harness import ROOT, lazyobs

INTERVAL = ["-d", "--interval", "--delay"]


def command(name: str) -> click.Command:
    found: click.Command = getattr(importlib.import_module(f"lazyobs.commands.{name}"), name)
    return found


def options(name: str) -> list[click.Option]:
    return [one for one in command(name).params if isinstance(one, click.Option)]


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, prog_name="lazyobs", catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_prints_what_the_option_prints(name: str) -> None:
    assert printed("help", name) == printed(name, "--help")
    assert printed("help", name).startswith(f"Usage: lazyobs {name} ")


def test_the_short_option_does_the_same() -> None:
    assert lazyobs("report", "-h").stdout == lazyobs("help", "report").stdout


def test_help_alone_lists_the_commands_and_topics() -> None:
    assert printed("help").startswith(printed("--help"))
    assert all(f"\n  {name} " in printed("help") for name in (*COMMANDS, *pages.topics()))


@pytest.mark.parametrize("name", ["permissions", "overhead", "exit-status", "files", "environment", "examples-of-use"])
def test_a_topic_is_printed(name: str) -> None:
    assert printed("help", name) == pages.topic(name) != ""


def test_a_page_of_the_documentation_is_a_topic() -> None:
    assert printed("help", "glossary") == (ROOT / "docs/glossary.md").read_text()
    assert pages.topics()["glossary"] == "Glossary"
    assert "selftest" in pages.topics()
    assert printed("help", "selftest").startswith("Usage: "), "a command goes before a page of its name"


def test_version_prints_what_the_option_prints() -> None:
    assert printed("version") == printed("--version") == f"lazyobs, version {shipped.version(__version__)}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_long_name(name: str) -> None:
    assert [one.opts for one in options(name) if not any(word.startswith("--") for word in one.opts)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    assert [one.opts for one in options(name) if not (one.help or "").endswith((".", ")"))] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_letter_means_one_thing(name: str) -> None:
    """But -o of record, whose directory has no format, and -n, which counts what the command prints."""
    letters = {
        "-o": ["--output"], "-d": INTERVAL[1:], "-v": ["--verbose"], "-p": ["--pid"], "-u": ["--user"],
        "-c": ["--cgroup"], "-s": ["--sort"], "-r": ["--rows"], "-b": ["--batch"], "-e": ["--events"],
    }  # fmt: skip
    exceptions = {("record", "-o"): ["--directory"], ("top", "-n"): ["--iterations"], ("trace", "-n"): ["--count"]}
    for one in options(name):
        for letter in (word for word in one.opts if len(word) == 2):
            expected = exceptions.get((name, letter)) or letters[letter]
            assert [word for word in one.opts if word != letter] == expected


@pytest.mark.parametrize("name", ["top", "record", "summary"])
def test_the_interval_has_the_same_names_everywhere(name: str) -> None:
    assert [one.opts for one in options(name) if "--interval" in one.opts] == [INTERVAL]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tpo"], "there is no command 'tpo' (did you mean top?); see lazyobs --help"),
        (["help", "recrod"], "there is no command or topic 'recrod' (did you mean record?); see lazyobs --help"),
        (["frobnicate"], "there is no command 'frobnicate'; see lazyobs --help"),
        (["top", "--srot", "pid"], "there is no option --srot (did you mean --sort?); see lazyobs top --help"),
        (["census", "-z"], "there is no option -z; see lazyobs census --help"),
        (
            ["--tier", "procfs", "top"],
            "there is no option --tier: options stand behind the command; see lazyobs --help",
        ),
        (["record"], "record needs -o DIR; see lazyobs record --help"),
        (["report"], "report needs DIR...; see lazyobs report --help"),
        (["completion"], "completion needs SHELL; see lazyobs completion --help"),
        (["top", "-d", "x"], "-d: 'x' is not a number; see lazyobs top --help"),
        (["top", "--delay", "0"], "--delay: 0 is out of range: use from 0.05 to 86400; see lazyobs top --help"),
        (["record", "-o", "never-made", "--interval=-5"], "--interval: -5 is out of range: use from 0.05 to 86400"),
        (["record", "-o", "never-made", "-d", "-5", "--", "x", "--interval"], "-d: -5 is out of range"),
        (["top", "-n", "1.5"], "-n: '1.5' is not a whole number; see lazyobs top --help"),
        (["top", "-n", "0"], "-n: 0 is out of range: use at least 1; see lazyobs top --help"),
        (["trace", "-n"], "option '-n' requires an argument; see lazyobs trace --help"),
        (["top", "-d", "1", "2"], "INTERVAL has no meaning with -d: both are the seconds between samples"),
        (["top", "-n", "1", "2", "3"], "COUNT has no meaning with -n: both are the number of samples"),
        (["top", "-o", "x.html"], "'x.html' is not a format: use table, json or csv; a file is written with > FILE"),
        (["selftest", "-o", "csv"], "'csv' is not a format: use table or json"),
        (["record", "-o", "json"], "use ./json, for progress as JSON --progress json; see lazyobs record --help"),
        (["record", "-o", "never-made", "--", ""], "'' is not a command; see lazyobs record --help"),
        (["record", "-o", "csv"], "for one of that name use ./csv; see lazyobs record --help"),
    ],
)
def test_what_was_typed_wrong(arguments: list[str], words: str) -> None:
    done = lazyobs(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (EXIT_USAGE, "", 1)
    assert done.stderr.startswith("lazyobs: ") and words in done.stderr


def test_a_name_that_is_like_none_has_no_suggestion() -> None:
    assert usage.no_command("xyzzy", COMMANDS) == "there is no command 'xyzzy'"
