# SPDX-License-Identifier: MIT
"""What a host needs that is watched: every command on the running kernel works without the packages of the extras, and
one that cannot says in a line what to install."""

from __future__ import annotations

import configparser
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from lazyobs.recording.reader import Recording
from tests.harness import ROOT, lazyobs

# Modules of what setup.cfg names in its extras, and of what comes along with it.
HEAVY = (
    *("numpy", "pyarrow", "scipy", "pandas", "duckdb", "_duckdb", "ibis", "sqlglot", "plotly", "pyspark"),
    *("bcrypt", "yaml", "textual_serve", "aiohttp", "jsonschema", "hypothesis", "grafana_foundation_sdk"),
)
COMMAND = [sys.executable, str(ROOT / "tests/commands/without.py")]
ENVIRONMENT = {**os.environ, "WITHOUT": ",".join(HEAVY), "PYTHONPATH": str(ROOT)}


def run(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT, timeout=timeout, check=False
    )


def test_no_module_of_an_extra_is_required() -> None:
    """The list above has all of them: whoever moves a package to an extra adds its module."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = {re.split(r"[><=;\[]", line)[0] for line in setup["options"]["install_requires"].split("\n") if line}
    assert not {name.replace("-", "_").lower() for name in required} & set(HEAVY)
    extras = setup["options.extras_require"]
    named = {re.split(r"[><=;\[]", line)[0] for extra in ("soak", "web") for line in extras[extra].split("\n") if line}
    modules = {"ibis-framework": "ibis", "PyYAML": "yaml"}
    assert {modules.get(name, name).replace("-", "_") for name in named} <= set(HEAVY)


@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("summary", "-d", "0.2"),
        ("top", "-b", "-n", "2", "-d", "0.2"),
        ("census",),
        ("trace", "--duration", "0.2"),
        ("selftest", "--only", "control"),
        ("images",),
    ],
)
def test_it_runs(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout


@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
def test_the_exporter_serves() -> None:
    command = [*COMMAND, "export", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=ROOT) as process:
        try:
            assert process.stderr is not None
            address = re.search(r"http://\S+/metrics", process.stderr.readline())
            assert address
            with urllib.request.urlopen(address[0], timeout=60) as answer:
                assert b"lazyobs_forks_total" in answer.read()
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.bpf
@pytest.mark.usefixtures("bpf")
def test_it_records_and_others_read_it(tmp_path: Path) -> None:
    done = run(
        "record", "-o", str(tmp_path / "r"), "-d", "0.2", "--", "sh", "-c", "for i in 1 2 3; do true & done; wait"
    )
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if "is not installed" in line]
    assert notes == [
        "lazyobs: pyarrow is not installed: the recording stays Arrow streams, several times as large as Parquet;"
        " lazyobs report and compare read both"
    ]
    recording = Recording(str(tmp_path / "r"))
    samples = list(recording.samples())
    assert samples and recording.notes() == []
    assert samples[-1].command is not None and samples[-1].command["forks"] == 3
    judged = lazyobs("report", str(tmp_path / "r"), "-o", "json")
    assert json.loads(judged.stdout)["word"] in ("INCONCLUSIVE", "PASS"), judged.stderr


@pytest.mark.parametrize(
    "words", [("top",), ("census",), ("summary",), ("trace",), ("export", "--listen", "127.0.0.1:0")]
)
def test_a_replay_says_what_is_missing(words: tuple[str, ...]) -> None:
    done = run(*words, "--replay", "examples/lab")
    remedy = "run make setup in the checkout, or there: pip install '.[soak]'"
    expected = (3, "", f"lazyobs: --replay: needs numpy, pyarrow; {remedy}\n")
    assert (done.returncode, done.stdout, done.stderr) == expected


@pytest.mark.parametrize(
    "words", [("report", "examples/lab"), ("compare", "--base", "examples/lab", "--new", "examples/lab")]
)
def test_a_verdict_says_what_is_missing(words: tuple[str, ...]) -> None:
    done = run(*words)
    remedy = "run make setup in the checkout, or there: pip install '.[soak]'"
    expected = (3, "", f"lazyobs: {words[0]}: needs numpy, pyarrow, scipy, plotly; {remedy}\n")
    assert (done.returncode, done.stdout, done.stderr) == expected
