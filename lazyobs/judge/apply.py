# SPDX-License-Identifier: MIT
"""A series applied to a source tree, in memory: nothing is written, and no program is run.

As git apply does it: a hunk may have moved, but each line of it has to be there (no fuzz).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lazyobs.judge.diff import FileChange, Hunk
from lazyobs.judge.series import Patch, Series

_MOST_BYTES = 32 << 20  # of one file: the longest of a kernel are of a few MB


@dataclass(frozen=True)
class Failure:
    """Where a series does not apply. ``hunk``: its number, 0 for the file as a whole; ``line``: where it was to be."""

    patch: str
    file: str
    hunk: int
    line: int
    why: str

    def __str__(self) -> str:
        where = f"{self.file} hunk {self.hunk} (line {self.line})" if self.hunk else self.file
        return f"{where}: {self.why}"


@dataclass
class Applied:
    """``files``: what each file that the series touches becomes, None for one that goes; ``originals``: what it was.

    ``executable``: the modes that it changes. ``failures``: of the first patch that does not apply, [] where all do.
    """

    files: dict[str, bytes | None] = field(default_factory=dict)
    originals: dict[str, bytes | None] = field(default_factory=dict)
    executable: dict[str, bool] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    patches: int = 0  # that apply

    @property
    def fits(self) -> bool:
        return not self.failures


class NotPlain(Exception):
    """A file of the base that no patch may touch: the message says why."""


class Files(Protocol):
    """A source tree: the bytes of a file, None where there is none. NotPlain where it is no file of the tree's own."""

    def read(self, path: str) -> bytes | None: ...


class Folder:
    """The files of a folder. Links are not followed: they may lead out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        parts = path.split("/")
        descriptors = []
        try:
            descriptors.append(os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for part in parts[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptors.append(os.open(part, flags, dir_fd=descriptors[-1]))
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptors.append(os.open(parts[-1], flags, dir_fd=descriptors[-1]))
            return self._content(descriptors[-1])
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotPlain("it is, or lies behind, a symbolic link") from None
            raise NotPlain(f"cannot be read ({error.strerror})") from None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _content(self, descriptor: int) -> bytes:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise NotPlain("is no regular file")
        if state.st_size > _MOST_BYTES:
            raise NotPlain(f"has more than {_MOST_BYTES >> 20} MiB")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES + 1)


def apply(series: Series, base: Files, upto: int | None = None) -> Applied:
    """The series on the base, or its first ``upto`` patches. It ends at the first patch that does not apply."""
    done = Applied()
    for patch in series.patches[:upto]:
        _apply_patch(patch, base, done)
        if done.failures:
            break
        done.patches += 1
    return done


def _apply_patch(patch: Patch, base: Files, done: Applied) -> None:
    """All of the patch or, with its failures, nothing of it."""
    made: dict[str, bytes | None] = {}
    modes: dict[str, bool] = {}
    failures: list[Failure] = []

    def current(path: str) -> bytes | None:
        if path in made:
            return made[path]
        if path in done.files:
            return done.files[path]
        if path not in done.originals:
            done.originals[path] = base.read(path)
        return done.originals[path]

    for change in patch.changes:
        try:
            found = _changed(patch.name, change, current)
        except NotPlain as error:
            failures.append(Failure(patch.name, change.path, 0, 0, str(error)))
            continue
        except _DoesNotApply as error:
            failures += error.failures
            continue
        made.update(found)
        if change.executable is not None and change.new:
            modes[change.new] = change.executable
    if failures:
        done.failures = failures
        return
    done.files.update(made)
    done.executable.update(modes)


class _DoesNotApply(Exception):
    def __init__(self, failures: list[Failure]) -> None:
        super().__init__(failures)
        self.failures = failures


def _changed(patch: str, change: FileChange, current: _Current) -> dict[str, bytes | None]:
    """What the change makes of its files."""
    old = current(change.old) if change.old is not None else None
    if change.old is not None and old is None:
        raise _DoesNotApply([Failure(patch, change.old, 0, 0, "there is no such file")])
    if change.new is not None and change.new != change.old and current(change.new) is not None:
        raise _DoesNotApply([Failure(patch, change.new, 0, 0, "is there already")])
    after = _lines_after(patch, change, _split(old or b""))
    made: dict[str, bytes | None] = {}
    if change.old is not None and change.old != change.new and not change.copies:
        made[change.old] = None
    if change.new is None:
        if after:
            raise _DoesNotApply([Failure(patch, change.path, 0, 0, "goes, but has lines that the patch does not")])
    else:
        made[change.new] = b"".join(after)
    return made


class _Current(Protocol):
    def __call__(self, path: str) -> bytes | None: ...


def _split(content: bytes) -> list[bytes]:
    """Its lines with their ends, which are line feeds alone."""
    lines = content.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _lines_after(patch: str, change: FileChange, lines: list[bytes]) -> list[bytes]:
    result = list(lines)
    done = [False] * len(lines)  # what a hunk has left there: the next one finds its lines elsewhere
    failures = []
    for hunk in change.hunks:
        at = _place(result, done, hunk)
        if at is None:
            failures.append(Failure(patch, change.path, hunk.number, hunk.line, "its lines are not there"))
            continue
        result[at : at + len(hunk.old)] = hunk.new
        done[at : at + len(hunk.old)] = [True] * len(hunk.new)
    if failures:
        raise _DoesNotApply(failures)
    return result


def _place(lines: Sequence[bytes], done: Sequence[bool], hunk: Hunk) -> int | None:
    """Where the hunk's lines are, next to where they should be in the file as the hunks before have left it (find_pos()
    of git's apply.c); None where they are not."""
    wanted = list(hunk.old)
    first, last = 0, len(lines) - len(wanted)
    # A hunk of the first line begins where the file does; one without context behind it ends where the file ends.
    if hunk.line <= 1:
        last = min(last, 0)
    if not hunk.behind:
        first = max(len(lines) - len(wanted), 0)
    for at in _nearest(first, last, hunk.place - 1):
        if (
            (not wanted or lines[at] == wanted[0])
            and list(lines[at : at + len(wanted)]) == wanted
            and not any(done[at : at + len(wanted)])
        ):
            return at
    return None


def _nearest(first: int, last: int, wanted: int) -> Iterator[int]:
    """All from ``first`` to ``last``, the nearest first and the one behind before the one in front."""
    behind = min(max(wanted, first), last + 1)
    front = behind - 1
    while behind <= last or front >= first:
        if behind <= last and (front < first or behind - wanted <= wanted - front):
            yield behind
            behind += 1
        else:
            yield front
            front -= 1
