# SPDX-License-Identifier: MIT
"""Whatever a person names as a file is read or refused at once, by every reader of such files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.exporter import settings, webconfig
from lazyobs.kernel import profile
from lazyobs.soak import thresholds
from lazyobs.unix.small_file import MOST_BYTES, Unusable, read_text, read_toml

READERS: dict[str, Callable[[Path], object]] = {
    "settings": lambda path: settings.load(path, {}),
    "web configuration": webconfig.load,
    "profile": profile.load,
    "thresholds": thresholds.load,
}


def test_as_much_as_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("#" * MOST_BYTES)
    assert len(read_text(file)) == MOST_BYTES and read_toml(file) == {}
    file.write_text("#" * (MOST_BYTES + 1))
    with pytest.raises(Unusable, match=r"^cannot be read \(larger than 1 MiB\)$"):
        read_text(file)


def test_a_file_that_does_not_know_its_size() -> None:
    assert read_text(Path("/proc/self/comm")) == Path("/proc/self/comm").read_text()


def test_nesting_without_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a = " + "[" * 100_000)
    with pytest.raises(Unusable, match="is not TOML"):
        read_toml(tmp_path / "file")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none", "No such file or directory"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("large", "larger than 1 MiB"),
        ("binary", "byte 0 is not UTF-8"),
        ("na\0me", "its name holds a null character"),
    ],
)
def test_what_is_no_small_file_is_refused(tmp_path: Path, reader: str, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError) as raised:
        READERS[reader](tmp_path / name)
    assert "cannot be read (" in str(raised.value) and why in str(raised.value)
    assert str(raised.value).count(str(tmp_path / name)) == 1
