# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from lazyobs.exporter.cgroups import CgroupFold
from lazyobs.exporter.collector import LazyobsCollector
from lazyobs.exporter.page import Page, PageError
from lazyobs.exporter.privileged_reader import RemotePages
from tests.exporter.host import Host
from tests.exporter.metrics import of_page, series

_FORBID = """
import ctypes, os, socket
from lazyobs.exporter.privileged_reader import forbid_sockets
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no_new_privs
forbid_sockets()
open("/proc/self/status").close()
os.close(os.dup(0))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        raise SystemExit(f"a socket of family {family}")
    except PermissionError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
assert libc.syscall(425, 1, ctypes.create_string_buffer(120)) == -1 and ctypes.get_errno() == 13
"""


def test_the_reader_cannot_open_a_socket() -> None:
    subprocess.run([sys.executable, "-c", _FORBID], check=True)


def _fork_reader(host: Host, patience: float = 30.0) -> RemotePages:
    import ctypes

    def pages() -> Page:
        return Page(LazyobsCollector(host, CgroupFold()))

    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    return RemotePages(pages, lambda: None, patience)


def test_pages_come_from_the_other_process() -> None:
    # A process of its own: no_new_privs and the fork are not for the whole test run.
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            host = Host()
            pages = _fork_reader(host)
            assert pages.error is not None
            assert of_page(pages.text())[series("lazyobs_prepares_total")] == 23
            assert b"# EOF" in pages.text(openmetrics=True)
            assert pages.error is None and host.steps == 0
            os.kill(pages.pid, 9)
            for _ in range(2):
                with pytest.raises(PageError, match="gave no answer"):
                    pages.text()
            assert pages.error is not None
            pages.close()
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, 0)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_reader_that_hangs_is_given_up() -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:

            class Slow(Host):
                def read(self):  # type: ignore[no-untyped-def]
                    left, _right = socket.socketpair()
                    left.recv(1)

            pages = _fork_reader(Slow(), patience=0.2)
            with pytest.raises(PageError):
                pages.text()
            os.kill(pages.pid, 9)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
