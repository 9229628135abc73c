# SPDX-License-Identifier: MIT
"""The exporter with one more path, /attempts: what the process that serves HTTP can still do, tried from inside."""

from __future__ import annotations

import json
import mmap
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from unittest import mock

from lazyobs import cli
from lazyobs.bpf import abi
from lazyobs.exporter import run
from lazyobs.exporter.application import make_application
from lazyobs.exporter.request import Answer, Application
from lazyobs.unix import capabilities


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return type(error).__name__ + f" {error.errno}"
    return "done"


def _load(program_type: int) -> None:
    fd, _ = abi.prog_load(program_type, abi.RETURN_0, "attempt")
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd))


def _maps() -> dict[str, int]:
    """{name: fd} of the BPF maps this process holds."""
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:bpf-map":
                found[f"{abi.object_info(fd)[24:40].split(bytes(1))[0].decode()}-{fd}"] = fd
        except OSError:
            continue
    return found


def _delete(fd: int) -> None:
    key = abi.attributes("I", 0)
    abi.bpf(abi.MAP_DELETE_ELEM, abi.attributes("IIQ", fd, 0, abi.address(key)))


def _attempts() -> dict[str, object]:
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    maps = _maps()
    return {
        "status": {key: status[key].split() for key in ("Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapInh",
                                                        "CapBnd", "CapAmb", "NoNewPrivs")},
        "environ of 1": _attempt(lambda: open("/proc/1/environ").read()),
        "maps of 1": _attempt(lambda: open("/proc/1/maps").read()),
        "smaps of parent": _attempt(lambda: open(f"/proc/{os.getppid()}/smaps").read()),
        "slabinfo": _attempt(lambda: open("/proc/slabinfo").read()),
        "become root": _attempt(lambda: os.setuid(0)),
        "raw socket": _attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "raw tracepoint program": _attempt(lambda: _load(abi.PROG_TYPE_RAW_TRACEPOINT)),
        "kprobe program": _attempt(lambda: _load(abi.PROG_TYPE_KPROBE)),
        "new map": _attempt(lambda: abi.map_create(1, 4, 8, 1, 0, "attempt")),
        "maps": sorted(name.rpartition("-")[0] for name in maps),
        "updates": {name: _attempt(partial(abi.map_update, fd, bytes(4), bytes(4096))) for name, fd in maps.items()},
        "deletes": {name: _attempt(partial(_delete, fd)) for name, fd in maps.items()},
        "mapped": {name: _attempt(partial(mmap.mmap, fd, 4096)) for name, fd in maps.items()},
        "effective": capabilities.effective(),
    }  # fmt: skip


def _with_attempts(*arguments: object) -> Application:
    served = make_application(*arguments)  # type: ignore[arg-type]

    def application(path: str, headers: Mapping[str, str]) -> Answer:
        if path == "/attempts":
            return Answer(200, json.dumps(_attempts()).encode())
        return served(path, headers)

    return application


mock.patch.object(run, "make_application", _with_attempts).start()
sys.argv[:1] = ["lazyobs", "export"]
cli.main()
