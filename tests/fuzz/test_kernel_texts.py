# SPDX-License-Identifier: MIT
"""Texts of /proc and /sys. Names in them are a process's own, and a container may show other files in their place."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from lazyobs.bpf import event
from lazyobs.bpf.event import BYTES
from lazyobs.bpf.ring import RingError, _whole
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.kernel import smaps
from lazyobs.kernel.btf import Btf, BtfError
from lazyobs.kernel.kallsyms import Kallsyms
from lazyobs.kernel.log import KernelLog, Splats, kind_of
from lazyobs.kernel.profile import Profile
from lazyobs.kernel.slab import Slabinfo
from lazyobs.recorder.identity import build_id, identity
from lazyobs.recorder.system import System
from lazyobs.sources.cgroups import path_of_process
from lazyobs.sources.procfs import ProcfsSource
from tests.fuzz.fuzzing import bounded, nearly, tries

SLABINFO = (
    b"slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"
    b"anon_vma_chain 1035 1216 64 64 1 : tunables 0 0 0 : slabdata 19 19 0\n"
    b"anon_vma 911 936 104 39 1 : tunables 0 0 0 : slabdata 24 24 0\n"
    b"vm_area_struct 4211 4320 184 44 2 : tunables 0 0 0 : slabdata 98 98 0\n"
)


@tries(300)
@given(content=nearly(SLABINFO))
@example(content=b"anon_vma 1 2\n")
@example(content=b"anon_vma 1 2 3 x\n")
@example(content=b"anon_vma " + b"9" * 5000 + b" 1 1 1\n")
def test_slabinfo(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "slabinfo").write_bytes(content)
    slabinfo = Slabinfo(str(tmp_path), str(tmp_path))
    rows = bounded(slabinfo.read)
    slabinfo.close()
    assert rows is not None
    assert all(isinstance(value, int) and value >= 0 for row in rows.values() for value in row)


SMAPS = (
    b"55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                          [heap]\nSize:                132 kB\n"
    b"Anonymous:            96 kB\nSwap:                  0 kB\nVmFlags: rd wr mr mw me ac\n"
    b"7f0000000000-7f0000001000 r--p 00000000 fe:00 11  /a file\nSize: 4 kB\nAnonymous: 0 kB\nSwap: 4 kB\nVmFlags: rd\n"
)


@tries(300)
@given(content=nearly(SMAPS))
@example(content=b"1-2 rw-p 0\nAnonymous:\n")
@example(content=b"1-2 rw-p 0\n\nAnonymous: x kB\n")
@example(content=b"1-2 rw-p 0\nAnonymous:")
@example(content=b"Anonymous:\nVmFlags:\n")
def test_smaps(content: bytes) -> None:
    bounded(lambda: smaps.parse(content), ValueError)
    vmas, anonymous = bounded(lambda: smaps.has_anonymous(content), ValueError) or (0, 0)
    assert 0 <= anonymous <= vmas


STAT = b"23 (a ) b) S 1 23 23 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 12345 8192 100 18446744073709551615 1 1 0 0 0 0\n"


@tries(200)
@given(stat=nearly(STAT), maps=nearly(SMAPS), cgroup=nearly(b"0::/system.slice/a.service\n", b"3:cpu:/x\n0::/\n"))
@example(stat=b"", maps=b"", cgroup=b"")
@example(stat=STAT.replace(b"12345", b"9" * 400), maps=SMAPS, cgroup=b"0::")
@example(stat=STAT.replace(b"12345", b"9" * 5000), maps=SMAPS, cgroup=b"0::\xff\n")
def test_a_process(tmp_path: Path, stat: bytes, maps: bytes, cgroup: bytes) -> None:
    root = tmp_path / "23"
    root.mkdir(exist_ok=True)
    for name, content in (("stat", stat), ("smaps", maps), ("cgroup", cgroup)):
        (root / name).write_bytes(content)
    source = ProcfsSource("6.1.0", Profile("mainline", "x"), Slabinfo(str(tmp_path)), "a test", str(tmp_path))
    sample = bounded(source.read)
    assert sample is not None
    for process in sample.processes:
        assert process.pid == 23 and math.isfinite(process.start_time)
    path = path_of_process(23, str(tmp_path))
    assert path is None or "\n" not in path


VMSTAT, MEMINFO = (
    b"nr_free_pages 101\npgfault 18446744073709\n",
    b"MemTotal:  24681 kB\nActive(anon):  23 kB\nHugePages_Total:  7\n",
)
PRESSURE = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=211\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=53\n"


@tries(200)
@given(vmstat=nearly(VMSTAT), meminfo=nearly(MEMINFO), pressure=nearly(PRESSURE), tainted=nearly(b"4609\n"))
@example(vmstat=b"a b c\n", meminfo=b"x\n", pressure=b"some total=\n", tainted=b"")
@example(vmstat=b"pgfault " + b"9" * 30, meminfo=b"A: 1 MB\n", pressure=b"", tainted=b"-")
def test_columns_of_the_machine(tmp_path: Path, vmstat: bytes, meminfo: bytes, pressure: bytes, tainted: bytes) -> None:
    (tmp_path / "pressure").mkdir(exist_ok=True)
    (tmp_path / "sys/kernel").mkdir(parents=True, exist_ok=True)
    for name, content in (("vmstat", vmstat), ("meminfo", meminfo), ("pressure/memory", pressure), ("sys/kernel/tainted", tainted)):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    system = bounded(lambda: System(str(tmp_path)))
    assert system is not None
    values = bounded(system.read)
    system.close()
    assert values is not None and len(values) == len(system.columns) == len(set(system.columns))
    assert all(value is None or -(1 << 63) <= value < 1 << 63 for value in values), "they fit into the table"


@tries(100)
@given(content=nearly(b"Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition 1003516 0 -2\n", b"MemTotal: 1 kB\n"))
@example(content=b"h\na b c d\n")
@example(content=b"MemTotal: " + b"9" * 5000 + b" kB\n")
@example(content=struct.pack("=III", 4, 0xFFFFFFF0, 3) + b"GNU\0" + bytes(8))
def test_identity(tmp_path: Path, content: bytes) -> None:
    for name in ("swaps", "meminfo", "cpuinfo", "cmdline", "config.gz", "kernel/notes", "sys/kernel/tainted"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert bounded(lambda: identity("mainline", None, {}, None, str(tmp_path), str(tmp_path)))
    bounded(lambda: build_id(str(tmp_path)))


KALLSYMS = (
    b"ffffffff81000000 T _stext\nffffffff81001000 t anon_vma_clone\nffffffff81001100 t anon_vma_clone.cold\n"
    b"ffffffff81001200 T unlink_anon_vmas\t[mod]\nffffffff81002000 T _etext\n"
)


@tries(300)
@given(content=nearly(KALLSYMS))
@example(content=b" t anon_vma_clone\n")
@example(content=b"x t anon_vma_clone\nffffffff81001100 t b\n")
@example(content=b"ffffffff81001000 t anon_vma_clone.cold\xff\nf t x\n")
@example(content=b"1 t anon_vma_clone\n\n2 t x\n")
@example(content=b"1 t anon_vma_clone\nabc")
def test_kallsyms(content: bytes) -> None:
    found = bounded(lambda: Kallsyms(content, ["anon_vma_clone", "unlink_anon_vmas"]))
    assert found is not None
    for symbol in found.parts("anon_vma_clone"):
        assert 0 < symbol.start < symbol.end


RECORD = b"4,1234,5678901,-;WARNING: CPU: 1 PID: 23 at mm/rmap.c:500 x\n SUBSYSTEM=x\n"


@tries(300)
@given(contents=st.lists(nearly(RECORD), min_size=1, max_size=4))
@example(contents=[b"4," + b"9" * 5000 + b",1,-;x\n"])
@example(contents=[b"4,1,99999999999999999999999999,-;\xff\n", b"4,99999999999999999999,1,-;x"])
@example(contents=[b"6,1,2;", b";", b",,;", b"-4,-1,-1,-;x"])
@example(contents=[b"6,1," + b"9" * 400 + b";x"])
def test_kernel_log(contents: list[bytes]) -> None:
    """Each read gives a record; user space may write there too."""
    reader, writer = os.pipe2(os.O_NONBLOCK)
    log = KernelLog("/does/not/exist")
    log._fd = reader
    splats = Splats(log)
    try:
        for content in contents:
            os.write(writer, content[:8000] or b"\n")
            for line in bounded(splats.read) or ():
                assert math.isfinite(line.since_boot) and "\n" not in line.text
                assert 0 <= line.sequence < 1 << 63 and 0 <= line.level < 8
        assert 0 <= log.lost < 1 << 63
    finally:
        os.close(writer)
        log.close()


@tries(200)
@given(text=st.text(max_size=300))
@example(text="WARNING: " + "a" * 100_000)
@example(text="INFO: possible " + "lock " * 20_000 + "x")
@example(text="rcu: INFO: rcu" + "x" * 50_000)
def test_kinds_of_splats(text: str) -> None:
    bounded(lambda: kind_of(text))


@tries(300)
@given(
    st.lists(
        st.one_of(st.sampled_from([BYTES, BYTES | 1 << 31, BYTES | 1 << 30, 0]), st.integers(0, 2**32 - 1)), max_size=8
    )
)
def test_headers_of_the_ring(headers: list[int]) -> None:
    count = bounded(lambda: _whole(headers), RingError)
    assert count is None or 0 <= count <= len(headers)


@tries(300)
@given(raw=st.binary(min_size=BYTES, max_size=BYTES), offset=st.integers(-(2**63), 2**63 - 1))
def test_events(raw: bytes, offset: int) -> None:
    """Any 64 bytes whose kind is one of ours."""
    record = event.Event._make(event.RECORD.struct().unpack(raw))
    record = record._replace(kind=record.kind % len(event.KINDS))
    shown = bounded(lambda: TraceEvent.of_event(record, offset, 4096))
    assert shown is not None and math.isfinite(shown.time)


def btf() -> bytes:
    """A small one: an int, a struct with a member, an enum, a typedef, a function."""
    strings = b"\0int\0folio\0flags\0walker\0unmap\0fn\0alias\0"

    def name(text: bytes) -> int:
        return strings.index(b"\0" + text + b"\0") + 1

    types = b"".join((
        struct.pack("<IIII", name(b"int"), 1 << 24, 4, 32),
        struct.pack("<IIIIII", name(b"folio"), 4 << 24 | 1, 4, name(b"flags"), 1, 0),
        struct.pack("<IIIIi", name(b"walker"), 6 << 24 | 1, 4, name(b"unmap"), 7),
        struct.pack("<III", name(b"alias"), 8 << 24, 2),
        struct.pack("<IIIII", 0, 13 << 24 | 1, 0, name(b"flags"), 1),
        struct.pack("<III", name(b"fn"), 12 << 24, 5),
    ))  # fmt: skip
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


NAMES = ["folio", "walker", "alias", "fn"]


def test_the_btf_to_begin_with() -> None:
    found = Btf(btf(), NAMES)
    assert found.member("folio", "flags") and found.enumerators("walker") == {"unmap": 7} and found.function("fn")


@tries(300)
@given(content=nearly(btf()))
@example(content=btf()[:-1])
@example(content=btf().replace(struct.pack("<II", 8 << 24, 2), struct.pack("<II", 8 << 24, 4)))
def test_btf(content: bytes) -> None:
    """Reading it in. tests/kernel/test_btf.py has what asks it for damaged types."""
    bounded(lambda: Btf(content, NAMES), BtfError)
