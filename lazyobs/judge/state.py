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


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def settings(self) -> dict[str, Any]:
        """What was asked. UsageError where this is no such folder."""
        found = self.read(SETTINGS)
        if found is None:
            raise UsageError(printable(str(self.path)), f"has no {SETTINGS}", _NEXT)
        if found.get("format") != FORMAT:
            raise UsageError(printable(str(self.path)), "is of another version of lazyobs", "judge the series anew")
        if not _is_sound(found):
            raise UsageError(printable(str(self.path / SETTINGS)), "is damaged", _NEXT)
        return found

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, None where it is not there. UsageError where it is damaged."""
        path = self.path / name
        if not os.path.lexists(path):
            return None
        try:
            document = json.loads(read_bytes(path))
        except (Unusable, ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, Unusable) else "is damaged"
            raise UsageError(printable(str(path)), why, _NEXT) from None
        if not isinstance(document, dict):
            raise UsageError(printable(str(path)), "is damaged", _NEXT)
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
        for name in names[:_MOST_BOOTS]:
            if not name.startswith(".") and (document := self.read(f"{BOOTS}/{name}")) is not None:
                found[name.removesuffix(".json")] = document
        return found

    def add_boot(self, name: str, document: dict[str, Any], console: str) -> None:
        """``console`` goes beside it, and is there first."""
        self.write_text(f"{BOOTS}/{name}.log", console)
        self.write(f"{BOOTS}/{name}.json", document)
