# SPDX-License-Identifier: MIT
"""How many processes the maps have room for, by the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.bpf import abi, maps, room
from lazyobs.bpf.layouts import ENTRIES
from tests.hostile import HOSTILE

GB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "most_pids", "entries"),
    [
        (0, 1 << 22, 16384),  # /proc/meminfo cannot be read
        (1 * GB, 32768, 16384),
        (64 * GB, 1 << 22, 16384),
        (256 * GB, 1 << 22, 65536),
        (256 * GB, 32768, 32768),  # more pids there are not
        (1024 * GB, 1 << 22, 1 << 18),
        (9000 * GB, 1 << 22, 1 << 18),
    ],
)
def test_room_follows_from_memory_and_pids(memory: int, most_pids: int, entries: int) -> None:
    assert room.processes(memory, most_pids) == entries


def test_a_proc_without_these_files_or_with_nonsense_has_the_least(tmp_path: Path) -> None:
    assert room.entries(str(tmp_path)) == {"processes": room.LEAST}
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/pid_max").write_text("many")
    (tmp_path / "meminfo").write_text(HOSTILE, errors="replace")
    assert room.entries(str(tmp_path)) == {"processes": room.LEAST}


def test_the_map_is_as_large_and_health_says_so(live, monkeypatch) -> None:
    monkeypatch.setattr(room, "entries", lambda: {"processes": 20_011})
    source = live()
    assert maps.entries(source.session.maps["processes"]) == 20_011
    assert source.read().health["process_map_capacity"] == 20_011 + ENTRIES["PROCESS_SLOTS"]
    assert abi.object_info(source.session.maps["processes"])
