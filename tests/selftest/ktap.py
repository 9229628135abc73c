# SPDX-License-Identifier: MIT
"""A strict reader of KTAP version 1, flat as the battery prints it."""

from __future__ import annotations

import re

_RESULT = re.compile(r"^(not ok|ok) (\d+) ([a-z0-9_]+)(?: # (SKIP) (.+))?$")


def parse_ktap(text: str) -> list[tuple[str, str, list[str]]]:
    """[(outcome, name, diagnostics before it)] by Documentation/dev-tools/ktap.rst; AssertionError otherwise."""
    lines = text.splitlines()
    assert lines[0] == "KTAP version 1"
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    assert plan, lines[1]
    found: list[tuple[str, str, list[str]]] = []
    said: list[str] = []
    for line in lines[2:]:
        if line.startswith("# "):
            said.append(line[2:])
            continue
        match = _RESULT.match(line)
        assert match, line
        assert int(match[2]) == len(found) + 1
        outcome = "skip" if match[4] else "pass" if match[1] == "ok" else "fail"
        found.append((outcome, match[3], said))
        said = []
    assert len(found) == int(plan[1])
    assert said[-1].startswith("Totals: ")
    return found
