# SPDX-License-Identifier: MIT
"""Writes docs/kernels.md from kernels.toml: ``python3 -m lab.docs`` (``--check`` only compares)."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cache import LAB
from .kernels import Kernel, table

PAGE = LAB.parent / "docs" / "kernels.md"

HEAD = """<!-- Written by `python3 -m lab.docs` from lab/kernels.toml: change that. -->
# Supported kernels

lazyobs asks what a kernel offers, never for its version. Every change is tested on these kernels;
`lab/run --kernel NAME COMMAND` boots each of them (see [the lab](../lab/README.md)).

*Profile* is the design that `lazyobs doctor` finds there. *Tier* is the best tier that a probe of a
kernel function (`anon_vma_fork`, say) can have there. *CI* says which ones CI boots.

| kernel | what it is | made from | command line | profile | tier | CI |
|---|---|---|---|---|---|---|
"""


def _row(row: Kernel) -> str:
    made_from = " or ".join(f"`{package}`" for package in row.packages)
    if row.kind == "built":
        made_from += ", " + ", ".join(f"`{name}`" for name in row.fragments)
        made_from += f", {len(row.patches)} patch{'es' if len(row.patches) != 1 else ''}"
    cmdline = f"`{row.cmdline}`" if row.cmdline else ""
    cells = (
        f"`{row.name}`",
        row.about,
        made_from,
        cmdline,
        f"`{row.profile}`",
        f"`{row.tier}`",
        "yes" if row.ci else "on demand",
    )
    return "| " + " | ".join(cells) + " |"


def page() -> str:
    """The whole document."""
    return HEAD + "\n".join(_row(row) for row in table().values()) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    given: list[str] = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--check"]:
        current = PAGE.exists() and PAGE.read_text() == page()
        if not current:
            print(f"{PAGE} is not what lab/kernels.toml says; run: python3 -m lab.docs", file=sys.stderr)
        return 0 if current else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
