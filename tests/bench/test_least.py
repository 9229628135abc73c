# SPDX-License-Identifier: MIT
"""The programs that a tool's least cost is measured with count what they say."""

from __future__ import annotations

import os

from bench.islands import islands
from bench.least import least_programs


def test_they_count_what_a_process_allocates(bpf: None) -> None:
    """An island has an anon_vma and a chain; the read-only ones between them have none."""
    with islands(211) as (pid, tell), least_programs() as count:
        os.close(os.open("/dev/null", os.O_RDONLY))  # an allocation of something else
        tell("touch")
        assert count(pid) == 2 * 211
