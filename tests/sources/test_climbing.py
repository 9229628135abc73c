# SPDX-License-Identifier: MIT
"""A busy start costs no counters: people are told that they wait, and what runs for long begins without and climbs."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lazyobs.sources.patience import Patience
from tests.exporter.metrics import Series, of_page, series
from tests.exporter.starting import Exporter, exporters
from tests.harness import LAZYOBS, ROOT, lazyobs
from tests.sources.slow_loader import LONG, Stopped, sleeping, until

pytestmark = [pytest.mark.slow, pytest.mark.bpf]

PREPARES, LOADING = series("lazyobs_prepares_total"), series("lazyobs_probes_loading")
ATTACHED = series("lazyobs_attach_time_seconds")


@contextmanager
def _terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """(descriptor of a terminal, a function that returns what was written there by now)."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    said = b""

    def read() -> str:
        nonlocal said
        try:
            while part := os.read(ours, 65536):
                said += part
        except (BlockingIOError, OSError):
            pass
        return said.decode()

    try:
        yield theirs, read
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    "arguments",
    [["top", "-b", "-n", "1", "-o", "json"], ["trace", "--duration", "1", "-o", "json"], ["census", "-o", "json"], ["doctor", "-o", "json"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_person_is_told_that_it_takes_long(bpf: None, tmp_path: Path, arguments: list[str]) -> None:
    with _terminal() as (theirs, said):
        done = subprocess.run(
            [*LAZYOBS, *arguments], env={**os.environ, **sleeping(tmp_path, 4)}, cwd=ROOT, stdout=subprocess.PIPE,
            stderr=theirs, text=True, timeout=LONG,
        )  # fmt: skip
        told = said()
    assert done.returncode == 0, told
    way_out = "Ctrl-C ends it" + (", --tier procfs starts without BPF" if arguments[0] != "trace" else "")
    assert re.search(rf"\rlazyobs: starting the loader: \d+ s \.\.\. \({way_out}\)\x1b\[K", told)
    if arguments[0] == "trace":
        assert "0 lost" in told
    else:
        assert told.endswith("\r\x1b[K")
        found = json.loads(done.stdout)
        tiers = found.get("tiers") or {point["point"]: point["tier"] for point in found["points"]}
        assert tiers["census"] == "iter"


def test_a_log_is_told_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with Patience() as waiting:
        for quarter in range(4 * 90):
            waiting.wait("compiling the probes", quarter / 4)
    way_out = "... (Ctrl-C ends it, --tier procfs starts without BPF)"
    assert capsys.readouterr().err.splitlines() == [f"lazyobs: compiling the probes: {seconds} s {way_out}" for seconds in (10, 20, 40, 80)]  # fmt: skip


def test_a_wait_that_ends_names_the_way_out(bpf: None, tmp_path: Path) -> None:
    stopped = Stopped(tmp_path)
    done = lazyobs("trace", env={**os.environ, **stopped.environment})
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
    assert "no answer within 1 s (starting the loader; LAZYOBS_LOADER_SECONDS sets the seconds)" in done.stderr
    until(stopped.has_ended)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_seconds_that_are_none(bpf: None, text: str) -> None:
    done = lazyobs("trace", env={**os.environ, "LAZYOBS_LOADER_SECONDS": text})
    assert done.returncode == 2 and done.stderr.startswith(f"lazyobs: LAZYOBS_LOADER_SECONDS={text}: is no number of seconds;")  # fmt: skip


@pytest.fixture
def export(tmp_path: Path) -> Iterator[Callable[..., Exporter]]:
    with exporters(tmp_path) as start:
        yield start


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _capabilities(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("CapEff:\t")[2].split()[0], 16)


def _page(exporter: Exporter) -> dict[Series, float]:
    """A scrape at leisure: after a slow reading the next one rests."""
    return of_page(exporter.get(seconds=90))


def test_an_exporter_climbs(bpf: None, tmp_path: Path, export: Callable[..., Exporter]) -> None:
    stopped = Stopped(tmp_path)
    exporter = export("--seconds", "60", **stopped.environment)
    reader = next(pid for pid in _children(exporter.pid) if pid != stopped.pid)
    for _ in range(2):
        before = _page(exporter)
        assert before[LOADING] == 1 and before[series("lazyobs_vmas", state="anonymous")] > 0
        assert PREPARES not in before and ATTACHED not in before and series("lazyobs_probes_missing") not in before
    assert _capabilities(reader) != 0  # to read smaps of all users
    began = time.time()
    stopped.signal(signal.SIGCONT)
    until(lambda: _page(exporter)[LOADING] == 0)
    after = _page(exporter)
    assert after[series("lazyobs_probe_attached", probe="slab", tier="tracepoint")] == 1
    assert after[PREPARES] >= 0 and began - 1 <= after[ATTACHED] <= time.time()
    assert {key for key in after if key[0] == "lazyobs_scrape_collector_success" and after[key] != 1} == set()
    assert _capabilities(reader) == 0
    until(lambda: stopped.pid not in _children(exporter.pid))  # no zombie either


def test_an_exporter_that_loses_its_loader_says_so(bpf: None, tmp_path: Path, export: Callable[..., Exporter]) -> None:
    stopped = Stopped(tmp_path)
    exporter = export("--seconds", "60", **stopped.environment)
    assert _page(exporter)[LOADING] == 1
    stopped.signal(signal.SIGKILL)
    until(lambda: _page(exporter)[LOADING] == 0)
    page = _page(exporter)
    assert PREPARES not in page and page[series("lazyobs_vmas", state="anonymous")] > 0
    assert page[series("lazyobs_probes_missing")] > 0, "the alert on missing probes fires"
    assert ATTACHED not in page and page[series("lazyobs_probe_attached", probe="slab", tier="")] == 0
    until(lambda: stopped.pid not in _children(exporter.pid))


def test_an_exporter_that_ends_leaves_no_loader(bpf: None, tmp_path: Path) -> None:
    stopped = Stopped(tmp_path)
    with exporters(tmp_path) as start:
        start(**stopped.environment)
        assert not stopped.has_ended()
    stopped.signal(signal.SIGCONT)  # what its death sent is acted on when it goes on
    until(stopped.has_ended)


def _samples(folder: Path) -> list[dict]:
    done = lazyobs("top", "--replay", str(folder), "-b", "-o", "json", "--speed", "1000")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def _recording(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [*LAZYOBS, "record", "-o", str(folder), "--interval", "0.5", "--barrier", "0"]
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()


def _ended(process: subprocess.Popen[str]) -> str:
    process.terminate()
    _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 0, errors
    return errors


def test_a_recording_climbs(bpf: None, tmp_path: Path) -> None:
    stopped = Stopped(tmp_path)
    folder = tmp_path / "r"
    with _recording(folder, stopped.environment) as process:
        until(lambda: bool(list(folder.glob("samples-*"))), process)
        time.sleep(2)
        assert json.loads((folder / "recording.json").read_text())["identity"]["tiers"] == {"census": "procfs"}
        stopped.signal(signal.SIGCONT)
        until(lambda: "slab" in json.loads((folder / "recording.json").read_text())["identity"]["tiers"], process)
        time.sleep(1)
        for _ in range(23):
            subprocess.run(["/bin/true"], check=True)
        time.sleep(1)
        errors = _ended(process)
    assert "tier procfs for now" in errors and "probes attached" in errors
    found = _samples(folder)
    early = [one for one in found if one["totals"]["forks"] is None]
    late = found[len(early) :]
    assert len(early) >= 3 and len(late) >= 3 and all(one["totals"]["forks"] is not None for one in late)
    assert all("still being loaded" in one["null_reasons"]["totals"] for one in early)
    assert early[-1]["tiers"]["slab"] is None and late[-1]["tiers"]["slab"] == "tracepoint"
    assert late[-1]["totals"]["forks"] >= 23 and late[0]["totals"]["forks_rate"] is None
    assert 0.1 < late[0]["elapsed"] < 10  # since the last sample without them
    identity = json.loads((folder / "recording.json").read_text())["identity"]
    assert identity["no_bpf"] is None and identity["tiers"]["slab"] == "tracepoint" and identity["bcc"]
    assert "events.fork" not in identity["not_recorded"]
    events = lazyobs(
        "trace", "--replay", str(folder), "-e", "fork", "-o", "json", "--speed", "1000"
    ).stdout.splitlines()
    assert len(events) >= 23
    report = lazyobs("report", str(folder), "-o", "json")
    assert "which is judged from then on" in report.stdout, report.stderr


def test_a_recording_that_loses_its_loader_says_so(bpf: None, tmp_path: Path) -> None:
    stopped = Stopped(tmp_path)
    folder = tmp_path / "r"
    with _recording(folder, stopped.environment) as process:
        until(lambda: bool(list(folder.glob("samples-*"))), process)
        stopped.signal(signal.SIGKILL)
        until(lambda: "died" in str(json.loads((folder / "recording.json").read_text())["identity"]["no_bpf"]), process)
        time.sleep(1)
        errors = _ended(process)
    assert "no BPF, the tier stays procfs" in errors
    last = _samples(folder)[-1]
    assert "the loader died" in last["null_reasons"]["totals"] and last["health"]["probes_missing"] > 0


def test_a_recorded_command_waits_for_its_counts(bpf: None, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    slow = {**sleeping(tmp_path, 3), "LAZYOBS_LOADER_SECONDS": "60"}
    done = lazyobs("record", "-o", str(folder), "--", "sh", "-c", "/bin/true; /bin/true", env={**os.environ, **slow})
    assert done.returncode == 0, done.stderr
    assert all(one["totals"]["forks"] is not None for one in _samples(folder))
