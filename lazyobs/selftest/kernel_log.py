# SPDX-License-Identifier: MIT
"""What the kernel has logged since a moment, through /dev/kmsg."""

from __future__ import annotations

import errno
import os
import re

_RECORD = 8192
# A line that says the kernel itself found something wrong.
_COMPLAINT = re.compile(
    r"^(WARNING: |BUG: |Oops: |general protection fault|kernel BUG at |KASAN: |UBSAN: |INFO: task .* blocked"
    r"|INFO: rcu|rcu: INFO: |watchdog: |list_(add|del) corruption|refcount_t: |.*Bad (rss-counter|page) |Bad page"
    r"|.*(circular|recursive) locking|.*inconsistent lock state|.*suspicious RCU usage)"
)


class KernelLog:
    """``why_not`` says why the log cannot be read, "" where it can."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        self._fd = -1
        self.why_not = ""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            self.why_not = f"{path}: {error.strerror}"

    def lines(self) -> list[str]:
        """What has come since the last call."""
        found: list[str] = []
        while self._fd >= 0:
            try:
                record = os.read(self._fd, _RECORD)
            except OSError as error:
                if error.errno == errno.EPIPE:  # overtaken: the oldest records are lost
                    continue
                break
            if not record:
                break
            found.append(_text(record))
        return found

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _text(record: bytes) -> str:
    """The message of a record "priority,number,microseconds,flags;message\\n key=value"."""
    head, _, message = record.decode("utf-8", "replace").partition(";")
    fields = head.split(",")
    seconds = int(fields[2]) / 1e6 if len(fields) > 2 and fields[2].isdigit() else 0.0
    return f"[{seconds:12.6f}] {message.splitlines()[0] if message else ''}"


def complaints(lines: list[str]) -> list[str]:
    """Those of ``lines`` that are a warning, an oops or worse."""
    return [line for line in lines if _COMPLAINT.match(line.partition("] ")[2])]
