# SPDX-License-Identifier: MIT
"""The JSON Schema of a verdict: ``python -m lazyobs.soak.schema > lazyobs/soak/verdict.schema.json``."""

from __future__ import annotations

import json
from typing import Any

from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS

PARTS = ("validity", "correctness", "leak", "benefit", "cost", "overhead")
_TEXT = {"type": "string"}
_CELL = {"type": ["string", "number", "boolean", "null"]}
# Of the numbers of a finding those that do not speak for themselves.
_NUMBERS = {
    "estimate": "of a leak in objects per second, or orphans at the end; of a comparison a ratio less 1, or a difference",
    "low": "lower end of its interval",
    "high": "upper end of its interval",
    "p": "corrected for the number of tests",
    "floor": "leaks: objects per second below which a rise is none",
    "limit": "leaks: objects lost by the end from which on it does not pass",
    "lost_at_most": "leaks: objects that can have been lost by the end, whenever the loss began",
    "power_rate": "leaks: objects per second of the slowest steady leak that this recording could have shown (80 %)",
    "power_loss": "leaks: smallest loss that this recording could have shown (80 %), in objects",
    "change": "leaks: size of the change that fits best, in objects",
    "changed_at": "leaks: when that change began, in unix seconds",
    "margin": "comparison: a change of less is none",
    "smallest": "comparison: smallest change that these boots could have shown (80 %)",
}


def verdict_schema() -> dict[str, Any]:
    """The schema as a document (JSON Schema 2020-12)."""
    finding = _object(
        {
            "part": {"enum": list(PARTS)},
            "name": _TEXT,
            "outcome": {"enum": [PASS, FAIL, INCONCLUSIVE, ""], "description": "empty: a number that judges nothing"},
            "text": {"type": "string", "description": "one line, with numbers and units"},
            "recording": {"type": "string", "description": "directory's name; empty: of all"},
            "numbers": {
                "type": "object",
                "description": "the same for machines; what is not finite is null",
                "properties": {
                    name: {"type": ["number", "null"], "description": text} for name, text in _NUMBERS.items()
                },
            },
        }
    )
    table = _object(
        {
            "title": _TEXT,
            "headings": {"type": "array", "items": _TEXT},
            "rows": {"type": "array", "items": {"type": "array", "items": _CELL}},
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lazyobs verdict",
        **_object(
            {
                "word": {"enum": [PASS, FAIL, INCONCLUSIVE]},
                "findings": {"type": "array", "items": finding},
                "tables": {"type": "array", "items": table},
                "identity": {"type": "object", "description": "identity blocks, by recording; of compare by arm first"},
            }
        ),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


if __name__ == "__main__":
    print(json.dumps(verdict_schema(), indent=1))
