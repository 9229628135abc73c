# SPDX-License-Identifier: MIT
"""What names a build of the kernel, and where it lies."""

from __future__ import annotations

import pytest

from lazyobs.kernel.build import Build
from lazyobs.kernel.kallsyms import Kallsyms

NOTES = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + bytes(range(20))


@pytest.fixture
def machine(tmp_path):
    """Function that lays out a machine's files and reads its build."""

    def read(notes: bytes = NOTES, version: str = "Linux 6.12", text: int = 0xFFFFFFFF81000000, boot: str = "one"):
        (tmp_path / "sys/kernel").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/kernel/notes").write_bytes(notes)
        (tmp_path / "proc/version").write_text(version)
        (tmp_path / "proc/sys/kernel/random/boot_id").write_text(boot)
        # Per-CPU symbols come first on x86 before 6.15: more than one reading's worth.
        symbols = [f"{number:016x} A percpu_{number}\n" for number in range(503)]
        symbols += [f"{text:016x} T startup_64\n", f"{text:016x} T _text\n", f"{text:016x} t _text_of_another\n"]
        (tmp_path / "proc/kallsyms").write_text("".join(symbols))
        return Build.read(str(tmp_path / "proc"), str(tmp_path / "sys"))

    return read


def test_a_boot_moves_the_anchor_and_keeps_the_name(machine):
    one, other = machine(), machine(text=0xFFFFFFFF9E400000, boot="two")
    assert one.name == other.name
    assert (one.anchor, other.anchor) == (0xFFFFFFFF81000000, 0xFFFFFFFF9E400000)


def test_another_build_has_another_name(machine):
    names = {machine().name, machine(notes=NOTES[:-1] + b"x").name, machine(version="Linux 6.12.1").name}
    assert len(names) == 3


@pytest.mark.parametrize("lack", [{"notes": b""}, {"text": 0}])
def test_without_build_id_or_addresses_nothing_outlives_the_boot(machine, lack):
    one, other = machine(boot="one", **lack), machine(boot="two", **lack)
    assert one.name != other.name
    assert one.anchor == other.anchor == 0


def test_this_kernels_anchor_is_its_symbol(bpf):
    text = Kallsyms.read(["_text"]).plain("_text")
    assert [symbol.start for symbol in text] == [Build.read().anchor]
