# SPDX-License-Identifier: MIT
"""What root has written into the folder of a judgement, and the user that builds could have changed since.

That folder is the builder's, and a makefile of the patch is a program of the builder's. ``--resume`` of root acts on what
the folder says before root is given up: it reads sources and makes folders. So root signs it, with a key that is root's
alone, and goes on with nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyobs.errors import NotPermitted

_BYTES = 32


def _place() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "lazyobs" / "judge.key"


def key() -> bytes:
    """To be taken while this process is root: made where there is none. Empty where none can be kept, so that root
    cannot go on with what is signed by it."""
    try:
        return _key(make=True)
    except (OSError, NotPermitted):
        return b""


def sealed(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    return {**document, "seal": _seal(document, key)} if key else dict(document)


def check(document: Mapping[str, Any], folder: str) -> None:
    """NotPermitted where this user has not written the document as it is. ``folder``: as it is shown."""
    plain = {name: value for name, value in document.items() if name != "seal"}
    with contextlib.suppress(OSError):
        if hmac.compare_digest(str(document.get("seal", "")).encode(), _seal(plain, _key(make=False)).encode()):
            return
    raise NotPermitted(folder, "was not written by this root, or was changed since by the user that builds", "give the whole command again, with -o and that folder: it goes on, too")  # fmt: skip


def _seal(document: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, json.dumps(document, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes:
    """This user's key. OSError where there is none, NotPermitted where another user could read it or has written it."""
    place = _place()
    if make and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Whole or not at all: another judgement may begin at this moment.
        own = place.with_name(f".{place.name}.{os.getpid()}")
        fd = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(secrets.token_bytes(_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(own, place)
        finally:
            own.unlink()
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        state = os.fstat(fd)
        if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
            raise NotPermitted(str(place), "is not this user's alone", "remove it")
        key = file.read(_BYTES)
    if len(key) < _BYTES:
        raise NotPermitted(str(place), "is cut off", "remove it")
    return key
