# SPDX-License-Identifier: MIT
"""The unit file: what it grants is enough to run, and not more than its recorded score."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from lazyobs.errors import NotSupported
from lazyobs.exporter import server
from lazyobs.unix.privileges import account
from tests.harness import LAZYOBS, ROOT, need_open_checkout, need_programs, need_root, skip

UNIT = ROOT / "systemd/lazyobs.service"
SCORE = 1.3  # recorded in docs/fleet.md, of systemd 252


def _setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


# As systemd would: a listening socket as descriptor 3, no memory that is both written and executed (MemoryDenyWriteExecute,
# by prctl where the kernel has it: 6.3), no network of its own, the unit's user and capabilities.
_AS_SYSTEMD = """
import ctypes, os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.bpf
def test_what_the_unit_grants_is_enough(bpf: None, tmp_path: Path) -> None:
    need_programs("setpriv", "unshare")
    need_root("to become the unit's user")
    need_open_checkout()
    assert _setting("CapabilityBoundingSet") == _setting("AmbientCapabilities")
    names = [word.removeprefix("CAP_").lower() for word in _setting("CapabilityBoundingSet").split()]
    capabilities = ",".join(["-all", *(f"+{name}" for name in names)])
    who, address = account(), str(tmp_path / "notify")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        notify.bind(address)
        notify.settimeout(60)
        for place in (tmp_path, *tmp_path.parents[:2]):
            place.chmod(0o755)
        os.chmod(address, 0o777)
        process = subprocess.Popen(
            [sys.executable, "-c", _AS_SYSTEMD, str(listening.fileno()), "unshare", "--net",
             "setpriv", f"--reuid={who.uid}", f"--regid={who.gid}", "--clear-groups", f"--inh-caps={capabilities}",
             f"--ambient-caps={capabilities}", f"--bounding-set={capabilities}", "--no-new-privs", *LAZYOBS, "export"],
            cwd=ROOT, env={**os.environ, "NOTIFY_SOCKET": address}, stderr=subprocess.PIPE, text=True,
            pass_fds=[listening.fileno()],
        )  # fmt: skip
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            port = listening.getsockname()[1]
            assert line == f"lazyobs: serving http://127.0.0.1:{port}/metrics\n"
            told = re.fullmatch(
                r"READY=1\nSTATUS=serving \S+, (\d+) series at the first reading", notify.recv(1024).decode()
            )
            assert told
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
                page = response.read().decode()
            assert int(told[1]) == len([line for line in page.splitlines() if not line.startswith("#")])
            assert 'lazyobs_probe_attached{probe="slab",tier="tracepoint"} 1.0' in page
            assert 'lazyobs_probe_attached{probe="census",tier="iter"} 1.0' in page
            assert re.search(r'^lazyobs_slab_objects\{.*cache="anon_vma"', page, re.MULTILINE), "of /proc/slabinfo"
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)$", status, re.MULTILINE) == ["0" * 16] * 4
            process.terminate()
            assert notify.recv(1024) == b"STOPPING=1"
        finally:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize(
    ("count", "make", "why"),
    [
        ("2", lambda: socket.create_server(("127.0.0.1", 0)), "passes 2 sockets"),
        ("1", lambda: socket.socket(), "passes a socket that does not listen for TCP"),
        ("1", lambda: socket.socketpair()[0], "passes a socket that does not listen for TCP"),
        ("1", tempfile.TemporaryFile, "passes no socket"),
    ],
)
def test_what_is_no_socket_to_listen_on_is_refused(count: str, make, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with make() as passed:
        monkeypatch.setattr(server, "_FIRST_PASSED", os.dup(passed.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", count)
        with pytest.raises(NotSupported, match=why):
            server.inherited()


def test_sockets_of_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert server.inherited() is None


def test_the_score_is_the_recorded_one() -> None:
    need_programs("systemd-analyze")
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)], capture_output=True, text=True
    )
    found = re.search(r"Overall exposure level for lazyobs.service: ([\d.]+)", result.stdout)
    if not found:
        skip("programs", f"systemd-analyze has no offline mode (systemd 250): {result.stderr.strip()[:100]}")
    assert float(found[1]) <= SCORE
    assert f"{SCORE}" in (ROOT / "docs/fleet.md").read_text()


def test_the_unit_is_one_that_systemd_understands() -> None:
    need_programs("systemd-analyze")
    result = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True)
    known = ("not executable", "Command 'man ")
    told = [
        line
        for line in result.stderr.splitlines()
        if "lazyobs.service" in line and not any(one in line for one in known)
    ]
    assert told == []
