# SPDX-License-Identifier: MIT
"""One pattern for many names matches what the names match, one after the other."""

from __future__ import annotations

import random
import re

from lazyobs.bpf import plan
from lazyobs.kernel.any_of import any_of


def test_it_matches_the_names_and_nothing_else() -> None:
    random_ = random.Random(23)
    for _ in range(307):
        names = {"".join(random_.choices("ab_", k=random_.randrange(1, 5))) for _ in range(random_.randrange(1, 11))}
        pattern = re.compile(any_of(names))
        for _ in range(23):
            text = "".join(random_.choices("ab_", k=random_.randrange(6)))
            assert bool(pattern.fullmatch(text.encode())) == (text in names), (names, text)


def test_the_longest_name_comes_first() -> None:
    found = re.findall(any_of(["dup", "dup_mm", "dup_mmap", "d.p"]), b"dup_mmap dup_mm dup dxp d.p dup_m")
    assert found == [b"dup_mmap", b"dup_mm", b"dup", b"d.p", b"dup"]


def test_no_names_match_nothing() -> None:
    assert re.findall(any_of([]), b"a b") == []


def test_the_names_of_a_plan() -> None:
    text = "\0".join(plan.FUNCTIONS).encode()
    assert sorted(re.findall(any_of(plan.FUNCTIONS), text)) == sorted(name.encode() for name in plan.FUNCTIONS)
