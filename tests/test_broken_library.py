# SPDX-License-Identifier: MIT
"""A library that is installed and cannot be imported: one line where it is needed, and nothing where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, lazyobs
from tests.recording import made

_WHY = "libstdc++.so.6: cannot open shared object file"
_PAGE = f"\\n\\nIMPORTANT: PLEASE READ THIS\\nOriginal error was: {_WHY}\\n"


def _environment(tmp_path: Path, library: str) -> dict[str, str]:
    """pyarrow as its shared object fails, numpy with the page that it writes then."""
    package = tmp_path / "broken" / library
    package.mkdir(parents=True)
    text = _PAGE if library == "numpy" else _WHY
    (package / "__init__.py").write_text(f"from {library}.lib import anything\n")
    (package / "lib.py").write_text(f'raise ImportError("{text}")\n')
    return {**os.environ, "PYTHONPATH": f"{package.parent}:{ROOT}"}


@pytest.mark.parametrize("library", ["pyarrow", "numpy"])
def test_a_recording_stays_streams(tmp_path: Path, library: str) -> None:
    environment = _environment(tmp_path, library)
    done = lazyobs("record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--duration", "2", env=environment)
    assert done.returncode == 0, done.stderr
    assert f"{library} is installed, but cannot be imported ({_WHY}): the recording stays Arrow streams" in done.stderr
    assert list((tmp_path / "r").glob("*.arrows")) and not list((tmp_path / "r").glob("*.parquet"))
    assert lazyobs("top", "--replay", str(tmp_path / "r"), "-b", "-n", "1").returncode == 0


@pytest.mark.parametrize("library", ["pyarrow", "numpy"])
@pytest.mark.parametrize("command", ["report", "summary --replay", "trace --replay"])
def test_what_needs_it_says_so_in_one_line(tmp_path: Path, library: str, command: str) -> None:
    environment = _environment(tmp_path, library)
    store = made.store(tmp_path / "r")
    made.append_sample(store, 1)
    store.close()
    done = lazyobs(*command.split(), str(tmp_path / "r"), env=environment)
    assert (done.returncode, done.stdout) == (3, "")
    line = f"lazyobs: {command.split()[0]}: {library} is installed, but cannot be imported ({_WHY}); install"
    assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("hidden", "words"),
    [("click", "cannot start"), ("lz4", "record")],
)
def test_another_python_than_that_of_the_installation(tmp_path: Path, hidden: str, words: str) -> None:
    """As `python3 -m lazyobs` beside a virtual environment, or under another interpreter that comes first in PATH."""
    begin = f"import sys; sys.modules[{hidden!r}] = None; from lazyobs.entry import main; main()"
    command = [sys.executable, "-c", begin, "record", "-o", str(tmp_path / "r"), "--tier", "procfs", "--duration", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"lazyobs: {words}: {sys.executable} has no {hidden}; run it by the command that ")
    assert len(done.stderr.splitlines()) == 1


def test_an_import_of_ours_that_fails_is_an_error_of_lazyobs(tmp_path: Path) -> None:
    copy = tmp_path / "lazyobs"
    copy.mkdir()
    for entry in (ROOT / "lazyobs").iterdir():
        (copy / entry.name).symlink_to(entry)
    (copy / "views").unlink()
    (copy / "views").mkdir()
    for entry in (ROOT / "lazyobs/views").iterdir():
        (copy / "views" / entry.name).symlink_to(entry)
    (copy / "views/census.py").unlink()
    (copy / "views/census.py").write_text("raise ImportError('no such name')\n")
    done = lazyobs("census", "--tier", "procfs", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("lazyobs: census: an error of lazyobs itself")
