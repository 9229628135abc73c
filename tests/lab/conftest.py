# SPDX-License-Identifier: MIT
"""What the lab's tests share: a guest to run things in, or the reason why there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).resolve().parent / "guest"
sys.path.insert(0, str(ROOT))

from lab import build, kernels  # noqa: E402
from lab.errors import LabError  # noqa: E402

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def why_no_guest(name: str) -> str | None:
    """Why the kernel of that name cannot be booted here, or None."""
    if not shutil.which("qemu-system-x86_64"):
        return "qemu-system-x86_64 is not installed; make lab installs it"
    try:
        build.image(kernels.kernel(name))
    except LabError as error:
        return str(error)
    return None


def need(name: str) -> None:
    reason = why_no_guest(name)
    if reason:
        pytest.skip(reason)


def arguments(kernel: str, *command: str, timeout: float = 120, options: Any = ()) -> list[str]:
    return [str(ROOT / "lab" / "run"), "--kernel", kernel, "--timeout", str(timeout), *options, "--", *command]


@pytest.fixture
def guest() -> Run:
    """``guest(KERNEL, COMMAND...)`` boots the kernel and runs the command; skips where it cannot."""

    def run(
        kernel: str, *command: str, timeout: float = 120, options: Any = (), **keywords: Any
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

    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed; make lab installs it")
    os.chmod(folder, 0o755)
    return program
