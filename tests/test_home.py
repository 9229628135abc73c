# SPDX-License-Identifier: MIT
"""The tests have a home of their own: what the user has set, or the user behind sudo, does not reach them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lab.cache
from lazyobs.screen.settings import Settings, SettingsWriter, person
from tests import harness
from tests.harness import ROOT

CHOSEN = Settings(sort="forks", reverse=True, delay=7.0)


def _remembered() -> str | None:
    whose = person(os.environ, os.getuid())
    assert whose is not None
    writer = SettingsWriter(whose)
    writer.close()
    return writer.text


def test_nothing_is_set() -> None:
    assert _remembered() is None


@pytest.mark.parametrize("order", [1, 2])
def test_what_a_test_sets_is_gone_after_it(order: int) -> None:
    assert _remembered() is None
    whose = person(os.environ, os.getuid())
    assert whose is not None
    writer = SettingsWriter(whose)
    assert writer.write(CHOSEN.to_toml())
    writer.close()
    assert _remembered() == CHOSEN.to_toml()


def test_settings_of_the_user_do_not_leak_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test above, run by a user who has some."""
    (tmp_path / ".config/lazyobs").mkdir(parents=True)
    (tmp_path / ".config/lazyobs/top.toml").write_text(CHOSEN.to_toml())
    user = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    for name, value in user.items():
        monkeypatch.setenv(name, value)
    assert _remembered() == CHOSEN.to_toml()
    command = [sys.executable, "-m", "pytest", "-q", f"{Path(__file__).relative_to(ROOT)}::test_nothing_is_set"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_the_user_behind_sudo_is_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    harness.live_in(tmp_path)
    whose = person(os.environ, 0)
    assert whose is not None and (whose.uid, whose.path) == (0, tmp_path / ".config/lazyobs/top.toml")


@pytest.mark.parametrize("variables", [{"HOME": "/home/me"}, {"HOME": "/x", "XDG_CACHE_HOME": "/home/me/.cache"}])
def test_the_labs_images_are_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "LAZYOBS_LAB_CACHE"):
        monkeypatch.setenv(name, variables.get(name, ""))
    harness.live_in(tmp_path)
    assert lab.cache.root() == Path("/home/me/.cache/lazyobs/lab")
    monkeypatch.setenv("LAZYOBS_LAB_CACHE", "/images")
    assert lab.cache.root() == Path("/images")
