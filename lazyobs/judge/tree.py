# SPDX-License-Identifier: MIT
"""The copy of a base's source that judge builds in: made once, with the series of each arm put in and taken out in turn.

Only files whose contents change are written, so that the next build compiles as little as possible.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lazyobs.errors import NotSupported
from lazyobs.judge.apply import Applied, Folder
from lazyobs.judge.base import Base
from lazyobs.judge.confined import Builder, make_folder
from lazyobs.text import printable

_TOUCHED = "touched.json"


class Tree:
    """``source``: the tree; ``objects(flavour)``: where a flavour of it is built."""

    def __init__(self, cache: Path, base: Base) -> None:
        self.folder = cache / "base" / base.key
        self.source = self.folder / "source"

    def objects(self, flavour: str) -> Path:
        return self.folder / flavour

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Against another judge that builds in it."""
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self, path: str) -> bytes | None:
        """The file as the base has it, whatever is put in now (apply.Files)."""
        touched = self._touched()
        if path in touched:
            return (self.folder / "originals" / path).read_bytes() if touched[path] else None
        return Folder(self.source).read(path)

    def _touched(self) -> dict[str, bool]:
        """{file that an arm has changed so far: whether the base has it}."""
        record = self.folder / _TOUCHED
        found: dict[str, bool] = json.loads(record.read_text()) if record.exists() else {}
        return found

    def put(self, applied: Applied) -> None:
        """Makes the tree that of the base plus exactly this series. OSError where it cannot be written."""
        kept = self.folder / "originals"
        touched = self._touched()
        # What is touched is written down before it is.
        for path in applied.files:
            if path in touched:
                continue
            original = applied.originals.get(path)
            if original is not None:
                _write(kept / path, original)
            touched[path] = original is not None
        _write(self.folder / _TOUCHED, json.dumps(touched, indent=1).encode())
        for path, had in touched.items():
            content = applied.files[path] if path in applied.files else (kept / path).read_bytes() if had else None
            _set(self.source / path, content, applied.executable.get(path))


def _set(file: Path, content: bytes | None, executable: bool | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    if not file.exists() or file.read_bytes() != content:
        _write(file, content)
    if executable is not None:
        file.chmod(0o755 if executable else 0o644)


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def prepare(cache: Path, base: Base, who: Builder) -> Tree:
    """The base's tree, unpacked where it is not there yet: read by this user, and written by ``who``.

    Called before confine(). NotSupported where it cannot be unpacked.
    """
    tree = Tree(cache, base)
    for folder in (cache, cache / "base", tree.folder):
        make_folder(folder, who)
    making = tree.folder / "making"
    user = {"user": who.uid, "group": who.gid, "extra_groups": []} if who.changes else {}
    if tree.source.is_dir():
        return tree
    for command in (["rm", "-rf", str(making)], ["mkdir", str(making)]):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
    try:
        _pour(list(base.feed), making, user, base)
        over, absent = base.overlay()
        if over:
            _pour(["tar", "-C", over, "-cf", "-", "."], making, user, base)
        for name in absent:
            subprocess.run(["rm", "-f", str(making / name)], check=True, **user)  # type: ignore[call-overload]
        subprocess.run(["mv", str(making), str(tree.source)], check=True, **user)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return tree


def _pour(feed: list[str], into: Path, user: dict[str, object], base: Base) -> None:
    reader = subprocess.Popen(feed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    unpack = ["tar", "-C", str(into), "--no-same-owner", "-xf", "-"]
    writer = subprocess.Popen(unpack, stdin=reader.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **user)  # type: ignore[call-overload]
    assert reader.stdout is not None
    reader.stdout.close()
    try:
        said = writer.communicate()[1].decode("utf-8", "replace").strip().splitlines()
        status = reader.wait()
    finally:
        for process in (reader, writer):
            if process.poll() is None:
                process.kill()
                process.wait()
    if writer.returncode or status:
        why = printable(said[0]) if said else f"{feed[0]} ended with status {status}"
        raise NotSupported(
            f"the source of {base.name}", f"cannot be copied to {into.parent}: {why}", _room(into.parent)
        )


def _room(folder: Path) -> str:
    """What to do where something could not be written."""
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    return f"make room ({free >> 20} MiB are free there), or name another folder with --cache"
