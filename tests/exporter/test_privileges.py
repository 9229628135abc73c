# SPDX-License-Identifier: MIT
"""What the process that serves HTTP may still do, tried by that process itself."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lazyobs.errors import UsageError
from lazyobs.unix import privileges
from tests.confined import NAMED, need
from tests.exporter.metrics import of_page, series
from tests.harness import LAZYOBS, ROOT, lazyobs, need_open_checkout, need_programs

INSIDE = str(Path(__file__).parent / "inside.py")
_NONE = ["0000000000000000"]
_REFUSED = ("PermissionError 1", "PermissionError 13")


def _attempts(exporter: object) -> dict:
    found = json.loads(exporter.get("/attempts"))  # type: ignore[attr-defined]
    assert isinstance(found, dict)
    return found


def holds_nothing(attempts: dict) -> None:
    status = attempts["status"]
    assert status["Uid"] == status["Gid"] == ["65534"] * 4
    assert status["Groups"] == []
    assert [status[key] for key in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")] == [_NONE] * 5
    assert status["NoNewPrivs"] == ["1"]
    for attempt in ("environ of 1", "maps of 1", "smaps of parent", "slabinfo", "become root", "raw socket",
                    "raw tracepoint program", "kprobe program"):  # fmt: skip
        assert attempts[attempt] in _REFUSED, attempt


@pytest.mark.bpf
def test_with_bpf_the_serverholds_nothing_but_descriptors(bpf: None, export: Callable) -> None:
    exporter = export(program=(INSIDE,))
    before = of_page(exporter.get())
    attempts = _attempts(exporter)
    holds_nothing(attempts)
    assert {"processes", "totals", "exited"} <= set(attempts["maps"])
    for name in attempts["updates"]:
        assert attempts["updates"][name] == "PermissionError 1", name
        assert attempts["deletes"][name] in ("PermissionError 1", "OSError 22"), name  # 22: arrays delete nothing
        assert attempts["mapped"][name] != "done", name
    after = of_page(exporter.get())
    for key in before:
        if key[0].endswith("_total"):
            assert after[key] >= before[key]


@pytest.mark.slow
@pytest.mark.bpf
@pytest.mark.parametrize("tier", [(), ("--tier", "procfs")], ids=["bpf", "procfs"])
def test_other_processes_of_nobody_have_no_power_over_a_user_of_its_own(
    bpf: None, export: Callable, tier: tuple[str, ...]
) -> None:
    need_programs("setpriv", "prlimit", "kill")
    exporter = export("--user", "daemon", "--seconds", "60", *tier)
    daemon = pwd.getpwnam("daemon")
    processes = [
        exporter.pid,
        *(int(word) for word in Path(f"/proc/{exporter.pid}/task/{exporter.pid}/children").read_text().split()),
    ]
    assert len(processes) == (2 if tier else 1)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for pid in processes:
        status = Path(f"/proc/{pid}/status").read_text()
        assert (
            f"Uid:\t{daemon.pw_uid}\t{daemon.pw_uid}" in status and f"Gid:\t{daemon.pw_gid}\t{daemon.pw_gid}" in status
        )
        for command in (
            ["kill", "-STOP", str(pid)],
            ["kill", "-KILL", str(pid)],
            ["prlimit", "--pid", str(pid), "--nofile=3:3"],
        ):
            done = subprocess.run([*nobody, *command], capture_output=True, text=True)
            assert done.returncode != 0 and "permitted" in done.stderr, command
    assert exporter.get("/healthz") == b"ok\n"
    assert of_page(exporter.get(seconds=90))  # at leisure: after a slow reading the next one rests


@pytest.mark.slow
@pytest.mark.parametrize(("user", "why"), [("no-such-user", "there is no such user"), ("root", "is root")])
def test_a_user_that_cannot_be_one(user: str, why: str) -> None:
    with pytest.raises(UsageError, match="no such user"):
        privileges.account("a\0b")
    done = lazyobs("export", "--user", user, "--listen", "127.0.0.1:0")
    assert done.returncode == 2 and why in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("place", ["needed capabilities", "user namespace of one user, procfs"])
def test_a_user_that_it_may_not_become_is_refused(root: None, tmp_path: Path, place: str) -> None:
    need(NAMED[place], tmp_path)
    done = NAMED[place].run(tmp_path, "export", "--user", "daemon", "--listen", "127.0.0.1:0")
    assert done.returncode == 3 and done.stderr.count("\n") == 1
    why = "CAP_SETUID is missing" if place == "needed capabilities" else "this user namespace has no user"
    assert done.stderr.startswith(f"lazyobs: --user daemon: {why}")


def test_the_user_to_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """lazyobs where that is a system user, else nobody: a person of that name has other processes."""
    for uid, name in ((None, "nobody"), (0, "nobody"), (1000, "nobody"), (999, "lazyobs")):

        def entry(wanted: str, uid: int | None = uid) -> object:
            if uid is None:
                raise KeyError(wanted)
            return pwd.struct_passwd((wanted, "x", uid, 997, "", "/", "/usr/sbin/nologin"))

        monkeypatch.setattr(pwd, "getpwnam", entry)
        privileges.account.cache_clear()
        found = privileges.account()
        assert found == (
            privileges.Account("lazyobs", 999, 997) if name == "lazyobs" else privileges.Account("nobody", 65534, 65534)
        )
        assert found.is_shared == (name == "nobody")
    privileges.account.cache_clear()


@pytest.mark.slow
@pytest.mark.bpf
def test_without_bpf_the_reader_is_another_process(bpf: None, export: Callable) -> None:
    exporter = export("--tier", "procfs", "--seconds", "60", program=(INSIDE,))
    attempts = _attempts(exporter)
    holds_nothing(attempts)
    assert attempts["maps"] == []
    metrics = of_page(exporter.get(seconds=90))
    assert metrics[series("lazyobs_vmas", state="anonymous")] > 0
    assert metrics[series("lazyobs_slab_objects", cache="anon_vma")] > 0
    assert not any(name == "lazyobs_prepares_total" for name, _ in metrics)


@pytest.mark.bpf
def test_runs_from_a_directory_that_only_root_may_enter(bpf: None, export: Callable, tmp_path: Path) -> None:
    """After root is given up no module can be imported from there any more."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(ROOT / "lazyobs", private / "lazyobs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "probes", private / "probes")
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[1:1] = ['export']; from lazyobs.cli import main; main()"
    exporter = export(program=("-c", start, str(private)))
    assert exporter.get().endswith(b"\n")
    assert b"# EOF" in _openmetrics(exporter.url)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        exporter.get("/x")


def _openmetrics(url: str) -> bytes:
    request = urllib.request.Request(url + "/metrics", headers={"Accept": "application/openmetrics-text"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return bytes(response.read())


@pytest.mark.bpf
def test_it_ends_and_leaves_nothing_behind(bpf: None, export: Callable) -> None:
    exporter = export()
    exporter.get()
    os.kill(exporter.pid, 15)
    assert os.waitstatus_to_exitcode(os.waitpid(exporter.pid, 0)[1]) == 0


def test_without_root_it_says_so() -> None:
    need_open_checkout()
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    need_programs(*prefix[:1])
    result = subprocess.run([*prefix, *LAZYOBS, "export", "--listen", "127.0.0.1:0"], capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)
    assert "sudo" in result.stderr
