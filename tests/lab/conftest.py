# SPDX-License-Identifier: MIT
"""Fixtures of the lab's tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import need_programs
from tests.lab.guests import GUEST, Run, arguments, need


@pytest.fixture
def guest() -> Run:
    """``guest(KERNEL, COMMAND...)`` boots the kernel and runs the command; skips where it cannot."""

    def run(
        kernel: str, *command: str, timeout: float = 240, options: Any = (), **keywords: Any
    ) -> subprocess.CompletedProcess[bytes]:
        need(kernel)
        return subprocess.run(
            arguments(kernel, *command, timeout=timeout, options=options), capture_output=True, **keywords
        )

    return run


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``compiled("promote.c")`` is the static program made of guest/promote.c."""
    folder = tmp_path_factory.mktemp("guest")

    def program(source: str) -> Path:
        target = folder / Path(source).stem
        if not target.exists():
            subprocess.run(["gcc", "-O2", "-Wall", "-static", "-o", str(target), str(GUEST / source)], check=True)
        return target

    need_programs("gcc", feature="lab")
    os.chmod(folder, 0o755)
    return program
