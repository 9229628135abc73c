# SPDX-License-Identifier: MIT
"""Skips: each names a feature, and where that is demanded it is a failure."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.harness import FEATURES, ROOT

RAW = {"skip", "skipif", "importorskip", "xfail"}
# file: why it skips by pytest itself
EXPLAINED = {
    "tests/harness.py": "the one place where it is done",
    "tests/test_harness.py": "tells a skip from a failure",
}


def skips(file: Path) -> Iterator[tuple[str, str]]:
    """(where, how) for each skip by pytest in a file, (where, feature) for each by the harness."""
    for node in ast.walk(ast.parse(file.read_text())):
        where = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if (
            isinstance(node, ast.Attribute)
            and node.attr in RAW
            and ast.unparse(node.value) in ("pytest", "pytest.mark")
        ):
            yield where, f"pytest.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "pytest":
            yield from ((where, f"pytest.{alias.name}") for alias in node.names if alias.name in RAW)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("skip", "harness.skip"):
            yield from ((where, str(one.value)) for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant))


def raw(files: list[Path]) -> list[str]:
    found = [one for file in files for one in skips(file) if one[1].startswith("pytest.")]
    return [f"{where}: {how}; use harness.skip" for where, how in found if where.partition(":")[0] not in EXPLAINED]


def test_nothing_is_skipped_behind_the_harness() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert raw(files) == []
    assert {where.partition(":")[0] for file in files for where, how in skips(file) if how.startswith("pytest.")} == {
        *EXPLAINED
    }
    others = [file for file in files if str(file.relative_to(ROOT)) not in EXPLAINED]
    named = {how for file in others for _, how in skips(file)}
    assert named <= FEATURES.keys() and {"bpf", "lab", "kernel"} <= named


@pytest.mark.parametrize(
    "text",
    [
        "pytest.skip('why')",
        "def test():\n    pytest.skip('why')",
        "@pytest.mark.skipif(True, reason='why')\ndef test():\n    pass",
        "pytest.importorskip('bcc')",
        "mark = pytest.mark.skip",
        "from pytest import fixture, importorskip",
        "pytest.mark.xfail(True)",
    ],
)
def test_a_skip_behind_the_harness_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "test_made.py").write_text(
        f"import pytest\nfrom tests.harness import skip\nskip('bpf', 'why')\n{text}\n"
    )
    (found,) = raw([tmp_path / "test_made.py"])
    assert found.startswith("test_made.py:") and found.endswith("; use harness.skip")


@pytest.mark.parametrize("demanded", [False, True])
def test_what_is_demanded_is_not_skipped(monkeypatch: pytest.MonkeyPatch, demanded: bool) -> None:
    monkeypatch.setattr(harness, "DEMANDED", {"s3"} if demanded else {"bpf"})
    how, told = (
        (pytest.fail, "s3 is demanded here (LAZYOBS_DEMAND), but why") if demanded else (pytest.skip, "needs s3: why")
    )
    with pytest.raises(how.Exception) as raised:
        harness.skip("s3", "why")
    assert str(raised.value) == told


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "DEMANDED", set())
    harness.need_programs("sh", "ls")
    with pytest.raises(pytest.skip.Exception, match=r"^needs programs: no-such-program is not installed$"):
        harness.need_programs("sh", "no-such-program")
    assert harness.need_module("json", "web", "").__name__ == "json"
    with pytest.raises(pytest.skip.Exception, match=r"^needs web: No module named 'no_such_module': install it$"):
        harness.need_module("no_such_module", "web", "install it")
    monkeypatch.setattr(os, "geteuid", lambda: 23)
    with pytest.raises(pytest.skip.Exception, match=r"^needs root: to mount$"):
        harness.need_root("to mount")
    with pytest.raises(AssertionError):
        harness.skip("no such feature", "why")


def test_a_feature_that_there_is_not_cannot_be_demanded() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "tests/test_text.py"]
    environment = {**os.environ, "LAZYOBS_DEMAND": "bpf,chromium"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "LAZYOBS_DEMAND: no feature chromium; there are boards, bpf, " in done.stderr
