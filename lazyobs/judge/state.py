# SPDX-License-Identifier: MIT
"""The folder of one judgement: what was asked, what each boot gave, and what is said of it.

Each file appears whole or not at all, so that what ends judge costs one boot. All that is said is made of these files
alone: the same again from the same data.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.text import printable
from lazyobs.unix.small_file import Unusable, read_bytes

FORMAT = 1
#: Of what a folder has, as judge.json says it. 2: its letter names a line for each failure.
VERSION = 2
SETTINGS, CARD, BUILDS, BOOTS = "judge.json", "card-{arm}.json", "builds.json", "boots"
#: What the guests run besides, which not every judgement has: {script, own: {arm: {folder, programs, notes}}}.
GUEST = "guest.json"
LETTER, VERDICT, PAGE = "letter.txt", "verdict.json", "page.html"
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_MOST_BOOTS = 5000
_MOST_BYTES = 32 << 20  # of all boots: judge writes some 20 kB for each
_MOST = 1e19  # no number that judge writes is larger, or infinite
_DEEPEST = 32  # nor are its documents deeper
_NEXT = "name a folder that lazyobs judge has written"


def _is_sound(settings: dict[str, Any]) -> bool:
    """Whether what is asked first of them is there."""
    run, base, arms = (settings.get(name) for name in ("run", "base", "arms"))
    if not (isinstance(run, dict) and isinstance(base, dict) and isinstance(arms, dict)):
        return False
    texts = (settings.get("cache", ""), run.get("again"), base.get("key"))
    return (
        all(isinstance(one, str) for one in texts)
        and isinstance(run.get("flavours"), list)
        and all(
            isinstance(arm, dict) and isinstance(arm.get("series"), dict) and "kind" in arm for arm in arms.values()
        )
    )


def parsed(text: str | bytes) -> Any:
    """JSON of a guest's, or of a folder in which the builder of a patch can write. ValueError where it has what nothing
    here can count with, or write again: numbers that are not finite or too large, and lists in lists without end."""
    try:
        document = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_number)
        _refuse_deep(document, _DEEPEST)
    except RecursionError:
        raise ValueError("is too deep") from None
    return document


def _integer(digits: str) -> int:
    _number(digits)
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not abs(number) <= _MOST:
        raise ValueError(f"the number {digits[:40]}")
    return number


def _refuse_deep(document: Any, left: int) -> None:
    if not left:
        raise ValueError("is too deep")
    for one in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        _refuse_deep(one, left - 1)


def _is_boot(boot: dict[str, Any]) -> bool:
    """Whether a boot's document has what is asked of each kind."""
    kind = {"checks": _is_checks, "measure": _is_measured, "waits": _is_measured}.get(str(boot.get("kind")))
    texts, numbers = (boot.get("arm"), boot.get("flavour")), (boot.get("number"), boot.get("seconds"))
    return (
        kind is not None
        and all(isinstance(one, str) for one in texts)
        and all(isinstance(one, int | float) for one in numbers)
        and kind(boot)
    )


def _is_checks(boot: dict[str, Any]) -> bool:
    rows = boot.get("results")
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(name), str) for name in ("step", "outcome", "why"))
        and all(isinstance(row.get(name), dict) for name in ("numbers", "hits"))
        for row in rows
    )


def _is_measured(boot: dict[str, Any]) -> bool:
    given = boot.get("values" if boot["kind"] == "measure" else "waits")
    return isinstance(boot.get("why"), str) and isinstance(given, dict)


class Folder:
    """``name``: what the user calls it, where ``path`` is another way to it."""

    def __init__(self, path: Path, name: Path | None = None) -> None:
        self.path = path
        self.name = name or path

    def settings(self) -> dict[str, Any]:
        """What was asked. UsageError where this is no such folder."""
        found = self.read(SETTINGS)
        if found is None:
            raise UsageError(printable(str(self.name)), f"has no {SETTINGS}", _NEXT)
        if found.get("format") != FORMAT:
            raise UsageError(printable(str(self.name)), "is of another version of lazyobs", "judge the series anew")
        if not _is_sound(found):
            raise UsageError(printable(str(self.name / SETTINGS)), "is damaged", _NEXT)
        return found

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, None where it is not there. UsageError where it is damaged."""
        path = self.path / name
        if not os.path.lexists(path):
            return None
        return self._document(name, self._content(name))

    def _content(self, name: str) -> bytes:
        try:
            return read_bytes(self.path / name)
        except Unusable as error:
            raise UsageError(printable(str(self.name / name)), str(error), _NEXT) from None

    def _document(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            document = parsed(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise UsageError(printable(str(self.name / name)), "is damaged", _NEXT)
        return document

    def write(self, name: str, document: dict[str, Any]) -> None:
        self.write_text(name, json.dumps(document, indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, content: bytes, mode: int = 0o644) -> None:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        own = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            # The builder can write here, too: no link of its own is followed.
            fd = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            with open(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)

    def card(self, arm: str) -> dict[str, Any] | None:
        return self.read(CARD.format(arm=arm))

    def builds(self) -> dict[str, Any]:
        """{arm-flavour: {image, seconds, why}}: ``why`` is set where it did not build."""
        return self.read(BUILDS) or {}

    def add_build(self, name: str, document: dict[str, Any]) -> None:
        self.write(BUILDS, {**self.builds(), name: document})

    def boots(self) -> dict[str, dict[str, Any]]:
        """What each boot gave, by its name, in the order of names."""
        folder = self.path / BOOTS
        names = sorted(name for name in (os.listdir(folder) if folder.is_dir() else []) if name.endswith(".json"))
        found = {}
        size = 0
        for name in names[:_MOST_BOOTS]:
            if name.startswith("."):
                continue
            content = self._content(f"{BOOTS}/{name}")
            size += len(content)
            if size > _MOST_BYTES:
                raise UsageError(
                    printable(str(self.name / BOOTS)), f"has more than {_MOST_BYTES >> 20} MiB of boots", _NEXT
                )
            boot = self._document(f"{BOOTS}/{name}", content)
            if not _is_boot(boot):
                raise UsageError(printable(str(self.name / BOOTS / name)), "is damaged", _NEXT)
            found[name.removesuffix(".json")] = boot
        return found

    def add_boot(self, name: str, document: dict[str, Any], console: str) -> None:
        """``console`` goes beside it, and is there first."""
        self.write_text(f"{BOOTS}/{name}.log", console)
        self.write(f"{BOOTS}/{name}.json", document)
