# SPDX-License-Identifier: MIT
"""The A/B's plan and its second opinion; the boots themselves take too long for a test."""

from __future__ import annotations

from pathlib import Path

from lab import ab

ROWS = (
    "vm_area_struct {vmas} 4200 168 24 1 : tunables\nanon_vma_chain 101 128 64 64 1 :\nanon_vma {roots} 68 120 34 1 :\n"
)


def test_what_changes_on_this_machine_falls_on_both_arms() -> None:
    arms = [arm for arm, _ in ab.order(5)]
    assert arms == ["off", "on", "on", "off", "off", "on", "on", "off", "off", "on"]
    assert len(set(ab.order(7))) == 14
    places = {arm: sum(place for place, one in enumerate(arms[:8]) if one == arm) for arm in ("off", "on")}
    assert places["off"] == places["on"]


def test_slabinfo_is_told_in_bytes(tmp_path: Path) -> None:
    for arm, roots in (("off", 53), ("on", 23)):
        for number in (1, 2, 3):
            (tmp_path / f"{arm}-{number}").mkdir()
            (tmp_path / f"{arm}-{number}/slabinfo.txt").write_text(ROWS.format(vmas=4001, roots=roots + number))
    assert ab.slab_bytes(tmp_path / "off-1") == {"vm_area_struct": 4001 * 168, "anon_vma_chain": 101 * 64, "anon_vma": 54 * 120}  # fmt: skip
    told = ab.second_opinion(tmp_path, 3).splitlines()
    assert told[-1].split()[:1] == ["anon_vma"] and f"{-30 * 120:+.0f}" in told[-1] and "-54.5%" in told[-1]


def test_boots_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "off-1").mkdir()
    (tmp_path / "off-1/slabinfo.txt").write_text("")
    ab.boot(tmp_path, "off", 1, 60)  # it would take minutes, and a kernel
    assert list(tmp_path.iterdir()) == [tmp_path / "off-1"]
