# SPDX-License-Identifier: MIT
"""The table of capabilities, and what the message says of those that are missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lazyobs.unix import capabilities
from lazyobs.unix.capabilities import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYSLOG, CAPABILITIES
from tests.harness import ROOT, skip

NEEDED = ["CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"]


def held(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


def test_what_is_lacking() -> None:
    assert capabilities.lacking(0, needed=True) == NEEDED
    assert capabilities.lacking(held(CAP_PERFMON), needed=True) == ["CAP_BPF", "CAP_SYSLOG"]
    assert capabilities.lacking(held(CAP_BPF, CAP_PERFMON, CAP_SYSLOG), needed=True) == []
    assert capabilities.lacking(held(CAP_SYS_ADMIN), needed=True) == ["CAP_SYSLOG"]
    assert "CAP_SETUID" in capabilities.lacking(held(CAP_BPF), needed=False)


@pytest.mark.parametrize("numbers", [(), (CAP_BPF,), (CAP_PERFMON, CAP_SYSLOG), (CAP_SYSLOG,)])
def test_the_message_names_what_is_needed_and_what_is_missing(numbers: tuple[int, ...]) -> None:
    why = capabilities.why_not_bpf(held(*numbers))
    assert "CAP_BPF, CAP_PERFMON and CAP_SYSLOG" in why and "optional: CAP_SETUID and CAP_SETGID" in why
    missing = [name for name in ("CAP_BPF", "CAP_PERFMON") if name in capabilities.lacking(held(*numbers), needed=True)]
    assert not numbers or re.search(r"; (.*) (is|are) missing$", why)[1] == " and ".join(missing)


def test_nothing_is_said_where_probes_may_be_tried() -> None:
    assert capabilities.why_not_bpf(held(CAP_BPF, CAP_PERFMON)) == ""
    assert capabilities.why_not_bpf(held(CAP_SYS_ADMIN)) == ""


def test_the_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/linux/capability.h")
    if not header.exists():
        skip("programs", "the kernel's headers (linux-libc-dev) are not installed")
    defined = dict(re.findall(r"#define (CAP_\w+)\s+(\d+)", header.read_text()))
    assert {one.name: str(one.number) for one in CAPABILITIES}.items() <= defined.items()


def test_the_page_on_containers_lists_each() -> None:
    page = (ROOT / "docs/containers.md").read_text()
    for one in CAPABILITIES:
        assert f"| `{one.name}` | {'needed' if one.needed else 'optional'} | {one.why} |" in page
