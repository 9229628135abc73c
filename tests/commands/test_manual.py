# SPDX-License-Identifier: MIT
"""docs/commands.md and the man pages: whole, current, and roff that groff takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs import manual
from lazyobs.cli import COMMANDS
from tests.harness import ROOT, skip

DOCUMENT = ROOT / "docs/commands.md"
PAGES = manual.man_pages()


def test_the_document_is_what_the_commands_say() -> None:
    assert DOCUMENT.read_text() == manual.markdown(), "run python -m lazyobs.manual > docs/commands.md"


def test_the_readme_has_the_same_exit_statuses() -> None:
    rows = dict(re.findall(r"^\| (\d) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {int(code): text.replace("`", "") for code, text in rows.items()} == manual.STATUS


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


def test_text_that_looks_like_roff() -> None:
    assert manual._roff('.TH \\fB--x "y"') == "\\&.TH \\efB\\-\\-x \\(dqy\\(dq"
    assert manual._roff("'so x") == "\\&'so x"
