# SPDX-License-Identifier: MIT
"""What the screen remembers per user: columns, sort, delay, grouping, colours.

It lies in ``$XDG_CONFIG_HOME/lazyobs/top.toml`` (``~/.config`` otherwise) of the person at the terminal: under sudo
that is the user behind it. The program begins as root and goes on as nobody; neither may write into a person's home,
where links and mounts are the person's to place. So a small process is split off first of all, becomes that user for
good, and does all the reading and writing (``SettingsWriter``); the kernel's own checks hold for it. It is split off before
there is any BPF descriptor, because the user may trace it, and only ever receives the new text of that one file.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lazyobs.model import LEAST_INTERVAL, MOST_INTERVAL
from lazyobs.screen import rows
from lazyobs.screen.terminal import COLOURS
from lazyobs.unix import privileges
from lazyobs.unix.fork import fork
from lazyobs.unix.sockets import exactly
from lazyobs.views import columns

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1 << 16
_LENGTH = struct.Struct("=I")
AUTO = "auto"
PROCESS_COLUMNS = (
    "pid", "user", "savable_bytes", "saved_bytes", "vmas_private", "vmas_lazy", "vmas_shared", "vmas_anon", "vmas",
    "prepares_rate", "forks_rate", "promotions_rate", "rmap_walks_rate", "prepares", "chain_allocs", "cgroup", "comm",
)  # fmt: skip
FORK_COLUMNS = (
    "pid", "user", "forks_rate", "forks", "fork_chains_rate", "fork_chains", "promotions_rate", "promotions",
    "anon_vma_allocs", "chain_allocs", "vmas_shared", "cgroup", "comm",
)  # fmt: skip


@dataclass
class Settings:
    """``delay`` and ``sort`` are None where they were never chosen; ``colours`` is "auto" or one of palette.COLOURS."""

    columns: list[str] = field(default_factory=lambda: list(PROCESS_COLUMNS))
    fork_columns: list[str] = field(default_factory=lambda: list(FORK_COLUMNS))
    sort: str | None = None
    fork_sort: str = "forks_rate"
    reverse: bool = False
    group: str = rows.FLAT
    delay: float | None = None
    colours: str = AUTO

    def to_toml(self) -> str:
        lines = ["# lazyobs top: written when it ends, if something was changed\n"]
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                lines.append(f"{one.name} = {_toml(value)}\n")
        return "".join(lines)

    @classmethod
    def from_toml(cls, text: str) -> Settings:
        """What of it makes sense; the rest is as if it was not there. ValueError where it is no TOML."""
        document: dict[str, Any] = tomllib.loads(text)
        made = cls()
        for one in fields(cls):
            if one.name in document and _fits(one.name, document[one.name]):
                setattr(made, one.name, document[one.name])
        return made


def _fits(name: str, value: Any) -> bool:
    if name in ("columns", "fork_columns"):
        return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one in columns.COLUMNS for one in value)  # fmt: skip
    if name in ("sort", "fork_sort"):
        return isinstance(value, str) and value in columns.COLUMNS
    if name == "group":
        return value in rows.GROUPINGS
    if name == "colours":
        return value in (AUTO, *COLOURS)
    if name == "delay":
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and LEAST_INTERVAL <= value <= MOST_INTERVAL
        )
    return isinstance(value, bool)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)  # names of ours: nothing to escape


@dataclass(frozen=True)
class Person:
    """Whose file it is."""

    uid: int
    gid: int
    home: str
    name: str
    xdg: str | None  # $XDG_CONFIG_HOME, where it is this person's own

    @property
    def path(self) -> Path:
        base = self.xdg if self.xdg and os.path.isabs(self.xdg) else os.path.join(self.home, ".config")
        return Path(base) / "lazyobs" / "top.toml"


def person(environment: Mapping[str, str], uid: int) -> Person | None:
    """The user at the terminal: SUDO_UID's where root runs for one; None where the user has no home."""
    behind = environment.get("SUDO_UID", "")
    is_sudo = uid == 0 and behind.isdigit() and int(behind) != 0
    try:
        entry = pwd.getpwuid(int(behind) if is_sudo else uid)
    except (KeyError, OverflowError):
        return None
    # A variable that came through sudo is root's or the caller's: nobody knows whose directory it names.
    return Person(
        entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_name, None if is_sudo else environment.get("XDG_CONFIG_HOME")
    )


class SettingsWriter:
    """The process that reads and writes a person's file, as that person. ``text`` is what it found, or None."""

    def __init__(self, whose: Person) -> None:
        """OSError where it cannot be begun: then nothing is remembered."""
        self._sock, theirs = socket.socketpair()
        self._pid = fork()
        if self._pid == 0:
            try:
                self._sock.close()
                _keep(whose, theirs)
            except BaseException:  # whatever it is, the other process only misses its settings
                os._exit(1)
            os._exit(0)
        theirs.close()
        self.text = _receive(self._sock)

    def write(self, text: str) -> bool:
        """Whether it has been written."""
        try:
            _send(self._sock, text.encode())
            return self._sock.recv(1) == b"+"
        except OSError:
            return False

    def close(self) -> None:
        self._sock.close()
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass


def _keep(whose: Person, sock: socket.socket) -> None:
    """The life of the settings_writer: become the person, send the file, write what comes, end with the other side."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # it ends with the program, not before
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    if os.geteuid() == 0 and whose.uid != 0:
        os.initgroups(whose.name, whose.gid)
        os.setresgid(whose.gid, whose.gid, whose.gid)
        os.setresuid(whose.uid, whose.uid, whose.uid)
    privileges.no_new_privileges()
    os.umask(0o077)
    os.chdir("/")
    found = _read(whose.path)
    _send(sock, found.encode("utf-8", "replace") if found is not None else b"")
    while (text := _receive(sock)) is not None:
        sock.sendall(b"+" if _write(whose.path, text) else b"-")


def _read(path: Path) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="replace") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return None


def _write(path: Path, text: str) -> bool:
    """All or nothing, and only where the place is the writer's own: root's environment may name a user's home."""
    there = next(one for one in path.parents if one.exists())
    if there.stat().st_uid != os.geteuid():
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        return False
    return True


def _send(sock: socket.socket, data: bytes) -> None:
    sock.sendall(_LENGTH.pack(len(data)) + data)


def _receive(sock: socket.socket) -> str | None:
    """A text; None at the end of the other side, and for an empty one."""
    try:
        length = _LENGTH.unpack(exactly(sock, _LENGTH.size))[0]
        return exactly(sock, length).decode("utf-8", "replace") if 0 < length <= MOST_BYTES else None
    except (EOFError, OSError):
        return None
