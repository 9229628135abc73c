# SPDX-License-Identifier: MIT
"""The kernel's own selftests of the reverse map (tools/testing/selftests/mm), as the source of each arm has them, and
of them those that a series affects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lazyobs.judge import lab, programs
from lazyobs.judge.libraries import Library
from lazyobs.judge.vma_tests import Place
from lazyobs.text import printable

STEP = "own"
PLACE = "tools/testing/selftests/mm"
NUMA = "libnuma-dev"
_EVERYWHERE = r"mm/(rmap|memory|vma|internal)\.[ch]|include/linux/(rmap|mm|mm_types|mm_inline)\.h|kernel/fork\.c|" + PLACE  # fmt: skip
#: Program: the files whose change it is for.
AFFECTED = {
    "rmap": rf"{_EVERYWHERE}|mm/(migrate|ksm|mmap)\.c|include/linux/(migrate|ksm)\.h",
    "merge": rf"{_EVERYWHERE}|mm/(mmap|mremap|mprotect|madvise|ksm|vma_init|vma_exec)\.[ch]",
    "ksm_functional_tests": rf"{_EVERYWHERE}|mm/ksm\.c|include/linux/ksm\.h",
    "split_huge_page_test": rf"{_EVERYWHERE}|mm/(huge_memory|khugepaged|migrate)\.c|include/linux/huge_mm\.h",
    "cow": rf"{_EVERYWHERE}|mm/(gup|huge_memory|swapfile|swap_state|mremap|ksm)\.c|include/linux/(ksm|huge_mm|swap)\.h",
}


def affected(files: Iterable[str]) -> list[str]:
    """The programs that a change of these files may make fail; all where nobody knows what changes."""
    names = list(files)
    return [name for name, pattern in AFFECTED.items() if not names or any(re.match(pattern, file) for file in names)]


def build(wanted: Iterable[str], place: Place, numa: Library, share: Path) -> dict[str, Any]:
    """{folder, programs, notes}: what was put into ``folder`` of the guests' programs, and why others were not."""
    found: dict[str, Any] = {"folder": "", "programs": [], "notes": []}
    if numa.top is None:
        return {**found, "notes": [f"the kernel's own selftests were not built: {numa.why_not}"]}
    made: list[Path] = []
    with place.tree.locked():
        place.tree.put(place.applied)
        for name in wanted:
            if not (place.tree.source / PLACE / f"{name}.c").is_file():
                continue
            try:
                made.append(lab.own_tests.built(name, place.tree.source / PLACE, numa.top))
            except (lab.errors.LabError, OSError) as error:
                first = re.search(r"^\S+:\d+(?::\d+)?: (?:fatal )?error: .*$", getattr(error, "detail", ""), re.M)
                found["notes"].append(f"the kernel's own selftest {name} does not build" + (f": {printable(first[0])[:300]}" if first else ""))  # fmt: skip
    if not made:
        return found
    folder = share / STEP / lab.cache.content_hash(made)
    folder.mkdir(parents=True, exist_ok=True)
    for program in made:
        programs.put(folder / program.name, program.read_bytes())
    return {**found, "folder": f"{STEP}/{folder.name}", "programs": [program.name for program in made]}
