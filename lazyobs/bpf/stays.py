# SPDX-License-Identifier: MIT
"""The loader that stays, for a budget: it alone may turn on the statistics of BPF programs, and attach a program again.

Statistics cost every BPF program of the machine two readings of the clock a run, so they are on for short windows only.
The process keeps the descriptors of the programs, not of their links and maps: what its consumer closes is detached. It
gives up root for the capabilities that the two take, has one socket, and ends with its consumer.
"""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from lazyobs.bpf import abi, links, loader_protocol
from lazyobs.bpf.program_info import program_stats
from lazyobs.unix import memory, privileges, self_usage
from lazyobs.unix.capabilities import CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN

MOST_SECONDS = 0.2  # of a window, whatever the consumer asks for


class Program(NamedTuple):
    """A program to attach again as it was attached first."""

    kind: str
    label: str
    fd: int
    target: str


Attached = dict[str, list[Program]]  # by point, in the order of attaching


def attached(
    request: Mapping[str, Any], reply: Mapping[str, Any], names: Sequence[Sequence[str]], fds: Sequence[int]
) -> Attached:
    """What ``carry_out`` has attached; closes all that is no program."""
    programs = {}
    for (kind, name), fd in zip(names, fds):
        if kind == "prog":
            programs[name] = fd
        else:
            os.close(fd)
    found: Attached = {}
    for point in request["points"]:
        tier = reply["points"][point["name"]]["tier"]
        chosen: list[dict[str, Any]] = next((one["attach"] for one in point["candidates"] if one["tier"] == tier), [])
        labels = [(attach["kind"], f"{attach['program']}:{attach['target']}", attach["target"]) for attach in chosen]
        found[point["name"]] = [Program(kind, label, programs[label], target) for kind, label, target in labels]
    return found


def serve(sock: socket.socket, programs: Attached) -> None:
    """Answers until the consumer closes its end."""
    privileges.give_up_root(frozenset({CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON}))
    gc.enable()
    memory.settle()
    while True:
        try:
            request = loader_protocol.receive(sock)
            if "attach" in request:
                _attach(sock, programs.get(request["attach"], []))
            else:
                loader_protocol.send(sock, _window(programs, float(request["window"]), bool(request.get("floor"))))
        except (EOFError, ConnectionError):
            return


def _attach(sock: socket.socket, programs: Sequence[Program]) -> None:
    """Sends the names of the links and the links, or why the kernel refused one; then none is attached."""
    fds: list[int] = []
    try:
        for program in programs:
            fds.append(links.attach(program.kind, program.fd, program.target))
        loader_protocol.send(sock, {"names": [program.label for program in programs]}, fds)
    except OSError as error:
        loader_protocol.send(sock, {"error": error.strerror or str(error)})
    finally:
        loader_protocol.close_all(fds)


def _window(programs: Attached, seconds: float, floor: bool) -> dict[str, Any]:
    """{"seconds", "programs": {name: [ns, runs]}} of that time, and what this process has used itself. With ``floor``
    also {"empty": [ns, runs]} of programs that do nothing, else []."""
    own = {"cpu_seconds": time.process_time(), "rss_bytes": self_usage.rss_bytes()}
    every = [program for point in programs.values() for program in point if program.kind != "iterator"]
    try:
        with _statistics(), _empty_programs(every if floor else ()) as empty:
            before, begin = [program_stats(program.fd) for program in every], time.monotonic()
            time.sleep(min(seconds, MOST_SECONDS))
            took = time.monotonic() - begin
            after = [program_stats(program.fd) for program in every]
            nothing = [program_stats(fd)[:2] for fd in empty]
    except OSError as error:
        return {"error": f"BPF_ENABLE_STATS: {error.strerror or error}", **own}
    changes = {program.label: [now[0] - then[0], now[1] - then[1]] for program, then, now in zip(every, before, after)}
    return {"seconds": took, "programs": changes, "empty": [sum(part) for part in zip(*nothing)], **own}


@contextmanager
def _statistics() -> Iterator[None]:
    """Statistics are on within it. OSError where the kernel has none (before 5.8), or this process may not."""
    fd = abi.enable_stats()
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def _empty_programs(beside: Sequence[Program]) -> Iterator[list[int]]:
    """Programs that do nothing, one on each raw tracepoint that has one of ours: nothing on it can cost less."""
    fds: list[int] = []
    try:
        held: list[int] = []
        for target in sorted({program.target for program in beside if program.kind == "raw_tracepoint"}):
            fd, _log = abi.prog_load(abi.PROG_TYPE_RAW_TRACEPOINT, abi.RETURN_0, "lazyobs_empty")
            if fd < 0:
                raise OSError(-fd, os.strerror(-fd))
            fds.append(fd)
            held.append(fd)
            fds.append(abi.raw_tracepoint_open(fd, target))
        yield held
    finally:
        loader_protocol.close_all(fds)
