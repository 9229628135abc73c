# SPDX-License-Identifier: MIT
"""Swap for the battery on machines that have no zram yet, or nowhere to write."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lazyobs.selftest import settings_guard, swap
from tests.harness import ROOT, need_root, skip

PROGRAM = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0  # a mount namespace of its own
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private, recursive
assert libc.mount(b"tmpfs", b"/var/tmp", b"tmpfs", 1, None) == 0  # read-only
from lazyobs.selftest import swap
from lazyobs.selftest.settings_guard import Guardian
swap._HOT_ADD = "/nonesuch"
swap.load_module = lambda *_: False
guardian = Guardian("/tmp/lazyobs-test-swap.lock")
try:
    swap.set_up(guardian)
except OSError as error:
    print(error.errno)
print(guardian.restore(0))
guardian.close()
"""


def test_a_read_only_var_tmp_is_a_reason_and_leaves_nothing_to_undo() -> None:
    """rmdir() says EROFS of a directory that never was, and the scenario failed with "not restored"."""
    need_root("mounts a read-only /var/tmp")
    answer = subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT)], capture_output=True, text=True)
    if "AssertionError" in answer.stderr:
        skip("host", "mounting is refused here")
    assert answer.stdout.splitlines() == [str(errno.EROFS), "[]"], answer.stderr


class Remembers:
    """A guardian that does nothing."""

    def __init__(self) -> None:
        self.records: list[tuple[object, ...]] = []

    def remember(self, *record: object) -> None:
        self.records.append(record)


def test_zrams_module_is_loaded_and_unloaded_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    control = tmp_path / "hot_add"
    monkeypatch.setattr(swap, "_HOT_ADD", str(control))
    loaded: list[tuple[str, ...]] = []

    def load(*module: str) -> bool:
        loaded.append(module)
        control.touch()
        return True

    monkeypatch.setattr(swap, "load_module", load)
    guardian = Remembers()
    assert swap._has_zram(guardian)  # type: ignore[arg-type]
    assert loaded == [("zram", "num_devices=0")]
    assert guardian.records == [("unload_module", "zram")]
    assert swap._has_zram(guardian)  # type: ignore[arg-type]
    assert len(loaded) == len(guardian.records) == 1  # what is there is left as it is


def test_modprobe_is_asked_and_its_refusal_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "modprobe"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n[ "$2" != refused ]\n')
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name, path: str(program))
    assert settings_guard.load_module("zram", "num_devices=0")
    assert not settings_guard.load_module("refused")
    assert (tmp_path / "asked").read_text().splitlines() == ["-q zram num_devices=0", "-q refused"]
    monkeypatch.setattr(shutil, "which", lambda _name, path: None)
    assert not settings_guard.load_module("zram")
    assert settings_guard.UNDO["unload_module"]("nonesuch_module") is None
