# SPDX-License-Identifier: MIT
"""The commands of the tutorial print what the page says."""

from __future__ import annotations

import os
import re
import shlex

import pytest

from lazyobs.errors import EXIT_BAD
from tests.harness import ROOT, lazyobs

PAGE = ROOT / "docs/tutorial.md"
BLOCK = re.compile(r"^```\n\$ lazyobs (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
BLOCKS = BLOCK.findall(PAGE.read_text())


def test_every_block_is_one_of_ours() -> None:
    """What begins with a prompt shows an answer; test_page_commands.py runs the others."""
    assert len(BLOCKS) == PAGE.read_text().count("\n```\n$ ") > 4


@pytest.mark.parametrize(("command", "expected"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_it_prints_that(command: str, expected: str) -> None:
    done = lazyobs(*shlex.split(command), env={**os.environ, "TZ": "UTC"})
    assert done.returncode in (0, EXIT_BAD), done.stderr  # a FAIL is an answer, too
    shown, more = expected.splitlines(), False
    if shown[-1] == "...":
        shown, more = shown[:-1], True
    lines = done.stdout.splitlines()
    assert lines[: len(shown)] == shown
    assert (len(lines) > len(shown)) == more
