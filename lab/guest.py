# SPDX-License-Identifier: MIT
"""One run of a virtual machine: its console, and the frames exchanged with its init.

The head of ``guest/init.c`` describes the frames.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from lazyobs.unix.fork import die_with_parent

from .errors import LabError
from .qemu import HARDWARE, Machine, command_line
from .splats import fatal, is_stale_breakpoint

_CHUNK = 16384  # of standard input; init.c has room for this much
#: Bytes of its console that are kept: a kernel may complain for ever.
_MOST_CONSOLE = 64 << 20
#: How long a guest may take to power off once it has sent the exit status.
_POWER_OFF_SECONDS = 20.0


@dataclass(frozen=True)
class Limits:
    seconds: float = 300.0
    console: str | None = None
    stdin: bool = False


class Guest:
    """Runs one command; afterwards ``log`` is the console and ``failure`` why there is no status."""

    def __init__(
        self, machine: Machine, limits: Limits, stdout: BinaryIO | None = None, stderr: BinaryIO | None = None
    ) -> None:
        self.failure = ""
        self.timed_out = False
        self.up = False
        self._machine = machine
        self._limits = limits
        self._stdout = stdout or sys.stdout.buffer
        self._stderr = stderr or sys.stderr.buffer
        self._console = bytearray()
        self._frames = bytearray()
        self._status: int | None = None
        self._deadline = 0.0

    @property
    def log(self) -> str:
        return self._console.decode(errors="replace").replace("\r", "")

    @property
    def is_spoilt(self) -> bool:
        """Whether the emulator, not the kernel, is what failed: the run says nothing, and is to be repeated."""
        return self._machine.accel == "tcg" and not self._machine.icount and is_stale_breakpoint(self.log)

    def run(self, cwd: str, command: Sequence[str], environment: list[str]) -> int | None:
        """The command's exit status, 124 on time-out, None when the machine failed."""
        self._request = "\0".join([cwd, str(len(command)), *command, *environment, ""]).encode()
        program = HARDWARE[self._machine.arch].program
        if not shutil.which(program):
            raise LabError(f"{program} is not installed; run: make lab KERNEL=NAME, which installs it")
        self._agent, agent = socket.socketpair()
        self._console_end, console = socket.socketpair()
        arguments = command_line(self._machine, agent.fileno(), console.fileno())
        qemu = subprocess.Popen(
            arguments,
            pass_fds=(agent.fileno(), console.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
        )
        agent.close()
        console.close()
        try:
            self._exchange(qemu)
        finally:
            if qemu.poll() is None:
                qemu.kill()
            output = qemu.communicate()[0].decode(errors="replace")
            self._agent.close()
            self._console_end.close()
        if self._status is None and not self.failure:
            self.failure = self._why_dead(output)
        return None if self.failure else self._status

    def _why_dead(self, output: str) -> str:
        reason = fatal(self.log)
        if reason:
            return ("died during the command: " if self.up else "did not come up: ") + reason
        if output.strip():
            return "QEMU ended: " + output.strip().splitlines()[-1]
        return "powered off during the command" if self.up else "did not come up"

    def _exchange(self, qemu: subprocess.Popen[bytes]) -> None:
        self._deadline = time.monotonic() + self._limits.seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._agent, selectors.EVENT_READ, self._read_agent)
            waiting.register(self._console_end, selectors.EVENT_READ, self._read_console)
            self._waiting = waiting
            # the sockets close when QEMU ends: then there is nothing left to read
            while waiting.get_map() and self._is_connected():
                left = self._deadline - time.monotonic()
                if left <= 0:
                    self._give_up()
                    return
                for key, _ in waiting.select(left):
                    key.data()

    def _is_connected(self) -> bool:
        return any(key.fileobj in (self._agent, self._console_end) for key in self._waiting.get_map().values())

    def _give_up(self) -> None:
        if self._status is not None:
            return  # the command is done; only the guest does not power off
        if self.up:
            self.timed_out, self._status = True, 124
        else:
            self.failure = f"did not come up in {self._limits.seconds:g} s (--timeout)"

    def _receive(self, end: socket.socket) -> bytes:
        try:
            data = end.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._waiting.unregister(end)
        return data

    def _read_console(self) -> None:
        data = self._receive(self._console_end)
        if len(self._console) < _MOST_CONSOLE:
            self._console += data

    def _read_agent(self) -> None:
        self._frames += self._receive(self._agent)
        while len(self._frames) >= 5:
            kind, length = chr(self._frames[0]), struct.unpack_from("<I", self._frames, 1)[0]
            if len(self._frames) < 5 + length:
                return
            payload = bytes(self._frames[5 : 5 + length])
            del self._frames[: 5 + length]
            self._act(kind, payload)

    def _act(self, kind: str, payload: bytes) -> None:
        if kind == "U":
            self.up = True
            self._send("R", self._request)
            if self._limits.stdin:
                self._waiting.register(sys.stdin.fileno(), selectors.EVENT_READ, self._forward_stdin)
            else:
                self._send("I", b"")
        elif kind == "O":
            self._write_out(self._stdout, payload)
        elif kind == "E":
            self._write_out(self._stderr, payload)
        elif kind == "X":
            self._status = int(payload)
            self._deadline = time.monotonic() + _POWER_OFF_SECONDS
        elif kind == "F":
            self.failure = "init output: " + payload.decode(errors="replace")

    def _write_out(self, stream: BinaryIO, payload: bytes) -> None:
        try:
            stream.write(payload)
            stream.flush()
        except BrokenPipeError:
            os._exit(141)  # as a program that SIGPIPE kills; QEMU ends with this process

    def _send(self, kind: str, payload: bytes) -> None:
        try:
            self._agent.sendall(struct.pack("<cI", kind.encode(), len(payload)) + payload)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended; reading finds out why

    def _forward_stdin(self) -> None:
        data = os.read(sys.stdin.fileno(), _CHUNK)
        if not data:
            self._waiting.unregister(sys.stdin.fileno())
        self._send("I", data)
