# SPDX-License-Identifier: MIT
"""The loader process when things go wrong, and that nothing is left when it or its consumer ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from lazyobs.bpf import plan
from lazyobs.bpf.session import CompilerNotFound, Loader, interpreters
from lazyobs.errors import BpfRefused
from tests.harness import need_programs


@pytest.fixture(scope="module")
def facts(bpf_state):
    return plan.gather()


MARK = f"t{os.getpid() % 100_000}"


@pytest.fixture
def made(bpf, facts):
    """A plan whose first program and map bear a name of this test's own, to be looked for afterwards."""
    marked = plan.make(facts, "tracepoint")
    marked.source = marked.source.replace("slab_alloc", MARK).replace("fork_windows", MARK + "_map")
    marked.maps = tuple(MARK + "_map" if name == "fork_windows" else name for name in marked.maps)
    for point in marked.points:
        for candidate in point["candidates"]:
            for attach in candidate["attach"]:
                for what in ("program", "code"):
                    attach[what] = attach[what].replace("slab_alloc", MARK)
    return marked


def fake_interpreter(tmp_path: Path, body: str) -> str:
    """A program that is started like the loader; the socket's number is in sys.argv[-1]."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, os, socket, time, json, struct\n" + textwrap.dedent(body))
    path.chmod(0o755)
    return str(path)


def left_in_the_kernel() -> list[str]:
    """Our marked program and map, if the kernel still has them (freed behind an RCU grace period)."""
    need_programs("bpftool")
    deadline = time.monotonic() + 5
    while True:
        found = []
        for kind in ("prog", "map"):
            listing = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, check=True)
            found += [one["name"] for one in json.loads(listing.stdout) if one.get("name", "").startswith(MARK)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def no_children() -> bool:
    return not psutil.Process().children()


def test_the_descriptors_are_all_there_is(made):
    before = len(os.listdir("/proc/self/fd"))
    with Loader(interpreters()[0]).load(made) as session:
        assert session.tiers["slab"] == session.tiers["process"] == "tracepoint"
        assert no_children()
        found = subprocess.run(["bpftool", "prog", "show", "name", MARK], capture_output=True, text=True).stdout
        assert MARK in found
        assert all(not os.get_inheritable(fd) for fd in session.links.values())
    assert len(os.listdir("/proc/self/fd")) == before
    assert left_in_the_kernel() == []


def test_a_compiler_error_is_one_line(made):
    made.source += "\nint broken( {"
    with pytest.raises(BpfRefused, match=r"compiling the probes: .* error: "):
        Loader(interpreters()[0]).load(made)
    assert no_children()


def test_an_interpreter_without_bcc_is_named(made, tmp_path, monkeypatch):
    made.source += "\n/* compiled by nobody yet */"
    with pytest.raises(CompilerNotFound, match="has no bcc"):
        Loader(sys.executable).load(made)


def test_it_becomes_the_next_interpreter(made):
    """The loader does so itself: its consumer may have given root up by then."""
    made.source += f"\n/* compiled by the second, {time.time()} */"
    loader = Loader(sys.executable, [interpreters()[0]])
    with loader.load(made) as session:
        assert session.tiers["slab"] == "tracepoint" and session.compiled
        assert session.interpreter == interpreters()[0]
    assert no_children() and left_in_the_kernel() == []


def test_what_it_is_at_is_said(made):
    made.source += f"\n/* compiled anew, {time.time()} */"
    said = []
    loader = Loader(interpreters()[0])
    loader.send(made)
    session = None
    while session is None:
        session = loader.receive_within(0.01, lambda doing, seconds: said.append(doing))
        said.append(loader.doing)
    session.close()
    assert list(dict.fromkeys(said)) == ["starting the loader", "compiling the probes", "attaching the probes"]


def test_a_missing_interpreter_is_named():
    with pytest.raises(BpfRefused, match="/nonexistent/python"):
        Loader("/nonexistent/python")


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit(7)",
        "os.kill(os.getpid(), 9)",
        "s = socket.socket(fileno=int(sys.argv[-1])); s.recv(1 << 16); s.sendall(struct.pack('=I', 999)); sys.exit(1)",
        "s = socket.socket(fileno=int(sys.argv[-1])); s.recv(1 << 20); s.sendall(struct.pack('=I', 4) + b'nope')",
        "s = socket.socket(fileno=int(sys.argv[-1])); s.recv(1 << 20); s.sendall(struct.pack('=I', 1 << 31))",
    ],
    ids=["exits", "killed", "dies half-way", "nonsense", "endless message"],
)
def test_a_loader_that_dies_or_talks_nonsense(made, tmp_path, body):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BpfRefused, match="the loader died"):
        Loader(fake_interpreter(tmp_path, body)).load(made, 20)
    assert no_children() and len(os.listdir("/proc/self/fd")) == before


def test_a_loader_that_promises_more_descriptors_than_it_sends(made, tmp_path):
    body = """
        s = socket.socket(fileno=int(sys.argv[-1])); s.recv(1 << 20)
        text = json.dumps({"points": {}, "origin": ["", False, "", []], "names": [["map", "totals"], ["map", "x"]]}).encode()
        s.sendall(struct.pack("=I", len(text)) + text)
        socket.send_fds(s, [b"f"], [0])
    """
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BpfRefused, match="the loader died"):
        Loader(fake_interpreter(tmp_path, body)).load(made, 20)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_loader_that_hangs_is_given_up(made, tmp_path):
    with pytest.raises(BpfRefused, match="no answer within"):
        Loader(fake_interpreter(tmp_path, "time.sleep(600)")).load(made, 0.3)
    assert no_children()


def test_a_signal_in_the_midst_of_waiting_does_not_make_it_wait_for_ever(made, tmp_path):
    """It leaves a lock of Popen taken: lazyobs doctor hung so, after Ctrl-C."""
    loader = Loader(sys.executable)
    loader._process._waitpid_lock.acquire()  # type: ignore[attr-defined]
    with pytest.raises(BpfRefused, match="no answer within 0 s"):
        loader.receive(0)
    assert not psutil.pid_exists(loader._process.pid)


def test_a_loader_killed_at_any_moment_leaves_nothing(made):
    made.source += f"\n/* {time.time()}: compiled anew */"
    for delay in (0.0, 0.05, 0.11, 0.23, 0.41):
        loader = Loader(interpreters()[0])
        pid = loader._process.pid
        killer = subprocess.Popen(["sh", "-c", f"sleep {delay}; kill -9 {pid}"], stderr=subprocess.DEVNULL)
        try:
            loader.load(made).close()
        except BpfRefused as error:
            assert "the loader died" in str(error)
        killer.wait()
        assert not psutil.pid_exists(pid)
    assert left_in_the_kernel() == []


def test_the_loader_ends_with_its_consumer(bpf, tmp_path):
    code = (
        "import os, sys, time\n"
        "from lazyobs.bpf.session import Loader, interpreters\n"
        "loader = Loader(interpreters()[0]); print(loader._process.pid, flush=True); time.sleep(600)"
    )
    consumer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    loader = int(consumer.stdout.readline())
    time.sleep(0.3)
    consumer.send_signal(signal.SIGKILL)
    consumer.wait()
    consumer.stdout.close()
    deadline = time.monotonic() + 20
    while psutil.pid_exists(loader) and psutil.Process(loader).status() != "zombie":
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_hundred_starts_and_stops_leak_nothing(made):
    def objects() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), psutil.Process().memory_info().rss

    for _ in range(5):
        Loader(interpreters()[0]).load(made).close()
    fds, rss = objects()
    for _ in range(100):
        Loader(interpreters()[0]).load(made).close()
    fds_after, rss_after = objects()
    assert fds_after == fds
    assert rss_after - rss < 2 << 20
    assert no_children()
    assert left_in_the_kernel() == []
