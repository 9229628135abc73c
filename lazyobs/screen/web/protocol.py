# SPDX-License-Identifier: MIT
"""What the feeder and the sessions of ``top --web`` say to each other: JSON, each piece behind its length."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample
from lazyobs.screen.state import Extras, ProgramRuns, Reading, ScreenState, Wanted

LENGTH = struct.Struct("=I")
MOST_REQUEST = 1 << 12  # a session asks for little
MOST_ANSWER = 1 << 28


def pack(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def framed(piece: bytes) -> bytes:
    return LENGTH.pack(len(piece)) + piece


def wanted_of(document: Any) -> Wanted:
    """From a request, of which nothing is believed."""
    asked = document.get("wanted", {}) if isinstance(document, dict) else {}
    pid = asked.get("vmas_of")
    is_pid = isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid < 1 << 22
    return Wanted(pid if is_pid else None, asked.get("programs") is True)


def sample_document(sample: Sample, trace_events: list[TraceEvent]) -> bytes:
    """The part of a reading that is the same for all sessions: made once."""
    return pack(
        {"sample": sample.as_json(), "failed": sample.failed, "trace_events": [asdict(one) for one in trace_events]}
    )


def reading_document(sample: bytes, extras: Extras) -> bytes:
    """``sample`` from sample_document, with what one session wanted."""
    return sample[:-1] + b',"extras":' + pack(_extras(extras)) + b"}"


def moment_document(screen_state: ScreenState) -> bytes:
    document = {
        "sample": screen_state.sample.as_json(), "failed": {}, "trace_events": [asdict(one) for one in screen_state.trace_events],
        "trends": {name: list(values) for name, values in screen_state.trends.items()}, "extras": _extras(screen_state.extras),
    }  # fmt: skip
    return pack(document)


def _extras(extras: Extras) -> dict[str, Any]:
    return {
        "vmas_of": extras.vmas_of,
        "vmas": extras.vmas,
        "programs": extras.programs,
        "why_not": dict(extras.why_not),
    }


def read_reading(piece: bytes) -> Reading:
    document = json.loads(piece)
    return Reading(_sample(document), _happenings(document), _read_extras(document["extras"]))


def read_moment(piece: bytes) -> ScreenState:
    document = json.loads(piece)
    return ScreenState(_sample(document), _happenings(document), document["trends"], _read_extras(document["extras"]))


def _sample(document: dict[str, Any]) -> Sample:
    sample = Sample.from_json(document["sample"])
    sample.failed = document["failed"]
    return sample


def _happenings(document: dict[str, Any]) -> list[TraceEvent]:
    return [TraceEvent(**one) for one in document["trace_events"]]


def _read_extras(document: dict[str, Any]) -> Extras:
    vmas, programs = document["vmas"], document["programs"]
    return Extras(
        document["vmas_of"],
        None if vmas is None else [VmaRow(*one) for one in vmas],
        None if programs is None else [ProgramRuns(*one) for one in programs],
        document["why_not"],
    )
