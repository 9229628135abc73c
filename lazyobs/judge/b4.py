# SPDX-License-Identifier: MIT
"""b4's check protocol: a JSON array on standard output for the cover letter on standard input.

b4's docs/maintainer/review.rst, "Writing an external check script": objects with tool, status (pass, warn or fail),
summary, url and details. An array of no object says that there is nothing to report.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Mapping
from typing import Any

from lazyobs.errors import UsageError
from lazyobs.soak.verdict import FAIL, INCONCLUSIVE, PASS
from lazyobs.text import printable

_STATUS = {PASS: "pass", FAIL: "fail", INCONCLUSIVE: "warn"}
_MESSAGE_ID = re.compile(r"[A-Za-z0-9][\w.+=@/%$-]{2,200}")


def message_id(letter: bytes) -> str:
    """Of a cover letter. UsageError where it has none that may be used as a word of a command."""
    mail = email.message_from_bytes(letter, policy=email.policy.compat32)
    found = str(mail.get("message-id", "")).strip().strip("<>")
    if not is_message_id(found):
        raise UsageError("--b4", "what came on standard input is no mail with a Message-Id", "let b4 run it (lazyobs help judge)")  # fmt: skip
    return found


def is_message_id(word: str) -> bool:
    return "@" in word and _MESSAGE_ID.fullmatch(word) is not None


def checks(document: Mapping[str, Any], letter: str) -> list[dict[str, str]]:
    """A result for each arm. ``letter`` is what b4 shows in detail."""
    found = []
    for arm in document["arms"]:
        tool = "lazyobs" if len(document["arms"]) == 1 else f"lazyobs {arm['arm']}"
        found.append(
            {"tool": tool, "status": _STATUS[arm["word"]], "summary": printable(arm["said"])[:200], "details": letter}
        )
    return found
