# SPDX-License-Identifier: MIT
"""docs/commands.md and the man pages: whole, current, and roff that groff takes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs import manual
from lazyobs.cli import COMMANDS
from lazyobs.commands.pages import PAGES as COMMAND_PAGES
from tests.harness import ROOT, skip

DOCUMENT = ROOT / "docs/commands.md"
PAGES = manual.man_pages()


def test_the_document_is_what_the_commands_say() -> None:
    assert DOCUMENT.read_text() == manual.markdown(), "run python -m lazyobs.manual > docs/commands.md"


def test_the_quick_start_lists_every_command_but_those_for_help() -> None:
    text = (ROOT / "docs/quick-start.md").read_text()
    listed = set(re.findall(r"^\| `(?:sudo )?lazyobs (\w+)", text, re.MULTILINE))
    assert listed == set(COMMANDS) - {"help", "version", "completion"}
    assert "(commands.md#exit-status)" in text


def test_every_command_has_a_page(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "lazyobs.manual", str(tmp_path / "man1")], cwd=ROOT, check=True)
    assert {file.name for file in (tmp_path / "man1").iterdir()} == {
        "lazyobs.1",
        *(f"lazyobs-{one}.1" for one in COMMANDS),
    }


@pytest.mark.parametrize("page", PAGES)
def test_groff_takes_it(page: str) -> None:
    """Without a warning, and every option comes out as it is typed."""
    groff = shutil.which("groff")
    if groff is None:
        skip("programs", "groff is not installed")
    command = [groff, "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n"]
    done = subprocess.run(command, input=PAGES[page], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    name = page.removeprefix("lazyobs-").removesuffix(".1")
    for command_name, context in manual.contexts():
        if command_name == name:
            assert [names for names, _ in manual.options(context) if names not in done.stdout] == []


@pytest.mark.parametrize("name", COMMAND_PAGES)
def test_a_page_has_what_it_takes_and_examples(name: str) -> None:
    page = PAGES[f"lazyobs-{name}.1"]
    headings = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "PERMISSIONS",
        "OVERHEAD",
        "FILES",
        "EXAMPLES",
        "EXIT STATUS",
    ]
    if not COMMAND_PAGES[name].files:
        expected.remove("FILES")
    assert headings == [*expected, "SEE ALSO"]


def _examples() -> list[tuple[str, str]]:
    return [(name, line) for name, page in COMMAND_PAGES.items() for line in page.examples]


@pytest.mark.parametrize(("name", "line"), _examples())
def test_an_example_is_a_command_line(name: str, line: str) -> None:
    """Of that command; what it would do is tried by the command's own tests."""
    program, command, *words = shlex.split(line)
    assert (program, command) == ("lazyobs", name)
    contexts = dict(manual.contexts())
    contexts[name].command.make_context(name, words, parent=contexts[name].parent)


def test_text_that_looks_like_roff() -> None:
    assert manual._roff('.TH \\fB--x "y"') == "\\&.TH \\efB\\-\\-x \\(dqy\\(dq"
    assert manual._roff("'so x") == "\\&'so x"
