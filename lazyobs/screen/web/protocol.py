# SPDX-License-Identifier: MIT
"""Messages between the sampler and the sessions of ``top --web``: JSON, each after its length."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.programs import ProgramRuns
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Sample
from lazyobs.screen.state import Extras, LiveUpdate, ScreenState, Wanted

LENGTH = struct.Struct("=I")
MOST_REQUEST = 1 << 12  # bytes
MOST_ANSWER = 1 << 28


def pack(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def frame(message: bytes) -> bytes:
    return LENGTH.pack(len(message)) + message


def read_wanted(document: Any) -> Wanted:
    """From a request. Nothing in it is trusted."""
    asked = document.get("wanted") if isinstance(document, dict) else None
    if not isinstance(asked, dict):
        return Wanted()
    pid = asked.get("vmas_of")
    is_pid = isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid < 1 << 22
    return Wanted(pid if is_pid else None, asked.get("programs") is True)


def pack_sample(sample: Sample, trace_events: list[TraceEvent]) -> bytes:
    """The part of an update that is the same for all sessions, made once."""
    return pack(
        {
            "sample": sample.as_json(),
            "failed": sample.failed,
            "ended_growth": sample.ended_growth,
            "trace_events": [asdict(event) for event in trace_events],
        }
    )


def pack_update(sample: bytes, extras: Extras) -> bytes:
    """``sample`` from pack_sample, with what one session wanted."""
    return sample[:-1] + b',"extras":' + pack(_pack_extras(extras)) + b"}"


def pack_screen_state(screen_state: ScreenState) -> bytes:
    document = {
        "sample": screen_state.sample.as_json(), "failed": {}, "ended_growth": screen_state.sample.ended_growth, "trace_events": [asdict(event) for event in screen_state.trace_events],
        "trends": {name: list(values) for name, values in screen_state.trends.items()}, "extras": _pack_extras(screen_state.extras),
    }  # fmt: skip
    return pack(document)


def _pack_extras(extras: Extras) -> dict[str, Any]:
    return {
        "vmas_of": extras.vmas_of,
        "vmas": extras.vmas,
        "vmas_time": extras.vmas_time,
        "programs": extras.programs,
        "why_not": dict(extras.why_not),
    }


def unpack_update(message: bytes) -> LiveUpdate:
    document = json.loads(message)
    return LiveUpdate(_sample(document), _trace_events(document), _unpack_extras(document["extras"]))


def unpack_screen_state(message: bytes) -> ScreenState:
    document = json.loads(message)
    return ScreenState(
        _sample(document), _trace_events(document), document["trends"], _unpack_extras(document["extras"])
    )


def _sample(document: dict[str, Any]) -> Sample:
    sample = Sample.from_json(document["sample"])
    sample.failed, sample.ended_growth = document["failed"], document["ended_growth"]
    return sample


def _trace_events(document: dict[str, Any]) -> list[TraceEvent]:
    return [TraceEvent(**event) for event in document["trace_events"]]


def _unpack_extras(document: dict[str, Any]) -> Extras:
    vmas, programs = document["vmas"], document["programs"]
    return Extras(
        document["vmas_of"],
        None if vmas is None else [VmaRow(*row) for row in vmas],
        document["vmas_time"],
        None if programs is None else [ProgramRuns(*runs) for runs in programs],
        document["why_not"],
    )
