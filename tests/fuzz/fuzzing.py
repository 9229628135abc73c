# SPDX-License-Identifier: MIT
"""What the fuzz tests share: how much is tried, texts that are nearly right, and the limits of a call.

The same inputs each time; LAZYOBS_FUZZ=N tries N others of each. An input that once failed becomes an @example.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_ASKED = os.environ.get("LAZYOBS_FUZZ", "")
_MOST_SECONDS = 10.0  # of CPU: a thousand times what any of them takes, so that it is one that hangs
_MOST_MEMORY = 128 << 10  # KiB by which the process may grow

_Result = TypeVar("_Result")


def tries(count: int) -> settings:
    """Settings for a test of ``count`` inputs."""
    return settings(
        max_examples=int(_ASKED or count),
        derandomize=not _ASKED,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def bounded(run: Callable[[], _Result], *errors: type[BaseException]) -> _Result | None:
    """What ``run`` returns; None where it raises one of ``errors``. Any other error passes, and too much time or memory
    is an AssertionError."""
    begun, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = None
    try:
        result = run()
    except errors:
        pass
    assert time.process_time() - begun < _MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < _MOST_MEMORY
    return result


# Pieces that parsers stumble over: limits of integers, of digits, of depth; letters that look like digits or lines.
PIECES = (
    *(b"\0", b"\n", b"\n\n", b" ", b"\t", b"\r", b"-1", b"0", b"1", b"18446744073709551616", b"9" * 5000, b"1e999"),
    *(b"nan", b"inf", b"true", b'"', b"'", b"[" * 3000, b"{", b"}", b"]", b"=", b"a.b.c", b":", b",", b";", b"%", b"#"),
    *(b"\xff\xfe", b"\xc2\x9b", b"\x1b]0;x\x07", "²".encode(), "٣".encode(), "\u202e".encode(), "\u2028".encode()),
    *(b"\xed\xa0\x80", b"\x85", b"f" * 17, b"..", b"/", b"..\0"),
)


@st.composite
def nearly(draw: Any, *texts: bytes) -> bytes:
    """One of ``texts`` with up to six changes: bytes replaced, pieces inserted, parts left out or repeated."""
    content = bytearray(draw(st.sampled_from(texts)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 40)))
        change = draw(st.integers(0, 3))
        if change == 0:
            content[at:end] = draw(st.binary(max_size=8))
        elif change == 1:
            content[at:at] = draw(st.sampled_from(PIECES))
        elif change == 2:
            del content[at:end]
        else:
            content[at:at] = content[at:end] * draw(st.integers(1, 3))
    return bytes(content)
