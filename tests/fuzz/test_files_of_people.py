# SPDX-License-Identifier: MIT
"""Files and options that people write: profiles, settings, thresholds, addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lazyobs.errors import UsageError
from lazyobs.exporter import settings as exporter_settings
from lazyobs.kernel import profile
from lazyobs.recorder import triggers
from lazyobs.screen.settings import Settings
from lazyobs.soak import thresholds
from lazyobs.unix import address
from tests.fuzz.fuzzing import bounded, nearly, tries
from tests.harness import ROOT

PROFILES = [path.read_bytes() for path in sorted((ROOT / "lazyobs/kernel/profiles").glob("*.toml"))]
THRESHOLDS = (ROOT / "lazyobs/soak/thresholds.toml").read_bytes()
EXPORTER = (ROOT / "systemd/lazyobs.toml").read_bytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.toml"


def one_line(error: UsageError) -> bool:
    return len(str(error).splitlines()) == 1


@tries(300)
@given(content=nearly(*PROFILES))
@example(content=b"name = 'x'\nabout = 'x'\n[vma]\ntag_mask = " + b"9" * 5000)
@example(content=b"name = 'x'\nabout = 'x'\n[vma]\ntag_mask = inf\n")
@example(content=b"name = 'x'\nabout = 'x'\n[detect]\nmembers = ['nodot']\n")
@example(content=b"a = " + b"[" * 100_000)
def test_profiles(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    found = bounded(lambda: profile.load(file), UsageError)
    assert found is None or found.name


@tries(200)
@given(content=nearly(THRESHOLDS))
@example(content=b"[leak]\nalpha = nan\n")
@example(content=b"leak = 5\n")
@example(content=b"[leak]\nalpha = " + b"1" * 5000)
def test_thresholds(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    bounded(lambda: thresholds.load(file), UsageError)


@tries(200)
@given(
    content=nearly(EXPORTER, b'[export]\nlisten = "127.0.0.1:9797"\nconnections = 7\nseconds = 2.5\ncgroup_top = 3\n')
)
@example(content=b"[export]\nseconds = nan\n")
@example(content=b"[export]\ntier = []\n")
def test_exporter_settings(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    found = bounded(lambda: exporter_settings.load(file, {}), UsageError)
    assert found is None or 0 < found.seconds < 1e9


SCREEN = Settings(delay=2.5, sort="pid").to_toml().encode()


@tries(200)
@given(content=nearly(SCREEN))
@example(content=b"a = " + b"[" * 30_000)
@example(content=b"delay = nan\n")
@example(content=b"delay = " + b"1" * 5000)
@example(content=b"group = []\ncolours = {}\n")
def test_settings_of_the_screen(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    found = bounded(lambda: Settings.from_toml(text), ValueError)
    if found is not None:
        assert Settings.from_toml(found.to_toml()) == found, "what is written is read again"


ADDRESSES = (b"127.0.0.1:9797", b"[::1]:9797", b"localhost:1", b":9797", b"9797")


@tries(500)
@given(content=nearly(*ADDRESSES), default=st.sampled_from([None, address.Address("127.0.0.1", 9798)]))
@example(content=b"a:" + b"9" * 5000, default=None)
@example(content="a:²".encode(), default=None)
@example(content="٣".encode(), default=address.Address("h", 1))
@example(content=b"[]:1", default=None)
def test_addresses(content: bytes, default: address.Address | None) -> None:
    text = content.decode("utf-8", "surrogateescape")
    found = bounded(lambda: address.parse("--listen", text, default), UsageError)
    if found is not None:
        assert 0 <= found.port < 1 << 16
        assert address.parse("--listen", str(found)) == found, "what is shown is understood"


@tries(200)
@given(content=nearly(b"splat", b"slow-walk:0.5", b"promotion-storm:1000"))
@example(content=b"splat:" + b"9" * 5000)
def test_triggers(content: bytes) -> None:
    found = bounded(lambda: triggers.parse(content.decode("utf-8", "replace")), UsageError)
    assert found is None or 0 < found.threshold < float("inf")
