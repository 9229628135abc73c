# SPDX-License-Identifier: MIT
"""Compiled images and plans, kept on disk for later starts, also after a reboot.

Root loads these files into the kernel, so no other user may write them: an entry that another user owns or can write,
or that is damaged, is ignored and reported. What cannot be kept or used is made again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from lazyobs.unix.sha256 import sha256

# The second is for a read-only root file system.
DIRECTORIES = ("/var/cache/lazyobs", "/run/lazyobs")
_MOST = 48  # entries: a plan and an image for each command and set of options, of a few kernels
_MOST_BYTES = 16 << 20  # of an entry: an image has 0.2 MB
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _Untrusted(Exception):
    """The text says why."""


def places() -> tuple[str, ...]:
    """Where entries are kept: in the directory that systemd gives a service of another user than root (CacheDirectory=),
    or else in DIRECTORIES, which are root's."""
    given = os.environ.get("CACHE_DIRECTORY", "")
    return (given, *DIRECTORIES) if given.startswith("/") and os.geteuid() != 0 else DIRECTORIES


def key(kind: str, *parts: str) -> str:
    """File name of an entry of that kind that depends on ``parts`` and on nothing else."""
    digest = sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return f"{digest.hexdigest()}.{kind}"


class Cache:
    """``ignored``: entries that were found and not used, each with the reason."""

    def __init__(self, directories: tuple[str, ...] | None = None) -> None:
        """``directories``: ``places()``."""
        self._directories = places() if directories is None else directories
        self.ignored: list[str] = []

    def load(self, name: str) -> bytes | None:
        """The content kept under ``name``; None where there is none that can be trusted."""
        for path in self._directories:
            try:
                with _directory(path) as directory:
                    return _content(directory, name)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.ignored.append(f"{path}/{name}: {error.strerror}")
            except _Untrusted as why:
                self.ignored.append(f"{path}/{name}: {why}")
        return None

    def keep(self, name: str, content: bytes) -> bool:
        """Stores ``content`` in the first directory that takes it. False where none does."""
        return any(_keep(path, name, content) for path in self._directories)

    def refuse(self, name: str, why: object) -> None:
        """Notes why the entry loaded under ``name`` cannot be used."""
        self.ignored.append(f"{name}: {why}")


@contextlib.contextmanager
def _directory(path: str) -> Iterator[int]:
    """A descriptor of the directory: entries are opened relative to it, so the directory used is the one checked."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
    try:
        _must_be_ours(fd, "the directory")
        yield fd
    finally:
        os.close(fd)


def _must_be_ours(fd: int, what: str) -> None:
    status = os.fstat(fd)
    if status.st_uid != os.geteuid():
        raise _Untrusted(f"{what} belongs to user {status.st_uid}")
    if status.st_mode & _OTHERS:
        raise _Untrusted(f"{what} is open to other users (mode {stat.S_IMODE(status.st_mode):o})")


def _content(directory: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _OPEN, dir_fd=directory)  # a FIFO would wait for a writer
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _Untrusted("no regular file")
        _must_be_ours(fd, "the file")
        with open(fd, "rb", closefd=False) as file:
            digest, content = file.read(sha256().digest_size), file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise _Untrusted(f"larger than {_MOST_BYTES >> 20} MiB")
        if sha256(content).digest() != digest:
            raise _Untrusted("its content is not what was written")
        with contextlib.suppress(OSError):
            os.utime(fd)  # entries in use stay; see _drop_unused()
        return content
    finally:
        os.close(fd)


def _keep(path: str, name: str, content: bytes) -> bool:
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        with _directory(path) as directory:
            # Written under another name, then renamed: a writer that is killed leaves no partial entry.
            part = f"{os.urandom(8).hex()}.part"
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600, dir_fd=directory)
            try:
                with open(fd, "wb") as file:
                    file.write(sha256(content).digest() + content)
                os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:  # the disk is full
                os.unlink(part, dir_fd=directory)
                raise
            _drop_unused(directory)
    except (OSError, _Untrusted):
        return False
    return True


def _drop_unused(directory: int) -> None:
    """Removes all but the _MOST entries used last, and so the parts of killed writers."""
    used = {name: os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime for name in os.listdir(directory)}
    for name in sorted(used, key=lambda name: -used[name])[_MOST:]:
        os.unlink(name, dir_fd=directory)
