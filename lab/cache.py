# SPDX-License-Identifier: MIT
"""The lab's cache of what takes long to make: source trees, objects, finished images.

``images/NAME-HASH-VERSION/``, found by the hash, is complete or absent (it is renamed into place). Everything may be
removed at any time, and is then made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Union

LAB = Path(__file__).resolve().parent
#: A checkout; else an installation, which has neither its Makefile nor its setup.cfg.
IS_CHECKOUT = (LAB.parent / "setup.cfg").is_file()


def way_to_build(name: str) -> str:
    """What makes the image of a kernel."""
    return f"run: make lab KERNEL={name}" if IS_CHECKOUT else "give --build, which builds it first"


def root() -> Path:
    """The cache folder: ``$LAZYOBS_LAB_CACHE``, else ``lazyobs/lab`` in the user's cache."""
    own = os.environ.get("LAZYOBS_LAB_CACHE")
    if own:
        return Path(own).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache).absolute() / "lazyobs" / "lab"


def content_hash(parts: Iterable[Union[str, bytes, Path]]) -> str:
    """Twelve hex digits that change when a text, or a file given as a path, changes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.name.encode() + b"\0" + part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds a lock against all other processes that use this cache."""
    path = root() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """``target``, a folder, made by ``make(folder)`` when it is not there yet."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        making.chmod(0o755)
        make(making)
        try:
            making.rename(target)
        except OSError:
            if not target.is_dir():  # else another process made the same content first
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target
