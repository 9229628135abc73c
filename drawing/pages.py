# SPDX-License-Identifier: MIT
"""The page of ``lazyobs report`` on an example."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from drawing.browser import photograph

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = "leak"
_WIDTH, _HEIGHT = 1200, 1500  # pixels of it that are in the picture


def _report(*options: str) -> str:
    command = [sys.executable, "-m", "lazyobs", "report", EXAMPLE, "--text", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT / "examples", env=environment, timeout=300
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def words() -> str:
    """The letter: it says what the page does."""
    return _report()


def draw(file: Path) -> str:
    """Writes the PNG of the top of the page; its words."""
    with TemporaryDirectory(prefix="lazyobs-drawing-") as folder:
        page = Path(folder) / "report.html"
        said = _report("--html", str(page))
        photograph(page.as_uri(), _WIDTH, _HEIGHT, file, virtual_ms=10000)
    return said
