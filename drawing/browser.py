# SPDX-License-Identifier: MIT
"""A picture of a page, by a Chromium without a window."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-web-security",
)  # fmt: skip
_SECONDS = 120


def photograph(url: str, width: int, height: int, file: Path, virtual_ms: int = 20000) -> None:
    """Writes a PNG of what the page shows once it has drawn itself. RuntimeError where the browser fails."""
    with tempfile.TemporaryDirectory(prefix="lazyobs-drawing-") as profile:
        command = [
            "chromium", *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}",
            f"--virtual-time-budget={virtual_ms}", f"--screenshot={file}", url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode or not file.exists():
        raise RuntimeError(f"chromium: {(done.stderr.strip() or 'no picture').splitlines()[-1]}")
