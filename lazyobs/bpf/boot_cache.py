# SPDX-License-Identifier: MIT
"""What a start found out, kept for the running boot: compiled images and plans.

It lies in a directory that only root may enter, on a file system that a reboot clears (what is kept has
addresses of this boot in it). Anything not owned by us, or open to others, is not trusted and not used;
whatever cannot be kept or read is found out again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile

DIRECTORY = "/run/lazyobs"
_KEPT = 16


def key(kind: str, *parts: str) -> str:
    """File name for something that depends on ``parts`` and on this boot."""
    digest = hashlib.sha256()
    for part in (_boot_id(), *parts):
        digest.update(f"{len(part)}:{part}".encode())
    return f"{digest.hexdigest()}.{kind}"


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def load(name: str, directory: str = DIRECTORY) -> bytes | None:
    """What was kept under ``name``; None where there is nothing that can be trusted."""
    try:
        if not _is_ours(os.stat(directory, follow_symlinks=False)):
            return None
        fd = os.open(os.path.join(directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        return file.read() if _is_ours(os.fstat(fd)) else None


def keep(name: str, content: bytes, directory: str = DIRECTORY) -> bool:
    """Stores ``content``, the oldest entries going. False where it cannot be kept."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not _is_ours(os.stat(directory, follow_symlinks=False)):
            return False
        fd, path = tempfile.mkstemp(dir=directory)
        with open(fd, "wb") as file:
            file.write(content)
        os.replace(path, os.path.join(directory, name))
        _drop_oldest(directory)
    except OSError:
        return False
    return True


def any_kept(kind: str, directory: str = DIRECTORY) -> bool:
    """True when there is something of that kind."""
    try:
        return any(entry.endswith("." + kind) for entry in os.listdir(directory))
    except OSError:
        return False


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _drop_oldest(directory: str) -> None:
    entries = [entry for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False)]
    for entry in sorted(entries, key=lambda entry: -entry.stat().st_mtime)[_KEPT:]:
        os.unlink(entry.path)
