# SPDX-License-Identifier: MIT
"""Git's unified diffs, read strictly and in memory.

What a patch says is not trusted: a name outside of the tree, a symbolic link, a submodule or binary data is refused
before anything is written anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_FILES = 5000
_MOST_LETTERS = 1024  # of a path
_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
# A mailer or a hand has damaged it, or it has numbers that no file has.
_ODD_HUNK = re.compile(rb"[ \t\r]{0,2}@@")  # not that of an indented message, as git log has it
_HASHES = re.compile(rb"([0-9a-f]{7,64})\.\.([0-9a-f]{7,64})")
_GIT = b"diff --git "
_EMPTY = b"e69de29"  # the beginning of the hash of an empty file
_NOWHERE = "/dev/null"
_MODES = {"100644": False, "100755": True}  # whether it can be executed
_REFUSED_MODES = {"120000": "a symbolic link", "160000": "a submodule"}
# A file that is there has these lines instead of, or before, "--- " and "+++ ".
_EXTENDED = (
    b"old mode ", b"new mode ", b"deleted file mode ", b"new file mode ", b"copy from ", b"copy to ",
    b"rename from ", b"rename to ", b"rename old ", b"rename new ", b"similarity index ", b"dissimilarity index ", b"index ",
)  # fmt: skip
# Of each of these a file has both or none: git refuses others.
_PAIRS = ((b"old mode ", b"new mode "), (b"copy from ", b"copy to "), (b"rename from ", b"rename to "))
# What diff -N writes for a file that is not there: the beginning of time, in any time zone.
_EPOCH = re.compile(rb"19(?:70-01-01|69-12-31) (\d\d):(\d\d):00(?:\.0+)? ([+-])(\d\d):?(\d\d)$")
# A text that follows: a signature, or what b4 says of a series.
_ENDS = (b"-- ", b"--", b"---")


class BadPatch(Exception):
    """Why the text is no patch that is taken, in a few words; the caller names the patch."""


@dataclass(frozen=True)
class Hunk:
    """``old`` and ``new``: the lines before and after, with their ends. ``before``, ``behind``: lines of context at its
    beginning and end; ``line``, ``place``: where it was in the old file, and is in the new one, from 1; ``head``: the
    function after the second @@; ``rows``: (" ", "-" or "+", line) as they stand there."""

    number: int
    line: int
    place: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    before: int
    behind: int
    added: int
    removed: int
    head: str = ""
    rows: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


@dataclass
class FileChange:
    """``old`` is None for a new file, ``new`` for one that goes. ``executable`` is None where the mode stays."""

    old: str | None
    new: str | None
    copies: bool = False
    executable: bool | None = None
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.new or self.old or ""

    @property
    def added(self) -> int:
        return sum(hunk.added for hunk in self.hunks)

    @property
    def removed(self) -> int:
        return sum(hunk.removed for hunk in self.hunks)


def changes(text: bytes) -> list[FileChange]:
    """Every file that the patch changes, in its order. BadPatch where it is damaged, or refused."""
    reader = _Lines(text)
    found: list[FileChange] = []
    # Behind the lines of a file, where others could hide, until a signature or a text begins.
    watched = close = False
    while reader.left():
        line = reader.next()
        before = len(found)
        if line.startswith(_GIT):
            found.append(_of_git(line, reader))
        elif line.startswith(b"--- ") and reader.peek().startswith(b"+++ "):
            found.append(_plain(line, reader))
        elif _HUNK.match(line):
            raise BadPatch(f"line {reader.at}: a hunk without the name of a file")
        elif watched and _ODD_HUNK.match(line):
            raise BadPatch(f"line {reader.at}: the head of a hunk is damaged")
        elif line.rstrip(b"\r") in _ENDS:
            watched = close = False
        elif close and line[:1] in (b"+", b"-"):
            raise BadPatch(f"line {reader.at}: {found[-1].path} has more changed lines than its hunks say")
        elif line.startswith((b"Binary files ", b"GIT binary patch")):
            raise BadPatch(f"line {reader.at}: binary data, which cannot be read by people")
        elif line[:1] not in (b"", b" ", b"\t", b"\r", b"\\"):
            close = False
        if len(found) > before:
            watched = close = True
        if len(found) > MOST_FILES:
            raise BadPatch(f"more than {MOST_FILES} files")
    return found


class _Lines:
    def __init__(self, text: bytes) -> None:
        self._lines = text.split(b"\n")
        if self._lines and not self._lines[-1]:
            self._lines.pop()
        self.at = 0  # of the line that next() gave, from 1

    def left(self) -> bool:
        return self.at < len(self._lines)

    def next(self) -> bytes:
        self.at += 1
        return self._lines[self.at - 1]

    def peek(self) -> bytes:
        return self._lines[self.at] if self.left() else b""


def _of_git(line: bytes, reader: _Lines) -> FileChange:
    """What follows a line ``diff --git a/NAME b/NAME``."""
    said: dict[bytes, bytes] = {}
    while reader.peek().startswith(_EXTENDED):
        extended = reader.next()
        key = next(one for one in _EXTENDED if extended.startswith(one))
        said[key] = extended[len(key) :]
    _refuse_modes(said)
    _refuse_halves(said, reader.at)
    if reader.peek().startswith((b"Binary files ", b"GIT binary patch")):
        raise BadPatch(f"line {reader.at + 1}: binary data, which cannot be read by people")
    change = _named(line, said)
    if reader.peek().startswith(b"--- "):
        minus = reader.next()
        plus = reader.next() if reader.peek().startswith(b"+++ ") else b""
        if not plus:
            raise BadPatch(f"line {reader.at}: '---' without '+++'")
        names = _name(minus[4:], "a"), _name(plus[4:], "b")
        if names != (change.old, change.new):
            raise BadPatch(f"line {reader.at}: its lines name different files for {change.path}")
        change.hunks = list(_hunks(reader, change.path))
    elif not said.keys() - {b"index "}:
        raise BadPatch(f"line {reader.at}: nothing of {change.path} is changed")
    elif _lacks_lines(change, said):
        raise BadPatch(f"changes or removes {change.path} without its lines (git format-patch -D)")
    return change


def _lacks_lines(change: FileChange, said: dict[bytes, bytes]) -> bool:
    """Whether a file without a hunk is said to have other content than before."""
    if said.get(b"similarity index ", b"100%") != b"100%":
        return True
    hashes = _HASHES.match(said.get(b"index ", b""))
    if hashes is None or hashes[1] == hashes[2]:
        return False
    return not all(one.startswith(_EMPTY) or set(one) == {ord("0")} for one in hashes.groups())


def _named(line: bytes, said: dict[bytes, bytes]) -> FileChange:
    for kind, copies in ((b"rename", False), (b"copy", True)):
        if kind + b" from " in said and kind + b" to " in said:
            old, new = said[kind + b" from "], said[kind + b" to "]
            change = FileChange(_path(old), _path(new), copies)
            break
    else:
        # Both names are the same: no need to guess where the first ends.
        both = line[len(_GIT) :]
        half = (len(both) - 1) // 2
        first, second = both[:half], both[half + 1 :]
        # Another letter stands for a/ and b/ with diff.mnemonicPrefix: i/ and w/, say.
        if first[1:2] != b"/" or second[1:2] != b"/" or first[2:] != second[2:]:
            raise BadPatch(f"names no file, or two: {_shown(both)}")
        name = _path(first[2:])
        change = FileChange(name, name)
        if b"new file mode " in said:
            change.old = None
        elif b"deleted file mode " in said:
            change.new = None
    mode = said.get(b"new file mode ", said.get(b"new mode "))
    if mode is not None:
        change.executable = _MODES[mode.decode()]
    return change


def _refuse_halves(said: dict[bytes, bytes], at: int) -> None:
    """What git does not take, or reads in a way of its own."""
    halves = [pair for pair in _PAIRS if len(said.keys() & set(pair)) == 1]
    kinds = [key for key in (b"copy from ", b"rename from ", b"new file mode ", b"deleted file mode ") if key in said]
    if halves or len(kinds) > 1 or b"rename old " in said or b"rename new " in said:
        raise BadPatch(f"line {at}: what is said of a file's mode or name does not go together")


def _refuse_modes(said: dict[bytes, bytes]) -> None:
    modes = [value for key, value in said.items() if key.endswith(b"mode ")]
    modes += [value.rpartition(b" ")[2] for key, value in said.items() if key == b"index " and b" " in value]
    for raw in modes:
        mode = raw.decode("ascii", "replace")
        if mode not in _MODES:
            raise BadPatch(f"makes or changes {_REFUSED_MODES.get(mode, f'a file of mode {_shown(raw)}')}")


def _plain(line: bytes, reader: _Lines) -> FileChange:
    """A diff that git did not write."""
    other = reader.next()
    old, new = _name(line[4:], "a"), _name(other[4:], "b")
    if old and new and old != new:
        raise BadPatch(f"line {reader.at}: its lines name different files, {old} and {new}")
    if old and new:
        if _is_epoch(line):
            old = None
        elif _is_epoch(other):
            new = None
    if not (old or new):
        raise BadPatch(f"line {reader.at}: its lines name no file")
    change = FileChange(old, new)
    change.hunks = list(_hunks(reader, change.path))
    return change


def _is_epoch(line: bytes) -> bool:
    date = line.partition(b"\t")[2].rstrip(b"\r")
    found = _EPOCH.match(date)
    if found is None:
        return False
    minutes, east = int(found[1]) * 60 + int(found[2]), int(found[4]) * 60 + int(found[5])
    first = -24 * 60 if date.startswith(b"1969") else 0
    return first + minutes == (east if found[3] == b"+" else -east)


def _name(raw: bytes, side: str) -> str | None:
    """The path of a line ``--- a/NAME`` or ``+++ b/NAME``, None for /dev/null."""
    raw = raw.split(b"\t", 1)[0].rstrip(b" ")
    if raw == _NOWHERE.encode():
        return None
    if raw.startswith(b"/"):
        raise BadPatch(f"names a file outside of the tree: {_shown(raw)}")
    first, slash, rest = raw.partition(b"/")
    if first == b"..":
        raise BadPatch(f"names a file outside of the tree: {_shown(raw)}")
    if not slash or not first:
        raise BadPatch(f"names {_shown(raw)}, which does not begin with {side}/")
    return _path(rest)


def _path(raw: bytes) -> str:
    """The path as text, if it leads to a place inside of the tree. BadPatch otherwise."""
    if raw.startswith(b'"') or not raw or len(raw) > _MOST_LETTERS or any(byte < 33 or byte > 126 for byte in raw):
        raise BadPatch(f"names a file by letters that no kernel uses: {_shown(raw)}")
    path = raw.decode("ascii")
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise BadPatch(f"names a file outside of the tree: {path}")
    if "" in parts or "." in parts:
        raise BadPatch(f"names a file in an odd way: {path}")
    if ".git" in parts:
        raise BadPatch(f"changes git's own files: {path}")
    return path


def _shown(raw: bytes) -> str:
    return raw[:80].decode("ascii", "backslashreplace")


def _hunks(reader: _Lines, path: str) -> Iterator[Hunk]:
    number = 0
    while found := _HUNK.match(reader.peek()):
        reader.next()
        number += 1
        yield _hunk(reader, number, path, found)
    if not number:
        raise BadPatch(f"line {reader.at}: no hunk for {path}")
    behind = reader.peek()
    if behind[:1] in (b"+", b"-") and not behind.startswith((b"--- ", b"-- ")) and behind.rstrip(b"\r") not in _ENDS:
        raise BadPatch(f"line {reader.at + 1}: hunk {number} of {path} has more lines than it says")


def _hunk(reader: _Lines, number: int, path: str, found: re.Match[bytes]) -> Hunk:
    line = int(found[1])
    left = [int(count) if count is not None else 1 for count in (found[2], found[4])]
    rows: list[tuple[bytes, bytes]] = []
    while any(left):
        if not reader.left():
            raise BadPatch(f"is cut off in hunk {number} of {path}")
        text = reader.next()
        sign = text[:1] or b" "  # mailers take a lonely blank away
        if sign == b"\\":
            _without_end(rows)
            continue
        if sign not in b" +-":
            raise BadPatch(f"line {reader.at}: hunk {number} of {path} is damaged")
        rows.append((sign, text[1:] + b"\n"))
        left[0] -= sign != b"+"
        left[1] -= sign != b"-"
        if min(left) < 0:
            raise BadPatch(f"line {reader.at}: hunk {number} of {path} has more lines than it says")
    if reader.peek().startswith(b"\\"):
        reader.next()
        _without_end(rows)
    if not rows:
        raise BadPatch(f"line {reader.at}: hunk {number} of {path} has no lines")
    signs = [sign for sign, _ in rows]
    changed = [place for place, sign in enumerate(signs) if sign != b" "]
    return Hunk(
        number, line, int(found[3]),
        tuple(text for sign, text in rows if sign != b"+"), tuple(text for sign, text in rows if sign != b"-"),
        changed[0] if changed else len(rows), len(rows) - 1 - changed[-1] if changed else 0,
        signs.count(b"+"), signs.count(b"-"), found[5].decode("utf-8", "replace").strip(), tuple(rows),
    )  # fmt: skip


def _without_end(rows: list[tuple[bytes, bytes]]) -> None:
    """``\\ No newline at end of file`` is said of the line before it."""
    if rows:
        sign, text = rows[-1]
        rows[-1] = sign, text.removesuffix(b"\n")
