# SPDX-License-Identifier: MIT
"""The consumer's side of the loader: start it, send the plan, keep the descriptors it hands over."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from lazyobs.bpf import loader_protocol
from lazyobs.bpf.plan import Plan
from lazyobs.errors import BpfRefused
from lazyobs.unix.memory_file import memory_file

_PACKAGE_ROOT = str(Path(__file__).parent.parent.parent)
# Appended, not put first: a package named bcc beside lazyobs must not hide the distribution's.
_LOADER_CODE = "import sys; sys.path.append(sys.argv[1]); from lazyobs.bpf.loader import main; main(int(sys.argv[2]))"
# A compile takes 0.3 s. Emulated machines, whose clock may run ahead, need more.
SECONDS_TO_LOAD = float(os.environ.get("LAZYOBS_LOADER_SECONDS", "60"))


class Session:
    """Descriptors of loaded probes. ``tiers``: {point: tier or None}; ``refused``: {point: {tier: why}};
    ``unjudged`` and ``unknown``: see Plan; ``ignored``: cache entries that were not used, and why.

    Programs, links and maps live as long as these descriptors.
    """

    def __init__(self, reply: dict[str, Any], fds: list[int], plan: Plan, interpreter: str) -> None:
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
        self.compiled: bool = reply["compiled"]
        self.ignored: list[str] = reply["ignored"]
        self.compiler: str = reply["compiler"]
        self.interpreter = interpreter

    def close(self) -> None:
        """Detaches the programs and frees the maps."""
        for table in (self.links, self.programs, self.maps):
            loader_protocol.close_all(list(table.values()))
            table.clear()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


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
    """A loader process that waits for its plan. It starts at once, to be ready when the plan is."""

    def __init__(self, interpreter: str) -> None:
        self.interpreter = interpreter
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._stderr = memory_file("lazyobs-loader")
        try:
            self._process = subprocess.Popen(
                [interpreter, "-I", "-c", _LOADER_CODE, _PACKAGE_ROOT, str(theirs.fileno())],
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

    def load(self, plan: Plan, seconds: float = SECONDS_TO_LOAD) -> Session:
        """``send``, then ``receive``."""
        self.send(plan)
        return self.receive(seconds)

    def send(self, plan: Plan) -> None:
        """Sends the plan. ``receive`` reports a loader that has died."""
        self._plan = plan
        try:
            loader_protocol.send(self._sock, plan.as_request())
        except ConnectionError:
            pass

    def receive(self, seconds: float = SECONDS_TO_LOAD) -> Session:
        """Waits for the descriptors; the process has ended when this returns.

        Raises BpfRefused with the reason in every other case; nothing is left attached then.
        """
        deadline = time.monotonic() + seconds
        answered = False
        try:
            self._wait(deadline)
            self._sock.settimeout(max(0.1, deadline - time.monotonic()))
            reply = loader_protocol.receive(self._sock)
            fds = loader_protocol.receive_fds(self._sock, len(reply.get("names", [])))
            answered = True
        except TimeoutError:
            raise BpfRefused(
                "loading the probes",
                f"the loader gave no answer within {seconds:.0f} s",
                "try again, or lazyobs doctor -v",
            ) from None
        except (EOFError, ConnectionError, ValueError):
            self._end(kill=False)
            raise BpfRefused(
                "loading the probes", f"the loader died ({self._last_words()})", "run lazyobs doctor -v"
            ) from None
        finally:
            self._end(kill=not answered)
        if "error" in reply:
            loader_protocol.close_all(fds)
            raise self._refusal(reply)
        return Session(reply, fds, self._plan, self.interpreter)

    def _wait(self, deadline: float) -> None:
        ready, _, _ = select.select([self._sock], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError

    def _refusal(self, reply: dict[str, Any]) -> BpfRefused:
        if reply["error"] == "compiler_missing":
            return CompilerNotFound(
                "loading the probes",
                f"{self.interpreter} has no bcc ({reply['why']})",
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
        """Waits for the process to exit; with ``kill`` it is terminated first."""
        self._sock.close()
        if kill:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends the loader without loading anything."""
        self._end(kill=True)


class CompilerNotFound(BpfRefused):
    """The interpreter that was tried has no BCC."""
