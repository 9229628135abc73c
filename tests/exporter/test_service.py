# SPDX-License-Identifier: MIT
"""The unit file: what it grants is enough to run, and not more than its recorded score."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.harness import LAZYOBS, ROOT, need_programs, skip

UNIT = ROOT / "systemd/lazyobs.service"
SCORE = 3.5  # recorded in docs/fleet.md, of systemd 252


def _setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.bpf
@pytest.mark.parametrize("without", [(), ("sys_ptrace", "dac_read_search")], ids=["as shipped", "with BPF alone"])
def test_the_capabilities_of_the_unit_are_enough(bpf: None, tmp_path: Path, without: tuple[str, ...]) -> None:
    need_programs("setpriv")
    names = [word.removeprefix("CAP_").lower() for word in _setting("CapabilityBoundingSet").split()]
    bounding = ",".join(["-all", *(f"+{name}" for name in names if name not in without)])
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(60)
        process = subprocess.Popen(
            ["setpriv", f"--bounding-set={bounding}", "--inh-caps=-all", "--no-new-privs",
             *LAZYOBS, "export", "--listen", "127.0.0.1:0"],
            cwd=ROOT, env={**os.environ, "NOTIFY_SOCKET": address}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"serving (\S+)/metrics", line)
            assert found, line
            told = re.fullmatch(
                r"READY=1\nSTATUS=serving \S+, (\d+) series at the first reading", notify.recv(1024).decode()
            )
            assert told
            with urllib.request.urlopen(found[1] + "/metrics", timeout=30) as response:
                page = response.read().decode()
            assert int(told[1]) == len([line for line in page.splitlines() if not line.startswith("#")])
            assert 'lazyobs_probe_attached{probe="slab",tier="tracepoint"} 1.0' in page
            assert 'lazyobs_probe_attached{probe="census",tier="iter"} 1.0' in page
            process.terminate()
            assert notify.recv(1024) == b"STOPPING=1"
        finally:
            process.kill()
            process.wait(10)


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
    told = [line for line in result.stderr.splitlines() if "lazyobs.service" in line and "not executable" not in line]
    assert told == []
