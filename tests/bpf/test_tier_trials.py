# SPDX-License-Identifier: MIT
"""Which tiers a kernel lets in, asked of one that answers as a test wants, and of this one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from lazyobs.bpf import abi, tier_trials
from lazyobs.bpf.tier_trials import has_compare_and_swap, refused_again, refused_tiers, trial_function
from lazyobs.kernel import restrictions
from lazyobs.kernel.btf import Btf
from lazyobs.kernel.profile import Profile
from lazyobs.unix import syscalls
from tests.kernel.made_btf import Types

RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
# *(u64 *)(r10 - 8) = 0; r0 = 0; r2 = 0; r0 = cmpxchg_64(r10 - 8, r0, r2)
COMPARE_AND_SWAP = bytes.fromhex("7a0af8ff00000000 b700000000000000 b702000000000000 db2af8fff1000000")
Loads = list[tuple[int, bytes, int, int]]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loads]:
    """kernel(errors, kprobes=True, attaching=0): refuses programs of a type with an errno, and to attach fentry ones;
    gives the list of what was loaded."""

    def answer(errors: dict[int, int], kprobes: bool = True, attaching: int = 0) -> Loads:
        loads: Loads = []

        def load(prog_type: int, code: bytes, _name: str, attach_type: int = 0, btf_id: int = 0) -> tuple[int, str]:
            loads.append((prog_type, code, attach_type, btf_id))
            if prog_type in errors:
                return -errors[prog_type], ""
            return os.open(os.devnull, os.O_RDONLY), ""

        def attach(_prog_fd: int) -> int:
            if attaching:
                raise OSError(attaching, syscalls.reason(attaching))
            return os.open(os.devnull, os.O_RDONLY)

        monkeypatch.setattr(abi, "prog_load", load)
        monkeypatch.setattr(abi, "raw_tracepoint_open", attach)
        monkeypatch.setattr(restrictions, "has_kprobe_events", lambda: kprobes)
        return loads

    return answer


def test_a_kernel_that_lets_all_in(kernel: Callable[..., Loads]) -> None:
    loads = kernel({})
    before = os.listdir("/proc/self/fd")
    assert refused_tiers(23) == {}
    assert loads == [
        (abi.PROG_TYPE_TRACING, RETURN_0, abi.ATTACH_TRACE_FENTRY, 23),
        (abi.PROG_TYPE_KPROBE, RETURN_0, 0, 0),
    ]
    assert os.listdir("/proc/self/fd") == before  # what was loaded is let go


def test_each_tier_has_its_reason(kernel: Callable[..., Loads]) -> None:
    kernel({abi.PROG_TYPE_TRACING: errno.EINVAL, abi.PROG_TYPE_KPROBE: errno.EPERM})
    assert refused_tiers(23) == {
        "fentry": "loading an fentry program: Invalid argument",
        "kprobe": "loading a kprobe program: Operation not permitted",
    }
    kernel({abi.PROG_TYPE_KPROBE: errno.EPERM})
    assert refused_tiers(23) == {"kprobe": "loading a kprobe program: Operation not permitted"}


def test_fentry_has_to_attach_not_only_to_load(kernel: Callable[..., Loads]) -> None:
    """As on arm64 before 6.4: ENOTSUPP, for which libc has no word."""
    kernel({}, attaching=524)
    before = os.listdir("/proc/self/fd")
    assert refused_tiers(23) == {
        "fentry": "attaching an fentry program: ENOTSUPP: this kernel does not support it",
    }
    assert os.listdir("/proc/self/fd") == before


def test_attaching_is_tried_again_only_where_it_was_refused(kernel: Callable[..., Loads]) -> None:
    kernel({}, attaching=524)
    refused = refused_tiers(23)
    assert refused_again(23, refused) == refused
    assert refused_again(23, {}) == {}  # loads, as before; that it attaches was known
    kernel({abi.PROG_TYPE_TRACING: errno.EPERM})
    assert refused_again(23, {}) == {"fentry": "loading an fentry program: Operation not permitted"}


def test_what_cannot_work_is_not_tried(kernel: Callable[..., Loads]) -> None:
    loads = kernel({}, kprobes=False)
    assert refused_tiers(0) == {
        "fentry": "no prototype of __anon_vma_prepare in BTF",
        "kprobe": "the kernel has no kprobe perf events (CONFIG_KPROBE_EVENTS)",
    }
    assert loads == []


@pytest.mark.parametrize(("errors", "has"), [({}, True), ({abi.PROG_TYPE_RAW_TRACEPOINT: errno.EINVAL}, False)])
def test_compare_and_swap_is_tried_by_a_program(
    kernel: Callable[..., Loads], errors: dict[int, int], has: bool
) -> None:
    loads = kernel(errors)
    assert has_compare_and_swap() is has
    assert loads == [(abi.PROG_TYPE_RAW_TRACEPOINT, COMPARE_AND_SWAP + RETURN_0, 0, 0)]


def test_the_function_to_try_fentry_on() -> None:
    types = Types()
    types.function("anon_vma_fork")
    types.function("__anon_vma_prepare")  # and its prototype before it
    mainline = Profile("made-up", "")
    assert trial_function(types.btf("__anon_vma_prepare"), mainline) == 4
    assert trial_function(types.btf("anon_vma_fork"), mainline) == 0
    assert trial_function(None, mainline) == 0
    renamed = Profile("made-up", "", aliases={"__anon_vma_prepare": ("anon_vma_fork",)})
    assert trial_function(types.btf("anon_vma_fork"), renamed) == 2


def test_this_kernel_takes_the_programs(bpf: None) -> None:
    """The bytes are programs: the verifier lets a return in, and names what it misses in one that is cut short."""
    assert tier_trials._load(abi.PROG_TYPE_RAW_TRACEPOINT, 0, 0) == ""
    assert tier_trials._load(abi.PROG_TYPE_RAW_TRACEPOINT, 0, 0, COMPARE_AND_SWAP) == "Invalid argument"
    before = os.listdir("/proc/self/fd")
    refused = refused_tiers(trial_function(Btf.read(["__anon_vma_prepare"]), Profile("made-up", "")))
    assert refused.keys() <= {"fentry", "kprobe"} and all(refused.values())
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    assert has_compare_and_swap() or release < (5, 18)
    assert os.listdir("/proc/self/fd") == before
