# SPDX-License-Identifier: MIT
"""Pages that the kernel holds itself while the process forks and writes: nobody may end up with the other's."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

from lazyobs.selftest import pagemap, syscalls
from lazyobs.selftest.expectations import facts, first_touch, forked
from lazyobs.selftest.io_uring import IoUring
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Stage, writes
from lazyobs.selftest.syscalls import PAGE

N = 13  # a pipe holds 16 pages


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("pin"),
    Step("fork", forked(N)),
    Step("parent writes", facts(frames_changed=0)),
    Step("kernel reads", facts(bytes_wrong=0)),
    Step("child writes"),
    Step("kernel reads again", facts(bytes_wrong=0)),
    Step("unpin"),
    needs=("io_uring", "frames"),
)
def pinned_by_io_uring(stage: Stage) -> Iterator[None]:
    """Registered buffers stay the parent's own pages across a fork; the child gets copies"""
    islands = stage.memory.islands(N)
    ring, file = IoUring(), os.memfd_create("lazyobs-selftest", os.MFD_CLOEXEC)
    yield
    stage.memory.fill(islands)
    yield
    ring.register(islands)
    yield
    frames = pagemap.frames(islands)

    child = stage.fork(writes(islands))
    child.advance()
    yield
    stage.memory.fill(islands)
    stage.fact(frames_changed=sum(old != new for old, new in zip(frames, pagemap.frames(islands))))
    yield
    for advance in (False, True):
        wrong = 0
        for number, address in enumerate(islands):
            ring.write(number, address, file, number * PAGE)
            kept, right = os.pread(file, PAGE, number * PAGE), stage.memory.pages[address][0].page().tobytes()
            wrong += sum(a != b for a, b in zip(kept, right)) + abs(len(kept) - len(right))
        stage.fact(bytes_wrong=wrong)
        yield
        if not advance:
            child.advance()
            yield
    ring.unregister()
    yield
    ring.close()
    os.close(file)


@scenario(
    SET_UP,
    Step("write", first_touch(N)),
    Step("splice"),
    Step("fork", forked(N)),
    Step("parent writes"),
    Step("child writes"),
    Step("read the pipe", facts(bytes_wrong=0)),
    needs=("vmsplice",),
)
def held_by_vmsplice(stage: Stage) -> Iterator[None]:
    """Pages in a pipe keep what they held at the fork, whoever writes afterwards"""
    islands = stage.memory.islands(N)
    out, into = os.pipe()
    yield
    stage.memory.fill(islands)
    yield
    vector = (ctypes.c_uint64 * (2 * N))(*(word for page in islands for word in (page, PAGE)))
    spliced = syscalls.syscall("vmsplice", into, vector, N, 0)
    if spliced != N * PAGE:
        raise RuntimeError(f"vmsplice took {spliced} bytes of {N * PAGE}")
    right = b"".join(stage.memory.pages[address][0].page().tobytes() for address in islands)
    yield

    child = stage.fork(writes(islands))
    child.advance()
    yield
    stage.memory.fill(islands)
    yield
    child.advance()
    yield
    found = b""
    while len(found) < len(right):
        found += os.read(out, len(right) - len(found))
    stage.fact(bytes_wrong=sum(a != b for a, b in zip(found, right)))
    yield
    os.close(out)
    os.close(into)
