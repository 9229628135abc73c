# SPDX-License-Identifier: MIT
"""Writes docs/judge-controls.md from controls.toml, mutations.toml and controls.json: what judge said of patches whose
outcome is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import controls
from .cache import LAB
from .controls import Control

PAGE = LAB.parent / "docs" / "judge-controls.md"
HEAD = """<!-- Written by `python3 -m lab.docs` from controls.toml and controls.json in lab/. -->
# What judge says of patches whose outcome is known

A verdict is worth something when a bad patch fails for the right reason, and a patch that changes
nothing does not. `make judge-controls` gives [`lazyobs judge`](judge.md) patches of both kinds:

- those that only rename and move code, several times each, which must never be a FAIL;
- one that makes a fork 5 % longer, one that loses an anon_vma in a thousand forks, and the kernel
  whose walks do not see lazy VMAs;
- each mistake of [the kernel's own tests](kernel-selftests.md) that a user can see, made from the
  start by every process. There *right* means that a test failed first, and not what the kernel
  does later. Their base has the series, with `CONFIG_ANON_VMA_LAZY` on.

Several are arms of one judgement. What is in the tables below is not tried again, and a judgement
that was interrupted goes on, so that all of it can run over several days:

```
make judge-controls                    # all that is left
python3 -m lab.controls --list         # what that is
sudo .venv/bin/python -m lab.controls leak walk_child
```
"""
_COLUMNS = ("control", "what the patch does", "has to be", "right", "what was said first", "boots", "date")


def page() -> str:
    """The whole document."""
    table, rows = controls.controls(), controls.kept()
    return HEAD + _summary(table, rows) + _table(table, rows)


def _summary(table: Mapping[str, Control], rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = {
        "patches that only rename and move code": [one for one in table.values() if one.word != "FAIL"],
        "patches that take longer, leak or are blind": [one for one in table.values() if one.word == "FAIL" and not one.number],
        "mistakes": [one for one in table.values() if one.number],
    }  # fmt: skip
    text = "\n## So far\n\n"
    for words, wanted in kinds.items():
        names = {one.name for one in wanted}
        own = [row for row in rows if row["control"] in names]
        right = sum(row["right"] for row in own)
        said = f"{len(own)} judged, {right} right" if own else "none judged yet"
        text += f"- Of {sum(one.runs for one in wanted)} {words}: {said}.\n"
    return text


def _table(table: Mapping[str, Control], rows: Sequence[Mapping[str, Any]]) -> str:
    text = "\n## One by one\n\n| " + " | ".join(_COLUMNS) + " |\n|---|---|---|---|---|---:|---|\n"
    for control in table.values():
        own = [row for row in rows if row["control"] == control.name]
        right = f"{sum(row['right'] for row in own)} of {len(own)}" if own else "not judged yet"
        # What went wrong is what a reader looks for.
        shown = next((row for row in own if not row["right"]), own[0] if own else None)
        said = f"{shown['word']} {shown['said']}".replace("|", "\\|") if shown else ""
        cells = (f"`{control.name}`", control.what, control.word, right, said, str(shown["boots"]) if shown else "", shown["date"] if shown else "")  # fmt: skip
        text += "| " + " | ".join(cells) + " |\n"
    return text
