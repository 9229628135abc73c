# SPDX-License-Identifier: MIT
"""The screen's settings, kept per user: columns, sort, delay, grouping, colours.

The file is ``$XDG_CONFIG_HOME/lazyobs/top.toml`` (default ``~/.config``) of the person at the terminal; under sudo, of
the user who called sudo. The program starts as root and continues as the user nobody. Neither should open files in a
home directory, where its owner can place links and mounts. So a small child process irrevocably becomes that user and
does all reading and writing (``SettingsWriter``); the kernel then checks its access as the user's. It is forked before
any BPF descriptor exists, because the user may trace it, and receives only the new text of that one file.
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
    "pid", "user", "savable_bytes", "chains_held", "chains_held_per_minute", "saved_bytes", "vmas_private", "vmas_lazy", "vmas_shared", "vmas_anon", "vmas",
    "prepares_rate", "forks_rate", "promotions_rate", "rmap_walks_rate", "prepares", "chain_allocs", "cgroup", "comm",
)  # fmt: skip
FORK_COLUMNS = (
    "pid", "user", "forks_rate", "forks", "fork_chains_rate", "fork_chains", "promotions_rate", "promotions",
    "anon_vma_allocs", "chain_allocs", "vmas_shared", "cgroup", "comm",
)  # fmt: skip


@dataclass
class Settings:
    """``delay`` (seconds) and ``sort`` are None until chosen; ``colours`` is "auto" or one of terminal.COLOURS."""

    columns: list[str] = field(default_factory=lambda: list(PROCESS_COLUMNS))
    fork_columns: list[str] = field(default_factory=lambda: list(FORK_COLUMNS))
    sort: str | None = None
    fork_sort: str = "forks_rate"
    reverse: bool = False
    group: str = rows.FLAT
    delay: float | None = None
    colours: str = AUTO

    def to_toml(self) -> str:
        lines = ["# lazyobs top: written at exit if a setting has changed\n"]
        for setting in fields(self):
            value = getattr(self, setting.name)
            if value is not None:
                lines.append(f"{setting.name} = {_toml(value)}\n")
        return "".join(lines)

    @classmethod
    def from_toml(cls, text: str) -> Settings:
        """Unknown settings and invalid values are ignored. ValueError if the text is not TOML."""
        try:
            document: dict[str, Any] = tomllib.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        settings = cls()
        for setting in fields(cls):
            if setting.name in document and _is_valid(setting.name, document[setting.name]):
                setattr(settings, setting.name, document[setting.name])
        return settings


def _is_valid(name: str, value: Any) -> bool:
    if name in ("columns", "fork_columns"):
        return isinstance(value, list) and bool(value) and all(isinstance(column, str) and column in columns.COLUMNS for column in value)  # fmt: skip
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
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)  # only names that we chose: nothing to escape


@dataclass(frozen=True)
class Person:
    """The owner of the settings file."""

    uid: int
    gid: int
    home: str
    name: str
    xdg: str | None  # $XDG_CONFIG_HOME, if it is from this person's own environment

    @property
    def path(self) -> Path:
        base = self.xdg if self.xdg and os.path.isabs(self.xdg) else os.path.join(self.home, ".config")
        return Path(base) / "lazyobs" / "top.toml"


def person(environment: Mapping[str, str], uid: int) -> Person | None:
    """The user at the terminal; for root under sudo, the user of SUDO_UID. None if there is no such user."""
    caller = environment.get("SUDO_UID", "")
    is_sudo = uid == 0 and caller.isdigit() and int(caller) != 0
    try:
        entry = pwd.getpwuid(int(caller) if is_sudo else uid)
    except (KeyError, OverflowError):
        return None
    # Under sudo the variable may be root's or the caller's: it is not clear whose directory it names.
    return Person(
        entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_name, None if is_sudo else environment.get("XDG_CONFIG_HOME")
    )


class SettingsWriter:
    """Reads and writes the settings file in a child process that runs as its owner.

    ``text`` is the content of the file; None if it is missing, empty or unreadable.
    """

    def __init__(self, owner: Person) -> None:
        """OSError if the process cannot be started."""
        self._sock, child_sock = socket.socketpair()
        self._pid = fork()
        if self._pid == 0:
            try:
                self._sock.close()
                _run_child(owner, child_sock)
            except BaseException:  # the parent then does without settings
                os._exit(1)
            os._exit(0)
        child_sock.close()
        self.text = _receive(self._sock)

    def write(self, text: str) -> bool:
        """Replaces the file. False if it could not be written."""
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


def _run_child(owner: Person, sock: socket.socket) -> None:
    """Becomes the owner, sends the file, writes each text it receives, and returns when the parent closes."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # it ends when the program does, not before
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if os.geteuid() == 0 and owner.uid != 0:
        os.initgroups(owner.name, owner.gid)
        os.setresgid(owner.gid, owner.gid, owner.gid)
        os.setresuid(owner.uid, owner.uid, owner.uid)
    privileges.no_new_privileges()
    os.umask(0o077)
    os.chdir("/")
    content = _read(owner.path)
    _send(sock, content.encode("utf-8", "replace") if content is not None else b"")
    while (text := _receive(sock)) is not None:
        sock.sendall(b"+" if _write(owner.path, text) else b"-")


def _read(path: Path) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="replace") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return None


def _write(path: Path, text: str) -> bool:
    """Replaces the file atomically. False in a directory that the writer does not own: root's environment may name a
    user's home."""
    nearest = next(parent for parent in path.parents if parent.exists())
    if nearest.stat().st_uid != os.geteuid():
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
    """None for an empty text, and when the other side has closed."""
    try:
        length = _LENGTH.unpack(exactly(sock, _LENGTH.size))[0]
        return exactly(sock, length).decode("utf-8", "replace") if 0 < length <= MOST_BYTES else None
    except (EOFError, OSError):
        return None
