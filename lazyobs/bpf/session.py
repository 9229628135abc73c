# SPDX-License-Identifier: MIT
"""The consumer's side of the loader: start it, send the plan, keep the descriptors it hands over."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lazyobs.bpf import loader_protocol, room
from lazyobs.bpf.meter import Meter
from lazyobs.bpf.plan import Plan
from lazyobs.errors import BpfRefused, UsageError
from lazyobs.unix.memory_file import memory_file

_PACKAGE_ROOT = str(Path(__file__).parent.parent.parent)
# Appended, not put first: a package named bcc beside lazyobs must not hide the distribution's. The loader ends before
# garbage matters.
_LOADER_CODE = (
    "import gc, sys; gc.disable(); sys.path.append(sys.argv[1]); from lazyobs.bpf.loader import main; "
    "main(int(sys.argv[-1]), sys.argv[2:-1])"
)
# A compile takes 0.3 s; on a machine with a load of 20, whose disk is busy too, a minute and more. Emulated machines,
# whose clock may run ahead, need more still.
VARIABLE = "LAZYOBS_LOADER_SECONDS"
COMPILE = "LAZYOBS_COMPILE"  # not empty: compile the probes, whatever images there are
SECONDS_TO_LOAD = 600.0
_SECONDS_TO_ANSWER = 60.0  # for the rest of an answer that has begun
_STEP = 0.25  # seconds between two words on the waiting

# (what the loader does, seconds since its start)
Waiting = Callable[[str, float], None]


def seconds_to_wait(otherwise: float = SECONDS_TO_LOAD) -> float:
    """Seconds that a start waits for the loader: $LAZYOBS_LOADER_SECONDS, or ``otherwise``. UsageError for no number."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else otherwise
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{VARIABLE}={text}", "is no number of seconds", "give one like 600, or unset it")
    return seconds


class Session:
    """Descriptors of loaded probes. ``tiers``: {point: tier or None}; ``refused``: {point: {tier: why}};
    ``attached_at``: unix time since when it counts; ``unjudged`` and ``unknown``: see Plan. ``image``: the file of the
    programs, "" where they were compiled, by this start (``compiled``) or an earlier one, and why; ``compiler``: the
    version of BCC that made them. ``ignored``: cache entries that were not used, and why. ``loader_cpu_seconds``: what
    loading took; ``meter``: the loader, where it stays for a budget.

    Programs, links and maps live as long as these descriptors.
    """

    def __init__(
        self, reply: dict[str, Any], fds: list[int], plan: Plan, interpreter: str, meter: Meter | None = None
    ) -> None:
        self.meter = meter
        self.loader_cpu_seconds: float | None = reply.get("cpu_seconds")
        self.maps: dict[str, int] = {}
        self.programs: dict[str, int] = {}
        self.links: dict[str, int] = {}
        kinds = {"map": self.maps, "prog": self.programs, "link": self.links}
        for (kind, name), fd in zip(reply["names"], fds):
            kinds[kind][name] = fd
        self.tiers: dict[str, str | None] = {name: point["tier"] for name, point in reply["points"].items()}
        self.refused: dict[str, dict[str, str]] = {
            name: {**plan.dropped.get(name, {}), **point["refused"]} for name, point in reply["points"].items()
        }
        self.knows_reason = plan.knows_reason
        self.unjudged = plan.unjudged
        self.unknown = plan.unknown
        self.image: str
        self.compiled: bool
        self.why_compiled: str
        self.ignored: list[str]
        self.image, self.compiled, self.why_compiled, self.ignored = reply["origin"]
        self.compiler: str = reply["compiler"]
        self.interpreter: str = reply.get("interpreter", interpreter)
        self.attached_at: float = reply.get("attached_at", time.time())

    @property
    def origin(self) -> str:
        """Where the programs are from, in words."""
        if self.image:
            return f"from {self.image}"
        when = "" if self.compiled else " at an earlier start"
        return f"compiled{when} ({self.interpreter}), because {self.why_compiled}"

    def close(self) -> None:
        """Detaches the programs and frees the maps."""
        for table in (self.links, self.programs, self.maps):
            loader_protocol.close_all(list(table.values()))
            table.clear()
        if self.meter is not None:
            self.meter.close()
            self.meter = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def why_compile() -> str:
    """Why the images that come along must not be used: --compile, or the environment; "" where they may."""
    return "--compile asks for it" if os.environ.get(COMPILE) else ""


