# SPDX-License-Identifier: MIT
"""A patch series, as it comes: an mbox, mails, patches, or a folder of them. It is read and put in order, no more."""

from __future__ import annotations

import binascii
import email
import email.policy
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from pathlib import Path

from lazyobs import text
from lazyobs.errors import NotPermitted, UsageError
from lazyobs.judge.diff import BadPatch, FileChange, changes

MOST_BYTES = 64 << 20  # of a series
MOST_PATCHES = 1000
_SUFFIXES = (".patch", ".diff", ".eml", ".mbox", ".mbx", ".txt")
# As git mailsplit has it. Bounded: two of ".*" would take time by the square of a line's length.
_MBOX = re.compile(rb"^From \S{1,400} .{0,60}?\d\d:\d\d:\d\d .{0,60}\d{4}\r?$", re.M)
_TAG = re.compile(r"\[([^\[\]]*)\]\s*")
_NUMBER = re.compile(r"(?<![\d/])(\d{1,4})/(\d{1,4})(?![\d/])")
_VERSION = re.compile(r"(?:^|[^a-z])v(\d{1,3})(?![\w.])", re.I)
_BASE_COMMIT = re.compile(r"^base-commit: ([0-9a-f]{12,40})\s*$", re.M)
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_PART = re.compile(rb"^content-type[ \t]*:", re.M | re.I)
_HEADERS_END = re.compile(rb"\n\r?\n")
# A program that puts a mail together piece by piece ends each of its base64 by itself.
_BASE64_PIECE = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_SEPARATOR = re.compile(r"^---\s*$", re.M)
_DIFF = re.compile(rb"^(?:diff --git |--- [^\n]+\n\+\+\+ |@@ -\d)", re.M)
_ANSWER = re.compile(r"\s*(re|aw|fwd?)\s*:", re.I)
_NEXT = "name an mbox, a folder of patches, or patches"
_MOST_HEADER = 8192  # bytes; what parses a header takes time and memory by the square of them
# What Python's parser of mails raises, beside its own errors.
_DAMAGED = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
_MOST_NOTES = 20
_MOST_HEADERS = 1000  # of a mail with all its parts
_MOST_SHOWN = 200  # letters of a subject or a name
_MARK = b"\xef\xbb\xbf"  # that a file is UTF-8, as some editors set it
_READ = ("subject", "from", "message-id", "content-type", "content-transfer-encoding", "content-disposition")


@dataclass(frozen=True)
class Patch:
    """``number`` and ``total``: of [PATCH number/total], 0 where it has none; ``message``: what it says of itself."""

    name: str
    subject: str
    author: str
    message_id: str
    number: int
    total: int
    version: int
    message: str
    changes: list[FileChange] = field(repr=False)
    content: bytes = field(repr=False)


