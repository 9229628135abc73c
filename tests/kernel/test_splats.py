# SPDX-License-Identifier: MIT
"""Lines of /dev/kmsg: which begin a splat, what belongs to it, and what is nobody's business."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from lazyobs.kernel.log import KernelLog, Splats


class Kmsg:
    """A socket that gives one record a read, as /dev/kmsg does."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        self.log = KernelLog("/does/not/exist")
        self.log._fd = os.dup(ours.fileno())
        self.splats = Splats(self.log)
        ours.close()
        self._sequence = 100

    def say(self, text: str, seconds: float = 1.0, priority: int = 4, skip: int = 0) -> None:
        self._sequence += 1 + skip
        record = f"{priority},{self._sequence},{round(seconds * 1e6)},-;{text}\n SUBSYSTEM=x\n DEVICE=+y:z\n"
        self._theirs.send(record.encode())


@pytest.fixture
def kmsg() -> Iterator[Kmsg]:
    made = Kmsg()
    yield made
    made.log.close()


def test_a_splat_and_what_follows_it(kmsg: Kmsg) -> None:
    kmsg.say("usb 1-1: new device", 0.5)
    kmsg.say("WARNING: CPU: 0 PID: 1 at mm/rmap.c:1 x", 1.0)
    kmsg.say("Call Trace:", 1.001)
    kmsg.say(" anon_vma_clone+0x1/0x2", 1.002)
    kmsg.say("---[ end trace 0000000000000000 ]---", 1.003)
    kmsg.say("usb 1-1: gone", 1.004)
    lines = kmsg.splats.read()
    assert [(line.kind, line.text) for line in lines] == [
        ("WARN", "WARNING: CPU: 0 PID: 1 at mm/rmap.c:1 x"),
        (None, "Call Trace:"),
        (None, " anon_vma_clone+0x1/0x2"),
        (None, "---[ end trace 0000000000000000 ]---"),
    ]
    assert [line.since_boot for line in lines] == [1.0, 1.001, 1.002, 1.003]
    assert kmsg.splats.read() == []


def test_a_splat_without_an_end(kmsg: Kmsg) -> None:
    kmsg.say("BUG: something", 1.0)
    kmsg.say("one second later", 2.0)
    kmsg.say("too late", 2.1)
    assert [line.text for line in kmsg.splats.read()] == ["BUG: something", "one second later"]


def test_a_splat_is_bounded(kmsg: Kmsg) -> None:
    kmsg.say("BUG: something", 1.0)
    found = 0
    for number in range(211):
        kmsg.say(f"line {number}", 1.0)
        found += len(kmsg.splats.read())
    assert found == 100


def test_user_space_cannot_cry_wolf(kmsg: Kmsg) -> None:
    kmsg.say("WARNING: from a process", priority=8 | 4)
    assert kmsg.splats.read() == []


def test_overwritten_records_are_counted(kmsg: Kmsg) -> None:
    kmsg.say("quiet")
    kmsg.say("quiet", skip=23)
    assert kmsg.splats.read() == []
    assert kmsg.log.lost == 23


def test_nonsense_is_passed_over(kmsg: Kmsg) -> None:
    for record in (b"", b";", b"x,y,z;BUG: a", b"\xff\xfe", b"4,1"):
        kmsg._theirs.send(record) if record else None
    kmsg.say("BUG: \x1b[2J\xff")
    assert [line.kind for line in kmsg.splats.read()] == ["BUG"]


def test_no_log() -> None:
    log = KernelLog("/does/not/exist")
    assert log.why_not == "/does/not/exist: No such file or directory"
    assert list(log.records()) == []
