# SPDX-License-Identifier: MIT
"""Real terminals for tests: a pseudo-terminal with our hands on its other end, and tmux."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
import uuid
from collections.abc import Sequence

from tests.harness import LAZYOBS, ROOT

SECONDS = 60.0


class Terminal:
    """A pseudo-terminal with the program on it. ``shown`` is every byte it has written."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (80, 24),
        program: Sequence[str] = (*LAZYOBS, "top"),
        **environment: str,
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        self.shown = b""
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=ROOT, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
        )  # fmt: skip

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float) -> bool:
        """Something of what it writes within that time."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            some = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += some
        return bool(some)

    def until(self, *words: bytes) -> None:
        """Reads until all of these have been written."""
        end = time.monotonic() + SECONDS
        while not all(word in self.shown for word in words):
            assert time.monotonic() < end, self.shown[-3000:]
            assert self.process.poll() is None or self.read(0.1), (self.process.returncode, self.shown[-3000:])
            self.read(0.2)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """Its exit status; everything it has written is in ``shown``."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.shown[-3000:]
            self.read(0.1)
        while self.read(0.1):
            pass
        return self.process.returncode

    @property
    def modes_are_back(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.master, self.slave):
            try:
                os.close(fd)
            except OSError:
                pass


class Tmux:
    """A tmux server of its own with a shell in one window."""

    def __init__(self, columns: int, lines: int) -> None:
        self._name = f"lazyobs-{uuid.uuid4().hex[:8]}"
        self._tmux("new-session", "-d", "-s", "it", "-x", str(columns), "-y", str(lines), "bash --norc --noprofile")
        self.keys("PS1='$ '; TZ=UTC; export TZ; clear", "Enter")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._name, "-f", "/dev/null", *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", "-t", "it", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-t", "it", "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", "it")

    def is_sane(self) -> bool:
        """No other screen, no mouse reports; a cursor, and lines that wrap."""
        flags = "#{alternate_on}#{mouse_any_flag}#{mouse_button_flag}#{mouse_standard_flag}#{cursor_flag}#{wrap_flag}"
        return self._tmux("display", "-p", "-t", "it", flags).strip() == "000011"

    def until(self, *words: str) -> str:
        end = time.monotonic() + SECONDS
        while not all(word in (shown := self.screen()) for word in words):
            assert time.monotonic() < end, shown
            time.sleep(0.1)
        return shown

    def close(self) -> None:
        self._tmux("kill-server")
