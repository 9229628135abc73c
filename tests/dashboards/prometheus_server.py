# SPDX-License-Identifier: MIT
"""A real Prometheus for tests: the one in $PATH, or the distribution's package unpacked (not installed: that
would start a service) into a cache."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the tests use of it (agent mode, lint, remote write as an option) is all there from this version on.
OLDEST = (2, 37)


@dataclass(frozen=True)
class Programs:
    prometheus: Path
    promtool: Path

    @property
    def version(self) -> tuple[int, int]:
        told = subprocess.run([self.prometheus, "--version"], capture_output=True, text=True)
        found = re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @property
    def agent_options(self) -> list[str]:
        return ["--agent"] if self.version >= (3, 0) else ["--enable-feature=agent"]


def programs_or_why() -> Programs | str:
    """The programs, or why there are none."""
    found = shutil.which("prometheus"), shutil.which("promtool")
    if found[0] and found[1]:
        programs = Programs(Path(found[0]), Path(found[1]))
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lazyobs/prometheus"
        programs = Programs(cache / "usr/bin/prometheus", cache / "usr/bin/promtool")
        why = "" if programs.promtool.exists() else _unpack(cache)
        if why:
            return why
    if programs.version < OLDEST:
        return f"{programs.prometheus} is version {programs.version}, older than {OLDEST}"
    return programs


def _unpack(cache: Path) -> str:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return "no prometheus in $PATH, and no apt-get to fetch its package with"
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent) as directory:
        fetched = subprocess.run(["apt-get", "download", "prometheus"], cwd=directory, capture_output=True, text=True)
        packages = list(Path(directory).glob("*.deb"))
        if not packages:
            last = (fetched.stderr.strip() or "apt-get download prometheus: nothing came").splitlines()[-1]
            return f"no prometheus in $PATH, and {last}"
        subprocess.run(["dpkg-deb", "-x", packages[0], f"{directory}/root"], check=True)
        with contextlib.suppress(OSError):  # another run was first
            os.rename(f"{directory}/root", cache)
    return ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


class Prometheus:
    """A running server's API."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url, self.process = url, process

    def api(self, path: str, **parameters: str) -> Any:
        """``data`` of an answer; AssertionError with the server's words where it is an error."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        assert answer["status"] == "success", f"{answer.get('error')}: {parameters}"
        return answer["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Series of an instant query."""
        data = self.api("query", query=expr)
        return data["result"] if data["resultType"] == "vector" else [data]

    def wait_for(self, expr: str, seconds: float = 60) -> list[dict[str, Any]]:
        """The first answer that is not empty."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.query(expr)
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"no series for {expr}")


@contextlib.contextmanager
def running(
    programs: Programs, config: Path, directory: Path, *arguments: str, agent: bool = False
) -> Iterator[Prometheus]:
    """Starts a server on a free port of loopback; it is stopped and its log shown where it fails."""
    address = f"127.0.0.1:{free_port()}"
    storage = (
        [*programs.agent_options, f"--storage.agent.path={directory}"]
        if agent
        else [f"--storage.tsdb.path={directory}"]
    )
    log = directory.parent / f"{directory.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [programs.prometheus, f"--config.file={config}", f"--web.listen-address={address}", *storage, *arguments],
            stdout=file, stderr=file, env={**os.environ, "GOMAXPROCS": "1"},
        )  # fmt: skip
    try:
        url = f"http://{address}"
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.1)
        yield Prometheus(url, process)
    finally:
        process.terminate()
        process.wait(20)
