# SPDX-License-Identifier: MIT
"""The record is the same 64 bytes to a C compiler, to struct and to numpy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy
import pytest

from lazyobs.bpf import event, layouts

_C = """
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
typedef uint64_t u64; typedef uint32_t u32; typedef uint16_t u16; typedef uint8_t u8;
%s
int main(void)
{
	struct event event;
	memset(&event, 0, sizeof(event));
%s
	fwrite(&event, sizeof(event), 1, stdout);
	return 0;
}
"""
_COMM = b"fifteen letters"


def _value(index: int, field: layouts.Field) -> int:
    """Another number in every byte, so that no two fields or byte orders look alike."""
    assert isinstance(field.c_type, str)
    size = {"u64": 8, "u32": 4, "u16": 2, "u8": 1}[field.c_type]
    return int.from_bytes(bytes((index * 16 + byte + 1) & 0xFF for byte in range(size)), "little")


def _expected() -> event.Event:
    numbers = [_value(index, field) for index, field in enumerate(event.RECORD.fields[:-1])]
    return event.Event._make([*numbers, _COMM + b"\0"])


@pytest.fixture(scope="module")
def written_by_c(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One record that a compiled C program filled in, field by field."""
    directory: Path = tmp_path_factory.mktemp("event")
    fill = [f"\tevent.{f.name} = {_value(i, f)}U{'LL' if f.c_type == 'u64' else ''};" for i, f in enumerate(event.RECORD.fields[:-1])]  # fmt: skip
    fill.append(f'\tmemcpy(event.comm, "{_COMM.decode()}", {len(_COMM)});')
    (directory / "record.c").write_text(_C % (event.c_layout(16 * 4096), "\n".join(fill)))
    subprocess.run(
        ["gcc", "-Wall", "-Werror", "-o", directory / "record", directory / "record.c"], check=True, timeout=60
    )
    return subprocess.run([directory / "record"], check=True, capture_output=True, timeout=60).stdout


def test_struct_reads_what_c_wrote(written_by_c: bytes) -> None:
    assert len(written_by_c) == 64
    assert event.Event._make(event.LAYOUT.unpack(written_by_c)) == _expected()


def test_numpy_reads_what_c_wrote(written_by_c: bytes) -> None:
    assert event.dtype().itemsize == 64
    record = numpy.frombuffer(written_by_c, event.dtype())[0]
    expected = _expected()._replace(comm=_COMM)
    assert tuple(record.tolist()) == tuple(expected)


def test_wake_ups_leave_room_for_every_cpu() -> None:
    for ring_bytes in (4096 << shift for shift in range(12)):
        for cpus in (1, 2, 23, 101, 512):
            every = event.wake_every(ring_bytes, cpus)
            assert every == 1 or every * cpus * 72 <= ring_bytes // 2
