# SPDX-License-Identifier: MIT
"""Lines of the kernel log that matter: a warning, a bug, a stall, and what follows each.

/dev/kmsg gives one record a read (Documentation/ABI/testing/dev-kmsg):
"level and facility,sequence,microseconds,flags;text", then lines of properties. Only the kernel's own
records (facility 0) count: user space may write there too.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import Any

_RECORD_BYTES = 8192
_LINES_OF_A_SPLAT = 100
_SECONDS_OF_A_SPLAT = 1.0
_END = "---[ end trace"

# kind: what its first line looks like.
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
        ("BUG", r"BUG: |kernel BUG at |Kernel BUG at |list_(add|del) corruption|refcount_t: |Bad (rss-counter|page)"),
        ("Oops", r"Oops: |general protection fault|Unable to handle kernel |Internal error: "),
        ("panic", r"Kernel panic "),
        # A kernel that reports its CPU's bugs or a lockdown this way has nothing wrong with it.
        ("WARN", r"WARNING: (?!.*(lockdown|CPU bug))"),
    )
}


@dataclass(frozen=True)
class LogLine:
    """``kind`` is set where a splat begins; ``since_boot`` is the kernel's stamp in seconds."""

    sequence: int
    level: int
    since_boot: float
    kind: str | None
    text: str


def kind_of(text: str) -> str | None:
    """What begins with that line, or None."""
    return next((kind for kind, pattern in KINDS.items() if pattern.match(text)), None)


class KernelLog:
    """What has been logged since it was opened. ``why_not`` says why nothing can be read, "" where it can."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._fd = -1
        self.why_not = ""
        self.lost = 0  # records that were overwritten before they were read
        self._expected: int | None = None
        self._left = 0
        self._until = 0.0
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.why_not = f"{path}: {error.strerror}"

    def read(self) -> list[LogLine]:
        """The lines that matter since the last call."""
        found = []
        while self._fd >= 0:
            try:
                record = os.read(self._fd, _RECORD_BYTES)
            except OSError as error:
                if error.errno in (errno.EPIPE, errno.EINTR):  # overtaken by the writers: the next is the oldest left
                    continue
                break  # EAGAIN: nothing more
            if not record:
                break
            line = self._line(record)
            if line is not None:
                found.append(line)
        return found

    def _line(self, record: bytes) -> LogLine | None:
        head, _, rest = record.partition(b";")
        try:
            priority, sequence, microseconds = (int(part) for part in head.split(b",")[:3])
        except ValueError:
            return None
        if self._expected is not None and sequence > self._expected:
            self.lost += sequence - self._expected
        self._expected = sequence + 1
        if priority >> 3:
            return None
        text = rest.split(b"\n", 1)[0].decode("utf-8", "replace")
        since_boot = microseconds / 1e6
        kind = kind_of(text)
        if kind is not None:
            self._left, self._until = _LINES_OF_A_SPLAT, since_boot + _SECONDS_OF_A_SPLAT
        elif self._left <= 0 or since_boot > self._until:
            return None
        self._left = 0 if text.startswith(_END) else self._left - 1
        return LogLine(sequence, priority & 7, since_boot, kind, text)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def log_rows(time: float, lines: list[LogLine]) -> dict[str, list[Any]]:
    """Rows of the table kernel_log, read at ``time``."""
    return {
        "time": [time] * len(lines),
        "sequence": [line.sequence for line in lines],
        "level": [line.level for line in lines],
        "since_boot": [line.since_boot for line in lines],
        "kind": [line.kind for line in lines],
        "text": [line.text for line in lines],
    }
