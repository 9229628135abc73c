# SPDX-License-Identifier: MIT
"""Bad input, missing permissions, closed pipes and signals: one line, the documented exit code."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from lazyobs.bpf import cache
from lazyobs.screen.driver import RESTORE
from tests.confined import mounted
from tests.harness import LAZYOBS, ROOT, lazyobs

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["top", "-s", "no_such_column"], 2, "there is none of that name"),
        (["top", "-s", "\x1b[31mred"], 2, "there is none of that name"),
        (["top", "-d", "0"], 2, "-d"),
        (["top", "-d", "nan", "-n", "1"], 2, "-d"),
        (["top", "nan"], 2, "nan is not a finite number"),
        (["trace", "--min-us", "nan"], 2, "nan is not a finite number"),
        (["trace", "--min-us", "inf"], 2, "--min-us"),
        (["selftest", "--timeout", "nan"], 2, "nan is not a finite number"),
        (["selftest", "--timeout", "inf"], 2, "inf is not a finite number"),
        (["export", "--web-config", ""], 2, "names no file"),
        (["export", "--seconds", "nan"], 2, "use a number from 0.1 to 300"),
        (["top", "-n", "-1"], 2, "-n"),
        (["top", "-p", "twelve"], 2, "-p"),
        (["top", "-p", "0"], 2, "-p"),
        (["top", "--view", "weather"], 2, "weather"),
        (["top", "--tier", "magic"], 2, "--tier"),
        (["top", "--profile", "/nonexistent.toml"], 2, "cannot be read"),
        (["top", "--profile", "setup.cfg"], 2, "is not TOML"),
        (["census", "--vmas"], 2, "-p PID"),
        (["top", "-s", ""], 2, "there is none of that name"),
        (["top", "-u", "no_such_user"], 2, "no such user"),
        (["top", "-u", "40000000000"], 2, "no such user"),
        (["top", "-u", ""], 2, "no such user"),
        (["top", "-c", ""], 2, "is not a cgroup"),
        (["top", "-c", "/no/such"], 2, "-c '/no/such': no such cgroup; give its path below /sys/fs/cgroup"),
        (["top", "-b", "-n", "1", "-c", "/no/such"], 2, "-c '/no/such': no such cgroup"),
        (["top", "--web", "127.0.0.1:0", "-b"], 2, "-b has no meaning with --web"),
        (["top", "--replay", "examples/lab", "--tier", "fentry"], 2, "--tier has no meaning with --replay"),
        (["trace", "--replay", "examples/lab", "--profile", "x"], 2, "--profile has no meaning with --replay"),
        (["census", "--replay", "examples/lab", "--tier", "procfs"], 2, "--tier has no meaning with --replay"),
        (["export", "--replay", "examples/lab", "--tier", "procfs"], 2, "--tier has no meaning with --replay"),
        (["top", "-b", "--speed", "2x"], 2, "--speed has no meaning without --replay"),
        (["top", "-o", "csv", "--view", "slabs"], 2, "--view has no meaning with -o"),
        (["frobnicate"], 2, "frobnicate"),
        (["top", "--frobnicate"], 2, "--frobnicate"),
    ],
)
def test_usage_errors_are_one_line(arguments, code, words):
    answer = lazyobs(*arguments)
    assert answer.returncode == code
    assert answer.stdout == ""
    assert answer.stderr.startswith("lazyobs: ") and len(answer.stderr.splitlines()) == 1
    assert words in answer.stderr
    assert "\x1b" not in answer.stderr


COMMANDS_OF_PIDS = (
    ["top", "-b", "-n", "1"],
    ["census"],
    ["census", "--vmas"],
    ["trace", "--duration", "1"],
    ["record", "-o", "never-made", "--duration", "1"],
)


@pytest.mark.parametrize("command", COMMANDS_OF_PIDS, ids=" ".join)
def test_what_is_no_process_has_the_same_reason_everywhere(command):
    """A number of none, and the number of a thread: both before anything is attached."""
    thread = threading.Thread(target=(go := threading.Event()).wait)
    thread.start()
    try:
        told = [lazyobs(*command, "-p", str(pid)) for pid in (4194303, thread.native_id)]
    finally:
        go.set()
        thread.join()
    assert [answer.returncode for answer in told] == [2, 2]
    assert told[0].stderr == "lazyobs: -p 4194303: no such process; name a running process\n"
    why = f"{thread.native_id} is a thread of process {os.getpid()}"
    assert told[1].stderr == f"lazyobs: -p {thread.native_id}: {why}; name a running process\n"
    assert not (ROOT / "never-made").exists()


@pytest.mark.parametrize("command", COMMANDS_OF_PIDS[:4], ids=" ".join)
def test_the_one_that_is_not_there_is_named(bpf, command):
    answer = lazyobs(*command, "-p", f"4194303,{os.getpid()}")
    assert (answer.returncode == 0 and str(os.getpid()) in answer.stdout) or command[0] == "trace"
    assert "lazyobs: -p 4194303: no such process; going on with the others\n" in answer.stderr


@pytest.mark.parametrize("output", ["table", "json"])
@pytest.mark.parametrize(("option", "value"), [("-c", "/no/such"), ("-u", "no_such_user")])
def test_a_recording_without_such_a_process(output, option, value):
    answer = lazyobs("top", "-b", "--replay", "examples/lab", "-o", output, option, value)
    assert answer.returncode == 2
    assert f"{option} '{value}': no process of the recording passes it" in answer.stderr


@pytest.mark.usefixtures("root")
class TestAsAnOrdinaryUser:
    def as_nobody(self, *arguments: str) -> subprocess.CompletedProcess:
        # The interpreter and the checkout may lie where nobody cannot go: enter as root, then step down.
        code = (
            "import sys; import lazyobs.cli, lazyobs.commands.top, lazyobs.commands.census, lazyobs.commands.doctor;"
            "import lazyobs.commands.trace, lazyobs.commands.record, lazyobs.recorder.run;"
            "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
            "sys.argv = ['lazyobs', *sys.argv[1:]]; lazyobs.cli.main()"
        )
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT
        )

    @pytest.mark.parametrize("command", ["top", "census"])
    def test_it_says_what_to_do(self, command):
        answer = self.as_nobody(command)
        assert answer.returncode == 3
        assert "needs root" in answer.stderr and "sudo" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        ("arguments", "helps"),
        [
            (["top", "-b", "-n", "1"], True),
            (["census"], True),
            (["census", "--vmas", "-p", "1"], False),
            (["trace", "--duration", "1"], False),
            (["record", "--duration", "1", "-o"], True),
            (["record", "--duration", "1", "--keep-on", "fork-storm", "-o"], False),
            (["record", "--duration", "1", "-e", "fork", "-o"], False),
        ],
    )
    def test_procfs_is_advised_where_it_helps(self, tmp_path_factory, arguments, helps):
        place = tmp_path_factory.mktemp("nobody")
        for parent in [place, *list(place.parents)[:-2]]:
            parent.chmod(parent.stat().st_mode | 0o011)
        place.chmod(0o777)
        if arguments[-1] == "-o":
            arguments = [*arguments, str(place / "r")]
        advised = "--tier procfs" in self.as_nobody(*arguments).stderr
        assert advised == helps
        answer = self.as_nobody(*arguments, "--tier", "procfs")
        assert (answer.returncode == 0) == helps, answer.stderr

    def test_procfs_on_request_shows_own_processes(self):
        answer = self.as_nobody("top", "-b", "-n", "1", "--tier", "procfs")
        assert answer.returncode == 0
        assert "tier procfs" in answer.stderr

    def test_doctor_says_what_is_missing(self):
        answer = self.as_nobody("doctor")
        assert answer.returncode == 0
        assert "needs root" in answer.stdout


class TestWithoutBpf:
    """Root, but something in the way: the procfs tier, and the reason on stderr."""

    def test_bcc_missing(self, bpf, root, tmp_path):
        # Also with a profile that is younger than the images.
        profile = tmp_path / "p.toml"
        text = (ROOT / "lazyobs/kernel/profiles/mainline.toml").read_text()
        profile.write_text(text + f'\n[vma]\nlazy = "tag"\ntag_mask = {int(time.time() * 1000) | 1}\ntag_lazy = 1\n')
        env = {**os.environ, "LAZYOBS_BCC_PYTHON": sys.executable}
        answer = lazyobs("top", "-b", "-n", "1", "-v", "--profile", str(profile), env=env)
        assert answer.returncode == 0 and "probes from plain.img" in answer.stderr
        # What an earlier start has compiled serves without BCC, so there must be none.
        empty = mounted(*(f"[ ! -d {place} ] || mount -t tmpfs none {place}" for place in cache.DIRECTORIES))
        command = [*empty, *LAZYOBS, "top", "-b", "-n", "1", "--profile", str(profile), "--compile"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)
        assert done.returncode == 0
        assert "no compiler is there" in done.stderr and "--compile asks for it" in done.stderr
        assert "procfs" in done.stderr

    def test_what_an_earlier_start_compiled_serves_without_bcc(self, bpf):
        command = ("top", "-b", "-n", "1", "-v", "--compile")
        assert "probes compiled" in lazyobs(*command).stderr
        answer = lazyobs(*command, env={**os.environ, "LAZYOBS_BCC_PYTHON": sys.executable})
        assert answer.returncode == 0 and "probes compiled at an earlier start" in answer.stderr
        assert "procfs" not in answer.stderr

    def test_the_loader_cannot_start(self, bpf):
        answer = lazyobs("top", "-b", "-n", "1", env={**os.environ, "LAZYOBS_BCC_PYTHON": "/nonexistent"})
        assert answer.returncode == 0
        assert "/nonexistent" in answer.stderr and "procfs" in answer.stderr


@pytest.mark.parametrize(
    "text",
    [
        '[switch]\nsysctl = "/dev/zero"',
        '[switch]\nsysctl = "../../etc/shadow"',
        '[vma]\nlazy = "tag"\ntag_mask = ' + "9" * 5000,
        '[vma]\nlazy = "tag"\ntag_mask = inf',
        '[detect]\nmembers = ["nodot"]',
        f"[detect]\nfunctions = {[f'f{number}' for number in range(60_000)]}",
    ],
    ids=["device", "outside", "digits", "inf", "nodot", "names"],
)
@pytest.mark.parametrize("command", ["doctor", "census", "record"])
def test_a_profile_that_does_not_fit_is_a_usage_error(tmp_path, command, text):
    profile = tmp_path / "p.toml"
    profile.write_text(f'name = "p"\nabout = ""\n{text}\n')
    more = ["-o", str(tmp_path / "recording")] if command == "record" else []
    answer = lazyobs(command, "--profile", str(profile), *more)
    assert answer.returncode == 2, answer.stderr
    assert answer.stderr.startswith("lazyobs: profile ") and answer.stderr.count("\n") == 1
    assert answer.stdout == ""


@pytest.mark.parametrize("lines", [0, 1, 7])
def test_a_closed_pipe_is_no_error(bpf, lines):
    process = subprocess.Popen(
        [*LAZYOBS, "top", "-b", "-d", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def wait_until_caught(process: subprocess.Popen, number: int) -> None:
    """Until the process has its handler; before, nothing is attached and the signal just ends it."""
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.split("SigCgt:")[1].split()[0], 16)
        # An interpreter that starts catches SIGINT at once; SIGTERM is ours alone.
        if caught >> (signal.SIGTERM - 1) & 1 and caught >> (number - 1) & 1:
            return
        time.sleep(0.002)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.11, 0.5, 1.7])
def test_signals_end_it_quietly(bpf, number, delay):
    process = subprocess.Popen(
        [*LAZYOBS, "top", "-b", "-d", "0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    wait_until_caught(process, number)
    time.sleep(delay)
    process.send_signal(number)
    code = process.wait(60)
    errors = process.stderr.read()
    process.stderr.close()
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.0, 0.03])
@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "examples/lab"],
        ["compare", "--base", "examples/lab", "--new", "examples/debian-6.12"],
        ["selftest", "--tier", "procfs"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_verdict_is_not_a_good_one(arguments, delay, number):
    process = subprocess.Popen(
        [*LAZYOBS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    wait_until_caught(process, number)
    time.sleep(delay)
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        # Libraries go on without a module whose import fails, be it for the signal: then there is the whole answer.
        assert said == lazyobs(*arguments).stdout
        return
    assert process.returncode == 3
    assert errors == f"lazyobs: {arguments[0]}: interrupted before there was an answer; run it again\n"
    assert said == "" or said.splitlines()[-1] == "Bail out! interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_back(bpf, number):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([*LAZYOBS, "top", "-d", "0.1"], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT)
    shown = b""
    while b"\x1b[?1049h" not in shown or b"savable" not in shown:
        shown += os.read(master, 65536)
    assert termios.tcgetattr(slave) != before
    process.send_signal(number)
    assert process.wait(60) == 0
    os.set_blocking(master, False)
    try:
        while more := os.read(master, 65536):
            shown += more
    except BlockingIOError:
        pass
    assert termios.tcgetattr(slave) == before
    assert RESTORE.encode() in shown and b"h" not in shown.rpartition(RESTORE.encode())[2]
    os.close(master)
    os.close(slave)


def test_q_ends_it(bpf):
    master, slave = pty.openpty()
    process = subprocess.Popen([*LAZYOBS, "top", "-d", "5"], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT)
    shown = b""
    while b"savable" not in shown:
        shown += os.read(master, 65536)
    os.write(master, b"q")
    assert process.wait(60) == 0
    os.close(master)
    os.close(slave)
