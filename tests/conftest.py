# SPDX-License-Identifier: MIT
"""What tests share: the known workload, live sources, and skips that must be explained.

LAZYOBS_DEMAND names features (harness.FEATURES, comma-separated) for want of which nothing may be skipped:
the project's own CI sets it. Elsewhere the skips and their reasons are summed up at the end.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from lazyobs.unix import privileges
from tests.harness import DEMANDED, FEATURES, ROOT, Islands, lazyobs, live_in, need_root, skip

# In the background of a script Ctrl-C and Ctrl-\ are ignored, below nohup the hang-up is; and so they would be by all
# that the tests start and send these to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


_HOME = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    if unknown := DEMANDED - FEATURES.keys():
        raise pytest.UsageError(
            f"LAZYOBS_DEMAND: no feature {', '.join(sorted(unknown))}; there are {', '.join(FEATURES)}"
        )

    config.stash[_HOME] = Path(tempfile.mkdtemp(prefix="lazyobs-home-"))
    live_in(config.stash[_HOME])


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash.get(_HOME, "/nonexistent"), ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_is_remembered(pytestconfig: pytest.Config):
    """What one test sets is no setting of the next."""
    yield
    shutil.rmtree(pytestconfig.stash[_HOME] / ".config", ignore_errors=True)


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch):
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _why_no_bpf() -> str:
    if not privileges.may_load_bpf():
        return "no permission to load BPF (run as root)"
    answer = lazyobs("doctor", "-o", "json")
    if '"tier":"tracepoint"' in answer.stdout:
        return ""
    return "doctor finds no tracepoint tier: " + (answer.stdout + answer.stderr)[-400:]


@pytest.fixture(scope="session")
def bpf_state() -> str:
    return _why_no_bpf()


@pytest.fixture
def bpf(bpf_state: str) -> None:
    """The test needs BPF programs to load here."""
    if bpf_state:
        skip("bpf", bpf_state)


@pytest.fixture
def root() -> None:
    """The test needs root."""
    need_root("it becomes another user, or does what only root may")


@pytest.fixture(scope="session")
def islands_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("workloads") / "islands"
    source = ROOT / "tests/workloads/islands.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    program.parent.chmod(0o755)
    return program


@pytest.fixture
def islands(islands_program: Path):
    """A function that starts ``Islands`` of so many VMAs; all are ended with the test."""
    started: list[Islands] = []

    def start(count: int) -> Islands:
        started.append(Islands(islands_program, count))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def live(bpf: None):
    """A function that opens a live source without giving up root; closed with the test."""
    from lazyobs.sources.open import open_live

    opened = []

    def open_source(**options):
        found = open_live(keep_root=True, **options)
        assert not found.why_not, found.why_not
        opened.append(found.source)
        return found.source

    yield open_source
    for source in opened:
        source.close()


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("skipped for want of")
        reasons: dict[str, int] = {}
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            reasons[reason] = reasons.get(reason, 0) + 1
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:4}  {reason}")
