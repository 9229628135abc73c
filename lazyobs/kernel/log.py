# SPDX-License-Identifier: MIT
"""The kernel's log, record by record, and the splats in it: the kind, from the first line, and the lines that follow.

/dev/kmsg gives one record a read (Documentation/ABI/testing/dev-kmsg):
"level and facility,sequence,microseconds,flags;text", then lines of properties. User space may write there too:
only the kernel's own records (facility 0) count.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_RECORD_BYTES = 8192
_LINES_OF_A_SPLAT = 100
_SECONDS_OF_A_SPLAT = 1.0
_END = "---[ end trace"

# kind: pattern of its first line. The first that matches counts.
KINDS: dict[str, re.Pattern[str]] = {
    kind: re.compile(pattern)
    for kind, pattern in (
        ("KASAN", r"BUG: KASAN: "),
        ("KFENCE", r"BUG: KFENCE: "),
        ("KCSAN", r"BUG: KCSAN: "),
        ("UBSAN", r"UBSAN: "),
        (
            "lockdep",
            r"WARNING: (possible (circular|recursive|irq lock inversion)|inconsistent lock state|bad unlock balance"
            r"|suspicious RCU usage|held lock freed)|INFO: possible .*lock",
        ),
        ("RCU stall", r"(rcu: )?INFO: rcu\S* .*(stall|self-detected)"),
        ("hung task", r"INFO: task .* blocked for more than"),
        ("lockup", r"watchdog: BUG: |Watchdog detected "),
        # "BUG anon_vma (Not tainted): Poison overwritten" is how slub_debug begins.
        ("BUG", r"BUG[: ]|kernel BUG at |Kernel BUG at |list_(add|del) corruption|refcount_t: |Bad (rss-counter|page)"),
        ("Oops", r"Oops: |general protection fault|Unable to handle kernel |Internal error: "),
        ("panic", r"Kernel panic "),
        # Bugs of the CPU and a lockdown are reported this way too, and are no faults of the kernel.
        ("WARN", r"WARNING: (?!.*(lockdown|CPU bug))"),
    )
}


def kind_of(text: str) -> str | None:
    """Kind of the splat that begins with this line, or None."""
    return next((kind for kind, pattern in KINDS.items() if pattern.match(text)), None)


class Record(NamedTuple):
    """One message; ``since_boot`` is the kernel's own stamp in seconds."""

    sequence: int
    level: int
    since_boot: float
    text: str


class KernelLog:
    """What is logged after it was opened. ``why_not`` says why it cannot be read, "" where it can."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._fd = -1
        self.why_not = ""
        self.lost = 0  # records that were overwritten before they were read
        self._expected: int | None = None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.why_not = f"{path}: {error.strerror}"

    def records(self) -> Iterator[Record]:
        """The kernel's own records since the last call."""
        while self._fd >= 0:
            try:
                raw = os.read(self._fd, _RECORD_BYTES)
            except OSError as error:
                if error.errno in (
                    errno.EPIPE,
                    errno.EINTR,
                ):  # EPIPE: overwritten; the next read gives the oldest record left
                    continue
                return  # EAGAIN: nothing more
            if not raw:
                return
            record = self._record(raw)
            if record is not None:
                yield record

    def _record(self, raw: bytes) -> Record | None:
        head, _, rest = raw.partition(b";")
        try:
            priority, sequence, microseconds = (int(part) for part in head.split(b",")[:3])
        except ValueError:
            return None
        if not all(0 <= number < 1 << 63 for number in (priority, sequence, microseconds)):
            return None
        if self._expected is not None and sequence > self._expected:
            self.lost += sequence - self._expected
        self._expected = sequence + 1
        if priority >> 3:
            return None
        text = rest.split(b"\n", 1)[0].decode("utf-8", "replace")
        return Record(sequence, priority & 7, microseconds / 1e6, text)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True)
class LogLine:
    """``kind`` is set where a splat begins; ``since_boot`` is the kernel's stamp in seconds."""

    sequence: int
    level: int
    since_boot: float
    kind: str | None
    text: str


class Splats:
    """The splats in a log, each with the lines after it."""

    def __init__(self, log: KernelLog) -> None:
        self.log = log
        self._left = 0
        self._until = 0.0

    def read(self) -> list[LogLine]:
        """The lines of splats since the last call."""
        return [line for line in map(self._line, self.log.records()) if line is not None]

    def _line(self, record: Record) -> LogLine | None:
        kind = kind_of(record.text)
        if kind is not None:
            self._left, self._until = _LINES_OF_A_SPLAT, record.since_boot + _SECONDS_OF_A_SPLAT
        elif self._left <= 0 or record.since_boot > self._until:
            return None
        self._left = 0 if record.text.startswith(_END) else self._left - 1
        return LogLine(record.sequence, record.level, record.since_boot, kind, record.text)
