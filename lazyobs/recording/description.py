# SPDX-License-Identifier: MIT
"""recording.json: what a recording is, with a checksum of its own."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from lazyobs.recording import limits, samples, seal
from lazyobs.recording.layout import FORMAT, VERSION

_CHECKSUM = "checksum"


class Description(NamedTuple):
    """``interval``: seconds between samples; ``sealed``: this file and the others have checksums."""

    identity: dict[str, Any]
    interval: float
    sealed: bool


class LaterVersion(Exception):
    """A later lazyobs made it, in a format that this one does not read."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def write_description(identity: dict[str, Any], interval: float) -> bytes:
    """The content of recording.json."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        _CHECKSUM: seal.UNSEALED_FILE,
        "interval": interval,
        "identity": identity,
    }
    return seal.seal_text(json.dumps(document, indent=1, allow_nan=False)).encode()


def read_description(raw: bytes) -> Description:
    """ValueError when it is damaged or none, LaterVersion when the version is too high."""
    if len(raw) > limits.DESCRIPTION:
        raise ValueError("it is too long")
    document = json.loads(raw, parse_constant=samples.refuse_constant)
    try:
        if document["format"] != FORMAT:
            raise ValueError("another format")
        if _CHECKSUM in document and seal.why_broken(raw) != "":
            raise ValueError("its bytes do not match its checksum")
        version, identity, interval = document["version"], document["identity"], document["interval"]
    except (KeyError, TypeError):
        raise ValueError("it lacks something") from None
    if isinstance(version, int) and version > VERSION:
        raise LaterVersion(version)
    if version != VERSION or not isinstance(identity, dict):
        raise ValueError("no version, or no identity")
    if not isinstance(interval, float | int) or not 0 < interval < 1e6:
        raise ValueError("no interval")
    return Description(identity, interval, _CHECKSUM in document)
