# SPDX-License-Identifier: MIT
"""The number of values in a per-CPU map."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazyobs.bpf import maps


@pytest.mark.parametrize(("text", "cpus"), [("0\n", 1), ("0-3\n", 4), ("0-1,4-5\n", 6)])
def test_possible_cpus(tmp_path: Path, text: str, cpus: int) -> None:
    file = tmp_path / "devices/system/cpu/possible"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert maps.possible_cpus(str(tmp_path)) == cpus


def test_never_too_few_where_sys_is_hidden(tmp_path: Path) -> None:
    """The kernel writes a value for each: a buffer for fewer would be overrun."""
    found = maps.possible_cpus(str(tmp_path))
    assert found >= maps.possible_cpus() and found % 8 == 0
