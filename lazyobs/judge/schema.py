# SPDX-License-Identifier: MIT
"""The JSON Schema of a judgement: ``python -m lazyobs.judge.schema > lazyobs/judge/verdict.schema.json``."""

from __future__ import annotations

import json
from typing import Any

from lazyobs.judge import claims
from lazyobs.judge.state import FORMAT
from lazyobs.soak.schema import PARTS
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_CELL = {"type": ["string", "number", "boolean", "null"]}
_MAYBE_BYTES = {"type": ["integer", "null"], "description": "bytes; null where there is none"}
_WORDS = [PASS, FAIL, INCONCLUSIVE]


def judgement_schema() -> dict[str, Any]:
    """The schema as a document (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lazyobs judgement",
        **_object(
            {
                "format": {"const": FORMAT},
                "word": {"enum": _WORDS, "description": "the worst of the arms"},
                "base": _object({"name": _TEXT, "version": _TEXT, "why": _TEXT, "key": _TEXT}, {"options": _TEXTS}),
                "run": _object(
                    {
                        "began": {"type": "number", "description": "unix seconds"}, "lazyobs": _TEXT, "host": _TEXT,
                        "budget": {"type": "number", "description": "seconds of boots"}, "again": _TEXT,
                        "flavours": _TEXTS, "builder": _TEXT, "open_still": _TEXTS,
                    },
                    {"version": {"type": "integer", "description": "of what the folder has; 1 where it is missing"}, "workload": _object({"name": _TEXT, "bytes": _COUNT, "sha256": _TEXT})},
                ),
                "builds": {"type": "object", "additionalProperties": _build()},
                "boots": {"type": "object", "additionalProperties": _boot()},
                "arms": {"type": "array", "items": _arm()},
            }
        ),
    }  # fmt: skip


def _build() -> dict[str, Any]:
    return _object({"image": _TEXT, "seconds": _NUMBER, "why": {"type": "string", "description": "why it does not build; empty where it does"}})  # fmt: skip


def _boot() -> dict[str, Any]:
    return _object(
        {
            "arm": _TEXT, "kind": {"enum": ["checks", "measure", "waits"]}, "flavour": _TEXT, "number": _COUNT,
            "seconds": {"type": "number", "description": "that it took on the host"},
        }
    )  # fmt: skip


def _arm() -> dict[str, Any]:
    finding = _object(
        {
            "part": {"enum": list(PARTS)}, "name": _TEXT, "outcome": {"enum": [*_WORDS, ""]}, "text": _TEXT,
            "recording": {"type": "string", "description": "the arm; empty: of both"}, "numbers": {"type": "object"},
        }
    )  # fmt: skip
    claim = _object(
        {
            "said": {"type": "string", "description": "the author's words"}, "expected": _TEXT, "found": _TEXT,
            "outcome": {"enum": [claims.HOLDS, claims.BROKEN, claims.OPEN]},
        }
    )  # fmt: skip
    table = _object(
        {"title": _TEXT, "headings": _TEXTS, "rows": {"type": "array", "items": {"type": "array", "items": _CELL}}}
    )
    series = _object({"subject": _TEXT, "patches": _TEXTS, "notes": _TEXTS, "options": _TEXTS, "added": _COUNT, "removed": _COUNT, "files": _COUNT})  # fmt: skip
    return _object(
        {
            "arm": _TEXT, "word": {"enum": _WORDS}, "said": _TEXT, "series": series,
            "findings": {"type": "array", "items": finding}, "claims": {"type": "array", "items": claim},
            "tables": {"type": "array", "items": table}, "card": {"anyOf": [_card(), {"type": "null"}]},
        }
    )  # fmt: skip


def _card() -> dict[str, Any]:
    file = _object({"file": _TEXT, "added": _COUNT, "removed": _COUNT})
    field = _object({"field": _TEXT, "what": {"enum": ["added", "removed", "retyped"]}, "type": _TEXT, "before": _MAYBE_BYTES, "after": _MAYBE_BYTES})  # fmt: skip
    struct = _object(
        {
            "struct": _TEXT, "before": _MAYBE_BYTES, "after": _MAYBE_BYTES, "holes_before": _MAYBE_BYTES, "holes_after": _MAYBE_BYTES,
            "own": {"type": "boolean", "description": "false: it only holds one that changed"}, "fields": {"type": "array", "items": field},
        }
    )  # fmt: skip
    functions = _object(
        {
            "new": {"type": "array", "items": _object({"function": _TEXT, "static": {"type": "boolean"}})},
            "new_inlined": _TEXTS, "gone": _TEXTS, "inlined_away": _TEXTS,
            "renamed": {"type": "array", "items": _object({"before": _TEXT, "after": _TEXT})}, "elsewhere": _COUNT,
        }
    )  # fmt: skip
    prototype = _object({"function": _TEXT, "before": _TEXT, "after": _TEXT})
    return _object(
        {
            "files": {"type": "array", "items": file},
            "structs": {"type": ["array", "null"], "items": struct},
            "functions": functions,
            "prototypes": {"type": ["array", "null"], "items": prototype},
            "probes": {"type": ["object", "null"], "description": "what of lazyobs works on one kernel and not on the other, as doctor --against has it"},
            "notes": _TEXTS,
            "why_not": {"type": ["string", "null"], "description": "why structs, prototypes and probes are null"},
        }
    )  # fmt: skip


def _object(properties: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """``optional``: what not every document has."""
    every = {**properties, **(optional or {})}
    return {"type": "object", "properties": every, "required": list(properties), "additionalProperties": False}


if __name__ == "__main__":
    print(json.dumps(judgement_schema(), indent=1))
