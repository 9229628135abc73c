# SPDX-License-Identifier: MIT
"""Directories of recordings have any name that the file system permits; what does not exist is created."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lazyobs.recording.description import write_description
from lazyobs.recording.layout import DESCRIPTION
from lazyobs.recording.reader import Recording
from lazyobs.recording.trace import page_bytes
from tests.harness import ROOT, lazyobs
from tests.recording.readers import COMMANDS

pytestmark = pytest.mark.slow
NAME = os.fsdecode(b"caf\xe9 \x1b[31m")


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A recording whose name is Latin-1 and holds an escape sequence."""
    shutil.copytree(ROOT / "examples/lab", tmp_path / NAME)
    return str(tmp_path / NAME)


@pytest.mark.parametrize(
    "command", [["top", "-b", "--replay"], ["census", "--replay"], ["trace", "--replay"], ["report"]]
)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_name_that_is_not_utf_8(odd: str, command: list[str], form: str) -> None:
    done = lazyobs(command[0], "-o", form, *command[1:], odd)
    assert done.returncode in (0, 1) and done.stdout, done.stderr
    plain = lazyobs(command[0], "-o", form, *command[1:], "examples/lab")
    if command != ["report"]:
        assert done.stdout == plain.stdout
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr


def test_an_export_and_a_comparison(odd: str) -> None:
    assert COMMANDS["export"](odd).out == COMMANDS["export"]("examples/lab").out
    done = lazyobs(
        "compare", "--base", "examples/debian-6.12", "--new", odd, "--html", str(Path(odd).parent / "p.html")
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr


def test_a_name_that_is_not_utf_8_and_no_recording(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    for command in (["top", "-b", "--replay"], ["report"]):
        done = lazyobs(*command, str(tmp_path / NAME))
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
        assert "caf? ?[31m: is empty" in done.stderr


def test_html_creates_its_directories(tmp_path: Path) -> None:
    """As record -o does."""
    page = tmp_path / "a/b/page.html"
    done = lazyobs("report", "examples/lab", "--html", str(page))
    assert done.returncode in (0, 1), done.stderr
    assert page.stat().st_size > 1000
    (tmp_path / "file").write_text("dear")
    done = lazyobs("report", "examples/lab", "--html", str(tmp_path / "file/page.html"))
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"page_bytes": 65536, "machine": "aarch64"}, 65536),
        ({"page_bytes": 4096}, 4096),
        ({"machine": "x86_64"}, 4096),
        ({"page_bytes": "4096", "machine": "s390x"}, 4096),
        ({"page_bytes": 4095, "machine": "x86_64"}, 4096),
    ],
)
def test_pages_of_the_recorded_machine(tmp_path: Path, identity: dict[str, object], expected: int) -> None:
    (tmp_path / DESCRIPTION).write_bytes(write_description(identity, 1.0))
    assert page_bytes(Recording(str(tmp_path))) == expected


def test_a_trace_has_the_bytes_of_the_recorded_machine(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/lab", tmp_path / "r")
    document = json.loads((tmp_path / "r" / DESCRIPTION).read_text())
    sizes = {}
    for page in (4096, 65536):
        (tmp_path / "r" / DESCRIPTION).write_text(json.dumps({**document, "identity": {**document["identity"], "page_bytes": page}}))  # fmt: skip
        lines = lazyobs("trace", "-o", "json", "--replay", str(tmp_path / "r")).stdout.splitlines()
        sizes[page] = [json.loads(line)["bytes"] for line in lines]
    assert any(sizes[4096])
    assert sizes[65536] == [None if size is None else 16 * size for size in sizes[4096]]