@dataclass
class Series:
    """``patches``: in the order in which they apply. ``cover``: the text of the cover letter, "" without one; ``notes``:
    what was done to the series to read it, in words."""

    patches: list[Patch]
    subject: str = ""
    cover: str = ""
    base_commit: str = ""
    notes: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list, repr=False)  # as they came

    def files(self) -> dict[str, tuple[int, int]]:
        """{file: (lines added, lines removed)}, in the order of names."""
        found: dict[str, tuple[int, int]] = {}
        for change in (change for patch in self.patches for change in patch.changes):
            added, removed = found.get(change.path, (0, 0))
            found[change.path] = (added + change.added, removed + change.removed)
        return dict(sorted(found.items()))

    def hunks(self) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
        """Of every change of every patch: (file, what follows the second @@, its lines as (" ", "-" or "+", line))."""
        for change in (change for patch in self.patches for change in patch.changes):
            for hunk in change.hunks:
                rows = [(sign.decode(), line.decode("utf-8", "replace").rstrip("\n")) for sign, line in hunk.rows]
                yield change.path, hunk.head, rows

    def note(self, what: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(what)

    def put(self, folder: Path) -> None:
        """The mails as they came, for read()."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, mail in enumerate(self.mails, 1):
            (folder / f"{number:04}.patch").write_bytes(mail)

    def text(self) -> str:
        """All of its patches, one after the other."""
        return "".join(patch.content.decode("utf-8", "replace") for patch in self.patches)


@dataclass(frozen=True)
class _Mail:
    where: str  # file it is from
    content: bytes


def read(paths: Sequence[Path], cover: Path | None = None, whole: bool = True) -> Series:
    """The series in these files and folders. UsageError, naming the patch, where there is none that can be taken.
    ``whole``: none of its numbers may be missing."""
    mails: list[_Mail] = []
    passed_over: list[str] = []
    size = 0
    for mail in (mail for path in paths for mail in _mails(path, passed_over)):
        mails.append(mail)
        size += len(mail.content)
        if size > MOST_BYTES:
            raise UsageError(
                mail.where, f"is more than {MOST_BYTES >> 20} MiB with those before it", "give a part of it"
            )
    series = _of_mails(mails, ", ".join(text.printable(str(path)) for path in paths), whole)
    series.notes.extend(
        f"{name} was not read: its name does not end as a patch's does" for name in passed_over[:_MOST_NOTES]
    )
    if cover is not None:
        letter = _parsed(_Mail(text.printable(str(cover)), _unwindowed(_content(cover), [])))
        series.cover = letter[1].decode("utf-8", "replace")
        series.subject = _header(letter[0], "subject") or series.subject
    return series


def of_bytes(content: bytes, name: str) -> Series:
    """The series in the text of an mbox or patch."""
    if len(content) > MOST_BYTES:
        raise UsageError(name, f"has more than {MOST_BYTES >> 20} MiB", "give a part of it")
    return _of_mails([_Mail(name, mail) for mail in _split(content)], name)


def _of_mails(mails: Sequence[_Mail], name: str, whole: bool = True) -> Series:
    series = Series([], mails=[mail.content for mail in mails])
    patches: list[Patch] = []
    covers: list[Patch] = []
    for mail in mails:
        patch = _patch(mail, series)
        if patch is None:
            continue
        if not patch.changes and (patch.number or not patch.total) and len(mails) > 1:
            series.note(f"a mail without a patch that can be read was left out: {patch.name}")
        (patches if patch.changes else covers).append(patch)
    if not patches:
        raise UsageError(name, "has no patch in it", _NEXT)
    if len(patches) > MOST_PATCHES:
        raise UsageError(name, f"has {len(patches)} patches, more than {MOST_PATCHES}", "give a part of it")
    series.patches = _ordered(_newest(patches, series), name, whole)
    letters = [one for one in covers if not one.number and one.version == series.patches[0].version]
    if letters:
        series.subject, series.cover = letters[-1].subject, letters[-1].message
    else:
        series.subject = series.patches[0].subject
        if len(series.patches) == 1:
            series.cover = series.patches[0].message
    said = [
        *(one.content.decode("utf-8", "replace") for one in letters[-1:]),
        *(patch.content.decode("utf-8", "replace") for patch in series.patches),
    ]
    series.base_commit = next((found[1] for one in said if (found := _BASE_COMMIT.search(one))), "")
    return series


def _mails(path: Path, passed_over: list[str]) -> Iterator[_Mail]:
    """``passed_over``: gets the names of files of a folder that are taken for no patch."""
    shown = text.printable(str(path))
    try:
        state = os.stat(path)
    except PermissionError as error:
        raise NotPermitted(shown, f"cannot be read ({error.strerror})", "make it readable") from None
    except OSError as error:
        raise UsageError(shown, f"cannot be read ({error.strerror})", _NEXT) from None
    except ValueError:
        raise UsageError(shown, "cannot be read (its name holds a null character)", _NEXT) from None
    if not stat.S_ISDIR(state.st_mode):
        yield from (_Mail(shown, mail) for mail in _split(_content(path)))
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise NotPermitted(shown, f"cannot be read ({error.strerror})", "make it readable") from None
    for name in names:
        file = path / name
        if name.startswith("."):
            continue
        if not name.endswith(_SUFFIXES):
            passed_over.append(text.printable(name))
            continue
        if file.is_symlink():
            raise UsageError(text.printable(str(file)), "is a symbolic link", "put the patch itself into the folder")
        if file.is_file():
            yield from (_Mail(text.printable(name), mail) for mail in _split(_content(file)))


def _content(path: Path) -> bytes:
    """A regular file. UsageError where it is none, is too long or cannot be read."""
    shown = text.printable(str(path))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as error:
        raise NotPermitted(shown, f"cannot be read ({error.strerror})", "make it readable") from None
    except (OSError, ValueError) as error:
        raise UsageError(shown, f"cannot be read ({getattr(error, 'strerror', error)})", _NEXT) from None
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UsageError(shown, "is no regular file", _NEXT)
        try:
            content = file.read(MOST_BYTES + 1) or b""
        except OSError as error:
            raise UsageError(shown, f"cannot be read ({error.strerror})", _NEXT) from None
    if len(content) > MOST_BYTES:
        raise UsageError(shown, f"has more than {MOST_BYTES >> 20} MiB", "give a part of it")
    return content


def _split(content: bytes) -> list[bytes]:
    """The mails of an mbox, or the one that there is."""
    content = content.removeprefix(_MARK).lstrip(b"\r\n")
    starts = [found.start() for found in _MBOX.finditer(content)]
    # The line has an empty one before it; one in the text of a mail has ">" in front.
    starts = [at for at in starts if at == 0 or content[max(at - 4, 0) : at].endswith((b"\n\n", b"\r\n\r\n"))]
    if not starts or starts[0] != 0:
        return [content]
    return [content[at:end] for at, end in zip(starts, [*starts[1:], len(content)])]


def _unwindowed(content: bytes, notes: list[str]) -> bytes:
    """Without the carriage returns of a mail whose every line has one. In a text where some lines have them, they are
    of the files."""
    if b"\r\n" not in content or content.count(b"\n") != content.count(b"\r\n"):
        return content
    note = "every line of it ended as on Windows: the carriage returns were taken off"
    if note not in notes:
        notes.append(note)
    return content.replace(b"\r\n", b"\n")


def _parsed(mail: _Mail) -> tuple[EmailMessage, bytes]:
    """The mail, and its text: what is in its parts that are text. UsageError where it cannot be parsed."""
    try:
        return _parts(mail.content.removeprefix(_MARK).lstrip(b"\r\n"))
    except _DAMAGED:
        raise UsageError(mail.where, "is a mail that cannot be parsed", _NEXT) from None


def _parts(content: bytes) -> tuple[EmailMessage, bytes]:
    head = content.split(b"\n", 1)[0]
    if not (head.startswith(b"From ") or _HEADER.match(head)):
        return EmailMessage(), content  # a bare diff
    if (
        _HEADERS_END.split(content, maxsplit=1)[0].count(b"\n") > _MOST_HEADERS
        or len(_PART.findall(content)) > _MOST_HEADERS
    ):
        raise ValueError(f"more than {_MOST_HEADERS} headers or parts")
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    parts = []
    for part in mail.walk():
        for name, value in part.raw_items():
            if name.lower() in _READ and len(value) > _MOST_HEADER:
                raise ValueError(f"{len(value)} letters of {name}")
        payload = None if part.is_multipart() else _payload(part)
        if isinstance(payload, bytes) and (part.get_content_maintype() == "text" or _DIFF.search(payload)):
            parts.append(payload)
    return mail, b"\n".join(parts)


def _payload(part: Message) -> object:
    """The bytes of a part. Those of base64 to their end: Python takes what is filled up with "=" for it."""
    if str(part.get("content-transfer-encoding", "")).strip().lower() != "base64":
        return part.get_payload(decode=True)
    text = _NO_BASE64.sub(b"", str(part.get_payload()).encode("ascii", "replace"))
    pieces = [found[0].rstrip(b"=") for found in _BASE64_PIECE.finditer(text)]
    whole = [piece[: len(piece) - (len(piece) % 4 == 1)] for piece in pieces]
    return b"".join(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4)) for piece in whole)


def _patch(mail: _Mail, series: Series) -> Patch | None:
    """None for an answer to a patch, and for what is empty."""
    head, body = _parsed(_Mail(mail.where, _unwindowed(mail.content, series.notes)))
    body = _unwindowed(body, series.notes)
    subject = _header(head, "subject")
    diff = _DIFF.search(body)
    if _ANSWER.match(subject):
        if diff:
            series.notes.append(f"an answer was left out: {subject}")
        return None
    if not body.strip():
        if mail.content.strip():
            series.note(f"a mail without text was left out: {subject[:_MOST_SHOWN] or mail.where}")
        return None
    tags = " ".join(found[1] for found in _TAG.finditer(subject))
    short = _TAG.sub("", subject).strip()
    counted = _NUMBER.search(tags)
    version = _VERSION.search(tags)
    short = short if len(short) <= _MOST_SHOWN else f"{short[:_MOST_SHOWN]}..."
    name = f"{counted[1]}/{counted[2]} {short}" if counted else short or mail.where
    is_cover = counted is not None and not int(counted[1])
    if is_cover and diff:
        # format-patch --interdiff puts one there.
        series.note(f"a diff in the cover letter was left out: {name}")
    try:
        found = [] if is_cover else changes(body)
    except BadPatch as error:
        raise UsageError(f"patch {text.printable(name)}", str(error), "look at it before anything else") from None
    message = body[: diff.start() if diff else None].decode("utf-8", "replace")
    message = _SEPARATOR.split(message)[0] if diff else message
    return Patch(
        name, subject or mail.where, _header(head, "from"), _header(head, "message-id").strip("<>"),
        int(counted[1]) if counted else 0, int(counted[2]) if counted else 0, int(version[1]) if version else 1,
        message.strip(), found, body,
    )  # fmt: skip


def _header(mail: EmailMessage, name: str) -> str:
    try:
        value = mail.get(name, "")
    except _DAMAGED:
        return ""
    return text.printable(" ".join(str(value).split()))


def _newest(patches: list[Patch], series: Series) -> list[Patch]:
    """Those of the newest version, where a thread has several."""
    newest = max(patch.version for patch in patches)
    kept = [patch for patch in patches if patch.version == newest]
    if len(kept) < len(patches):
        series.notes.append(f"of {len(patches)} patches the {len(kept)} of version {newest} were taken")
    return kept


def _ordered(patches: list[Patch], name: str, whole: bool) -> list[Patch]:
    """By their numbers, where all have one. UsageError where one is missing, or there twice; as they come where it need not be ``whole``."""
    numbers = [patch.number for patch in patches]
    if not whole or not all(numbers):
        return patches
    total = max(patch.total for patch in patches)
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise UsageError(name, f"has patch {_listed(twice)} of {total} twice", "leave one of them out")
    if missing := sorted(set(range(1, total + 1)) - set(numbers)):
        raise UsageError(name, f"lacks patch {_listed(missing)} of {total}", "give the whole series")
    return sorted(patches, key=lambda patch: patch.number)


def _listed(numbers: Iterable[int]) -> str:
    words = [str(number) for number in numbers]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
