# SPDX-License-Identifier: MIT
"""Private file mappings: a write copies the file's page into an anonymous page."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from lazyobs.selftest.expectations import Count, Expect, first_write_to_file, forked, unmapped_regular
from lazyobs.selftest.pattern import Bytes, Content
from lazyobs.selftest.scenario import SET_UP, Step, scenario
from lazyobs.selftest.stage import Skip, Stage, writes
from lazyobs.selftest.syscalls import PAGE, madvise, munmap

N = 23
_UNTOUCHED = Expect({"vmas_anon": Count(0)}, {"vmas_anon": Count(0)})
_STEPS = (
    SET_UP,
    Step("read", _UNTOUCHED),
    Step("write", first_write_to_file(N) + Expect({"vmas_private": Count(N)}, {"vmas_lazy": Count(0)})),
    Step("fork", forked(N, promoted=0)),
    Step("child and parent write"),
    Step("child exits"),
    Step("drop the copies"),
    Step("unmap", unmapped_regular(N)),
)


def _scenario(stage: Stage, fd: int) -> Iterator[None]:
    content = [Content(page * PAGE, 0x7F00) for page in range(N)]
    for page in content:
        os.write(fd, page.page().tobytes())
    islands = stage.memory.islands(N, prot=0)
    for number, address in enumerate(islands):
        stage.memory.map(address, 1, fd=fd, offset=number * PAGE)
    yield
    for page, address in zip(content, islands):
        stage.memory.expect([address], 1, page)
    stage.memory.check("file")
    yield
    stage.memory.fill(islands)
    yield

    child = stage.fork(writes(islands))
    child.advance()
    yield
    child.advance()
    stage.memory.fill(islands)
    yield
    child.end()
    yield
    for page, address in zip(content, islands):
        madvise(address, PAGE, "DONTNEED")
        stage.memory.expect([address], 1, page)
        kept = Bytes(os.pread(fd, PAGE, page.origin))
        if kept.page() != page.page():
            raise RuntimeError(f"the file itself was written to at {page.origin:#x}")
    yield
    stage.memory.forget(islands)
    for address in islands:
        munmap(address, PAGE)
    yield


@scenario(*_STEPS)
def private_file(stage: Stage) -> Iterator[None]:
    """MAP_PRIVATE of a file on disk: written pages become anonymous, the file does not change"""
    # The file has no name, so that it vanishes even if the process is killed.
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError as error:
        raise Skip(f"no directory for a temporary file ({error.strerror})") from None
    with file:
        yield from _scenario(stage, file.fileno())


@scenario(*_STEPS)
def private_memfd(stage: Stage) -> Iterator[None]:
    """MAP_PRIVATE of a memfd: written pages become anonymous, the memfd does not change"""
    fd = os.memfd_create("lazyobs-selftest", os.MFD_CLOEXEC)
    try:
        yield from _scenario(stage, fd)
    finally:
        os.close(fd)
