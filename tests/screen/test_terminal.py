# SPDX-License-Identifier: MIT
"""Real terminals: what they show, and that they are restored however the program ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from lazyobs.screen.driver import RESTORE
from tests.harness import LAZYOBS
from tests.screen.screens import LAB, SAMPLES
from tests.screen.terminals import Terminal, Tmux
from tests.screen.test_app import SNAPSHOTS

pytestmark = pytest.mark.slow

REPLAY = ("--replay", str(LAB), "-d", "3600")
FULL = b"\x1b[?1049h"


@pytest.fixture
def terminal():
    started: list[Terminal] = []

    def start(*arguments: str, **options) -> Terminal:
        started.append(Terminal(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def tmux():
    started: list[Tmux] = []

    def start(*size: int) -> Tmux:
        started.append(Tmux(*size))
        return started[-1]

    yield start
    for one in started:
        one.close()


def is_restored(shown: bytes) -> bool:
    """No terminal mode is switched on after the last RESTORE."""
    return RESTORE.encode() in shown and b"h" not in shown.rpartition(RESTORE.encode())[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_terminal_is_as_before(terminal, number):
    it = terminal(*REPLAY)
    it.until(FULL, b"savable")
    assert not it.modes_are_back
    it.process.send_signal(number)
    assert it.end() == 0
    assert it.modes_are_back and is_restored(it.shown)


@pytest.mark.parametrize("keys", [b"q", b"\x03", b"\x11"])
def test_keys_that_end_it(terminal, keys):
    it = terminal(*REPLAY)
    it.until(b"savable")
    it.type(keys)
    assert it.end() == 0
    assert it.modes_are_back and is_restored(it.shown)


def test_when_it_is_killed_the_guard_restores_the_terminal(terminal):
    it = terminal(*REPLAY)
    it.until(b"savable")
    it.process.kill()
    it.process.wait(60)
    it.until(RESTORE.encode())
    assert it.modes_are_back


def test_a_terminal_that_goes_away_ends_it(terminal):
    """A dropped SSH connection: SIGHUP, and a terminal where every call fails."""
    it = terminal(*REPLAY)
    it.until(b"savable")
    os.close(it.slave)
    os.close(it.master)
    assert it.process.wait(60) == 0


def test_a_terminal_that_takes_nothing_does_not_keep_it(terminal):
    """Output is stopped (Ctrl-S, a stalled connection), and the program gets a signal."""
    it = terminal("--replay", str(LAB), "-d", "0.05", size=(200, 60))
    it.until(b"savable")
    time.sleep(1)  # nothing reads, so the terminal's buffer fills up
    it.process.terminate()
    assert it.process.wait(60) == 0


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_terminals_that_cannot_get_the_plain_screen(terminal, name):
    it = terminal(*REPLAY, TERM=name)
    it.until(b"lazyobs  kernel", b"tiers ")
    it.type(b"q")
    assert it.end() == 0 and it.modes_are_back


def test_the_plain_screen_can_be_asked_for(terminal):
    it = terminal(*REPLAY, "--plain")
    it.until(b"lazyobs  kernel", b"tiers ")
    assert b"\x1b[?1000h" not in it.shown
    it.process.send_signal(signal.SIGHUP)
    assert it.end() == 0
    assert it.modes_are_back


COLOUR = re.compile(rb"\x1b\[[0-9;]*?\b(3[0-7]|4[0-7]|9[0-7]|10[0-7]|38|48)\b[0-9;]*m")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "vt220"}])
def test_no_colour_without_support_or_with_no_color(terminal, environment):
    it = terminal(*REPLAY, **environment)
    it.until(b"savable", b"COMMAND")
    it.type(b"3456h")
    it.until(b"clear search and filters")
    it.type(b"q")
    it.end()
    assert COLOUR.search(it.shown) is None
    assert re.search(rb"\x1b\[(1;)?7[;m]", it.shown)  # the cursor is visible all the same


@pytest.mark.parametrize("name", ["xterm-16color", "xterm"])
def test_colours_of_the_terminal_where_there_are_sixteen_or_eight(terminal, name):
    """None behind letters that a terminal of eight has not."""
    it = terminal(*REPLAY, TERM=name, COLORTERM="")
    it.until(b"savable", b"COMMAND")
    it.type(b"234567\r1\rh")
    it.until(b"clear search and filters")
    it.type(b"q")
    it.end()
    assert COLOUR.search(it.shown) is not None
    assert re.search(rb"\x1b\[[0-9;]*?\b([34]8;[25]|10[0-7])\b[0-9;]*m", it.shown) is None


@pytest.mark.parametrize("environment", [{"TERM": "linux"}, {"LC_ALL": "C"}], ids=["console", "locale"])
def test_ascii_where_there_are_no_blocks(terminal, environment):
    it = terminal(*REPLAY, **environment)
    it.until(b"savable", b"COMMAND")
    it.type(b"234567\r1\rvh")
    it.until(b"clear search and filters")
    it.type(b"q")
    it.end()
    assert it.shown.isascii()


def test_the_mouse_of_a_real_terminal(terminal):
    """Reports of xterm (SGR): a click on a tab, on a key of the last line, on that for the way back, on quit."""
    it = terminal(*REPLAY)

    def click(column: int, line: int) -> None:
        it.type(f"\x1b[<0;{column};{line}M\x1b[<0;{column};{line}m".encode())

    it.until(b"savable", b"COMMAND", b"1-7")
    click(25, 7)
    it.until(b"WALKER")
    click(9, 24)
    it.until(b"clear search and filters")
    click(2, 24)
    assert it.end() == 0


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_what_tmux_sees_is_what_the_pilot_saw(tmux, size):
    """The snapshots of test_app.py, as a real terminal shows them."""
    it = tmux(*size)
    it.keys(f"exec env COLORTERM= {' '.join(LAZYOBS)} top {' '.join(REPLAY)}", "Enter")
    it.until("COMMAND")
    it.keys("}", "}", "}", "}")
    it.until(f"PAUSED {SAMPLES}/{SAMPLES}")
    for number, name in enumerate(("processes", "forks", "rmap", "promotions", "slabs", "probes"), 1):
        it.keys(str(number))
        wanted = (SNAPSHOTS / f"{name}-{size[0]}x{size[1]}.txt").read_text(encoding="utf-8")
        end = time.monotonic() + 30
        while it.screen() != wanted and time.monotonic() < end:
            time.sleep(0.1)
        assert it.screen() == wanted


def test_suspending_resizing_and_coming_back(tmux):
    it = tmux(100, 30)
    it.keys(f"{' '.join(LAZYOBS)} top {' '.join(REPLAY)}", "Enter")
    it.until("COMMAND")
    it.keys("C-z")
    it.until("Stopped")
    assert it.is_sane()
    it.keys("stty -a | tr ' ' '\\n' | grep -x -e echo -e icanon", "Enter")
    it.until("\necho\n", "\nicanon\n")
    it.resize(60, 20)
    it.keys("fg", "Enter")
    it.until("COMMAND", "1 processes")
    for size in ((20, 5), (1, 1), (120, 40)):
        it.resize(*size)
        time.sleep(0.3)
    assert "6 probes" in it.until("COMMAND", "6 probes")
    it.keys("q")
    it.until("$ ")
    end = time.monotonic() + 30
    while not it.is_sane() and time.monotonic() < end:
        time.sleep(0.1)
    assert it.is_sane()


def test_a_hostile_process_name_does_nothing(bpf, terminal):
    """A process with control characters and wide letters in its name, on the live kernel."""
    code = "import ctypes, sys, time\nctypes.CDLL(None).prctl(15, b'\\x1b]2;own\\x07\\xe6\\xbc\\xa2[b]', 0, 0, 0)\nprint(1, flush=True)\nsys.stdin.read()"
    hostile = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert hostile.stdout.read(2) == b"1\n"
    it = terminal("-p", str(hostile.pid), "-d", "0.2", size=(120, 30))
    it.until("?]2;own?漢[b]".encode())
    assert b"\x1b]" not in it.shown and b"\x07" not in it.shown
    hostile.stdin.close()
    assert it.end() == 0  # the process it watched has exited
    assert it.modes_are_back
    hostile.stdout.close()
    hostile.wait(60)


def test_processes_that_come_and_go_between_two_samples(bpf, terminal):
    storm = subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"])
    try:
        it = terminal("-d", "0.05", "-n", "23", "-s", "pid")
        assert it.end() == 0
        assert it.modes_are_back and is_restored(it.shown)
    finally:
        storm.kill()
        storm.wait()