def interpreters() -> list[str]:
    """Python interpreters that may have bcc: $LAZYOBS_BCC_PYTHON alone, or the distribution's, then this one."""
    chosen = os.environ.get("LAZYOBS_BCC_PYTHON")
    if chosen:
        return [chosen]
    found = []
    for path in ("/usr/bin/python3", sys.executable):
        if os.access(path, os.X_OK) and path not in found:
            found.append(path)
    return found


class Loader:
    """A loader process that waits for its plan. It starts at once, to be ready when the plan is.

    It becomes one of the interpreters ``following`` where ``interpreter`` has no bcc."""

    def __init__(self, interpreter: str, following: Sequence[str] = ()) -> None:
        self.interpreter = interpreter
        self.doing = "starting the loader"
        self.started = time.monotonic()
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stderr = memory_file("lazyobs-loader")
        try:
            self._process = subprocess.Popen(
                [interpreter, "-I", "-c", _LOADER_CODE, _PACKAGE_ROOT, *following, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
                pass_fds=[theirs.fileno()],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            )
        except OSError as error:
            self._sock.close()
            self._stderr.close()
            raise BpfRefused(
                "loading the probes",
                f"{interpreter}: {error.strerror}",
                "set LAZYOBS_BCC_PYTHON to a python that has bcc",
            ) from None
        finally:
            theirs.close()

    def announce(self) -> None:
        """Tells the loader that the plan to come has to be compiled: it imports bcc meanwhile."""
        try:
            loader_protocol.send(self._sock, {"compile_is_to_come": True})
        except ConnectionError:
            pass

    def load(self, plan: Plan, seconds: float | None = None) -> Session:
        """``send``, then ``receive``."""
        self.send(plan)
        return self.receive(seconds)

    def send(self, plan: Plan, stays: bool = False) -> None:
        """Sends the plan. ``receive`` reports a loader that has died. ``stays``: it is to go on for a budget."""
        self._plan = plan
        try:
            asked = plan.as_request()
            sizes = {**room.entries(), **asked["entries"]}
            more = {"compile": why_compile(), "stays": stays, "entries": sizes}
            loader_protocol.send(self._sock, asked | more)
        except ConnectionError:
            pass

    def receive(self, seconds: float | None = None, waiting: Waiting = lambda doing, seconds: None) -> Session:
        """Waits for the descriptors; the process has ended when this returns. ``waiting`` is called meanwhile.

        Raises BpfRefused with the reason in every other case; nothing is left attached then.
        """
        most = seconds_to_wait() if seconds is None else seconds
        try:
            found = self.receive_within(most, waiting)
        except BaseException:
            self.close()
            raise
        if found is None:
            self.close()
            raise BpfRefused(
                "loading the probes",
                f"the loader gave no answer within {most:g} s ({self.doing}; {VARIABLE} sets the seconds)",
                "try again, or use --tier procfs",
            )
        return found

    def receive_within(self, seconds: float, waiting: Waiting = lambda doing, seconds: None) -> Session | None:
        """The session; None if it has not come within that time: then this can be called again.

        BpfRefused where there will be none; the process has ended then.
        """
        ends = time.monotonic() + seconds
        try:
            while (reply := self._next_word(ends, waiting)) is not None:
                if "doing" in reply:
                    self.doing = str(reply["doing"])[:80]
                else:
                    return self._session(reply)
        except TimeoutError:
            self.close()
            raise BpfRefused("loading the probes", "the loader stopped within its answer", "try again") from None
        except (EOFError, ConnectionError, ValueError):
            self._end(kill=False)
            why = f"the loader died ({self._last_words()})"
            raise BpfRefused("loading the probes", why, "run lazyobs doctor -v") from None
        return None

    def _next_word(self, ends: float, waiting: Waiting) -> dict[str, Any] | None:
        """The loader's next message, None if there is none until then."""
        while True:
            left = max(0.0, ends - time.monotonic())
            ready, _, _ = select.select([self._sock], [], [], min(left, _STEP))
            if ready:
                self._sock.settimeout(_SECONDS_TO_ANSWER)
                return loader_protocol.receive(self._sock)
            if not left:
                return None
            waiting(self.doing, time.monotonic() - self.started)

    def _session(self, reply: dict[str, Any]) -> Session:
        fds = loader_protocol.receive_fds(self._sock, len(reply.get("names", [])))
        meter = Meter(self._sock, reply.get("cpu_seconds", 0.0), self._let_go) if reply.get("stays") else None
        if meter is None:
            self._end(kill=False)
        if "error" in reply:
            loader_protocol.close_all(fds)
            raise self._refusal(reply)
        return Session(reply, fds, self._plan, self.interpreter, meter)

    def _let_go(self) -> None:
        """The loader that stayed ends when nobody listens; where another process does, after a fork, it goes on."""
        self._sock.close()
        if not self._has_ended(1.0):
            self._reap_later()

    def _refusal(self, reply: dict[str, Any]) -> BpfRefused:
        if reply["error"] == "compiler_missing":
            return CompilerNotFound(
                "loading the probes",
                f"no compiler is there: {self.interpreter} has no bcc ({reply['why']})",
                "install the distribution's python3-bpfcc, or set LAZYOBS_BCC_PYTHON to a python that has bcc",
            )
        if reply["error"] == "compiler":
            return BpfRefused("compiling the probes", self._last_words(), "please report this kernel")
        return BpfRefused("loading the probes", reply["why"], "run lazyobs doctor to see what this kernel allows")

    def _last_words(self) -> str:
        """The most informative line of the loader's output: the first compiler error, else the last line."""
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        errors = [line for line in lines if " error: " in line]
        if errors or lines:
            return (errors[0] if errors else lines[-1])[:300]
        return f"exit status {self._process.returncode}"

    def _end(self, kill: bool) -> None:
        """Waits for the process to exit; with ``kill`` it is terminated first.

        After root was given up it cannot be: then it ends when it finds that nobody listens, or with this process.
        """
        self._sock.close()
        try:
            if kill:
                self._process.terminate()
                self._process.send_signal(signal.SIGCONT)  # a stopped process gets SIGTERM when it goes on
            if not self._has_ended(5.0):
                self._process.kill()
                self._has_ended(float("inf"))
        except PermissionError:
            self._reap_later()

    def _has_ended(self, seconds: float) -> bool:
        """Waits so long for the process to exit, and reaps it.

        Not by Popen.wait(): a signal that raises in it can leave its lock taken, and the next call waits for ever."""
        ends, pause = time.monotonic() + seconds, 0.0005
        while self._process.returncode is None:
            try:
                pid, status = os.waitpid(self._process.pid, os.WNOHANG)
            except ChildProcessError:  # the call that a signal has interrupted has reaped it
                self._process.returncode = 0
                break
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= ends:
                return False
            else:
                pause = min(2 * pause, 0.05)
                time.sleep(pause)
        return True

    def leave(self) -> None:
        """After a fork: the other process goes on to wait for the loader, and this one only reaps it."""
        self._sock.close()
        self._reap_later()

    def _reap_later(self) -> None:
        threading.Thread(target=self._process.wait, name="loader", daemon=True).start()

    def close(self) -> None:
        """Ends the loader without loading anything. May be called again."""
        self._end(kill=True)


class CompilerNotFound(BpfRefused):
    """The interpreter that was tried has no BCC."""
