# SPDX-License-Identifier: MIT
"""The JSON Schema of a sample, made from the tables in model.py.

``sample.schema.json`` beside this file is its output, for scripts and other languages to validate with:
``python -m lazyobs.schema > lazyobs/sample.schema.json``.
"""

from __future__ import annotations

import json
from typing import Any

from lazyobs.model import (
    CENSUS_COLUMNS,
    COUNTERS,
    FAMILY_COLUMNS,
    FORK_COLUMNS,
    GROWTH_COLUMNS,
    HEALTH_COLUMNS,
    HISTOGRAMS,
    LOCK_PATHS,
    PROCESS_COLUMNS,
    PROGRAM_COLUMNS,
)

_COUNT = {"type": ["integer", "null"], "minimum": 0}
_RATE = {"type": ["number", "null"]}
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
# A lazy design's pool can cost more than it saves in an address space without lazy VMAs.
_SIGNED = {"type": ["integer", "null"]}


def sample_schema() -> dict[str, Any]:
    """The schema as a document (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lazyobs sample",
        **_object(
            {
                "time": {"type": "number", "description": "unix seconds"},
                "elapsed": {"type": "number", "description": "seconds since the previous sample, or since attach"},
                "kernel": _object(
                    {"release": _TEXT, "profile": _TEXT, "lazy_enabled": {"type": ["boolean", "null"]}},
                ),
                "tiers": {
                    "type": "object",
                    "additionalProperties": {"enum": ["fentry", "kprobe", "tracepoint", "iter", "procfs", None]},
                },
                "totals": _object(_totals()),
                "exited": _object({counter.name: _COUNT for counter in COUNTERS}),
                "command": _command(),
                "census": _object({name: _described(_census_type(name), about) for name, about in CENSUS_COLUMNS}),
                "slabs": {"type": "array", "items": _slab()},
                "processes": {"type": "array", "items": _process()},
                "families": {"type": "array", "items": _family()},
                "slow_forks": {"type": "array", "items": _fork()},
                "programs": {"type": "array", "items": _program()},
                "histograms": _object({series: _histogram(h.help) for h in HISTOGRAMS for series in h.series()}),
                "health": _object({name: _described(_RATE, about) for name, about in HEALTH_COLUMNS}),
                "null_reasons": {"type": "object", "additionalProperties": _TEXT},
            }
        ),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _described(schema: dict[str, Any], about: str) -> dict[str, Any]:
    return {**schema, "description": about}


def _census_type(name: str) -> dict[str, Any]:
    return _SIGNED if name == "saved_bytes" else _COUNT


def _totals() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for counter in COUNTERS:
        properties[counter.name] = _described(_COUNT, counter.help)
        properties[counter.name + "_rate"] = _RATE
    for counter in COUNTERS:
        if counter.split:
            for key, part in ((counter.split_key, _COUNT), (counter.split_key + "_rate", _RATE)):
                divided = _object(dict.fromkeys(counter.values, part))
                properties[key] = {**divided, "type": ["object", "null"]}
    return properties


def _command() -> dict[str, Any]:
    counts = _object({name: shape for name, shape in _totals().items() if not name.endswith("_rate")})
    about = "the part of totals that the command of record or selftest and all that it started have caused"
    return {**counts, "type": ["object", "null"], "description": about}


def _slab() -> dict[str, Any]:
    return _object(
        {
            "cache": _TEXT,
            "objects_active": _COUNT,
            "objects": _COUNT,
            "object_bytes": _COUNT,
            "merged_with": {"type": "array", "items": _TEXT},
            "objects_free_at_most": _described(
                _COUNT, "most free objects among the active ones: on per-CPU slabs and in sheaves"
            ),
        }
    )


def _process() -> dict[str, Any]:
    known: dict[str, Any] = {
        "pid": {"type": "integer", "minimum": 1},
        "start_time": {"type": "number", "description": "unix seconds; with pid the identity of the process"},
        "user": _TEXT,
        "comm": _TEXT,
        "cgroup": {"type": ["string", "null"]},
        "ppid": {"type": ["integer", "null"], "minimum": 0, "description": "process id of the parent, 0 for none"},
    }
    for name, about in CENSUS_COLUMNS:
        known[name] = _described(_census_type(name), about)
    for counter in COUNTERS:
        known[counter.name] = _described(_COUNT, counter.help)
        known[counter.name + "_rate"] = _RATE
    known["args"] = {"type": ["string", "null"], "description": "command line; null in recordings and with --no-args"}
    for name, about in GROWTH_COLUMNS:
        known[name] = _described(_RATE, about)
    return _object({name: known[name] for name in PROCESS_COLUMNS})


def _family() -> dict[str, Any]:
    always: dict[str, Any] = {
        "number": {"type": "integer", "minimum": 1},
        "first_wait": {"type": "number"},
        "start_time": {"type": ["number", "null"]},
        "comm": {"type": ["string", "null"]},
        "cgroup": {"type": ["string", "null"]},
        "waits_by_path": _object({path: {"type": "integer", "minimum": 0} for path in LOCK_PATHS}),
    }
    return _object({name: _described(always.get(name, _COUNT), about) for name, about in FAMILY_COLUMNS})


def _fork() -> dict[str, Any]:
    always: dict[str, Any] = {"comm": _TEXT, **dict.fromkeys(("time", "start_time", "seconds"), _NUMBER)}
    always |= dict.fromkeys(("anon_seconds", "lock_seconds", "page_table_seconds", "rest_seconds"), _RATE)
    return _object({name: _described(always.get(name, _COUNT), about) for name, about in FORK_COLUMNS})


def _program() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    return _object({name: _described(_TEXT if name == "comm" else count, about) for name, about in PROGRAM_COLUMNS})


def _histogram(about: str) -> dict[str, Any]:
    bucket = {
        "type": "array",
        "prefixItems": [{"type": ["number", "null"]}, {"type": "integer", "minimum": 0}],
        "minItems": 2,
        "maxItems": 2,
        "description": "[upper bound, inclusive (null: none), cumulative count]",
    }
    shape = _object({"buckets": {"type": "array", "items": bucket}, "sum": {"type": "number"}, "count": _COUNT})
    return {**shape, "type": ["object", "null"], "description": about}


if __name__ == "__main__":
    print(json.dumps(sample_schema(), indent=1))
