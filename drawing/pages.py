# SPDX-License-Identifier: MIT
"""The pages of ``lazyobs report`` and ``lazyobs compare`` on examples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from drawing.browser import photograph

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"report": "report faulty-7.3", "ab": "compare stock-7.3 lazy-7.3"}
_WIDTH, _HEIGHT = 1200, 1500  # pixels of it that are in the picture
_VERDICTS = (0, 1)  # exit statuses


def words(name: str, *options: str) -> str:
    """The letter: it says what the page does."""
    command = [sys.executable, "-m", "lazyobs", *PAGES[name].split(), "--text", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT / "examples", env=environment, timeout=300
    )
    if done.returncode not in _VERDICTS:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def draw(name: str, file: Path) -> str:
    """Writes the PNG of the top of the page; its words."""
    with TemporaryDirectory(prefix="lazyobs-drawing-") as folder:
        page = Path(folder) / "page.html"
        said = words(name, "--html", str(page))
        photograph(page.as_uri(), _WIDTH, _HEIGHT, file, virtual_ms=10000)
    return said
