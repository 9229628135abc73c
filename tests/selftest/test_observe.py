# SPDX-License-Identifier: MIT
"""``selftest --observe`` and ``record`` count a command and all that it starts apart from the system."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lazyobs.selftest.observe import WIDTH
from tests.harness import lazyobs

pytestmark = [pytest.mark.slow, pytest.mark.bpf]

# Three families of processes: a pipeline's; a daemon's, whose parents end first, so that it gets another one; that of
# the shell itself, which becomes another program, forks, and ends before its child has run for long. The shell waits for
# the daemon without a process that would sleep a different number of times in each run.
FAMILIES = """
printf 'touch\\n' | {islands} {piped}
(setsid sh -c "printf 'touch\\n' | {islands} {daemon}; echo x > {fifo}" &)
read x < {fifo}
printf 'touch\\nfork\\nreap\\n' > {commands}
exec {islands} {forked} < {commands}
"""
PRIMES = {"piped": 101, "daemon": 211, "forked": 1009}
NEIGHBOUR = 307


@pytest.fixture
def neighbour(islands_program: Path) -> Iterator[None]:
    """Somebody else, who prepares and forks all the time."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            told = "touch\nfork\nreap\n"
            subprocess.run([islands_program, str(NEIGHBOUR)], input=told, text=True, capture_output=True, check=True)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ended.set()
    thread.join()


def families(program: Path, folder: Path, counts: dict[str, int]) -> str:
    fifo = folder / "fifo"
    if not fifo.exists():
        subprocess.run(["mkfifo", fifo], check=True)
    return FAMILIES.format(islands=program, fifo=fifo, commands=folder / "commands", **counts)


def observed(program: Path, folder: Path, counts: dict[str, int]) -> dict[str, dict[str, int]]:
    answer = lazyobs("selftest", "--observe", "-o", "json", "--", "sh", "-c", families(program, folder, counts))
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout.splitlines()[-1])
    assert document["command_reason"] is None
    return {path["name"]: path for path in document["paths"]}


def test_every_descendant_is_counted_and_nobody_else(
    bpf: None, islands_program: Path, tmp_path: Path, neighbour: None
) -> None:
    few = observed(islands_program, tmp_path, dict.fromkeys(PRIMES, 1))
    many = observed(islands_program, tmp_path, PRIMES)

    def more(name: str) -> int:
        return many[name]["command_events"] - few[name]["command_events"]

    added = sum(count - 1 for count in PRIMES.values())
    first_faults = "lazy_prepares" if few["lazy_prepares"]["command_events"] is not None else "prepares"
    assert more(first_faults) == added
    assert more("fork_chains") == PRIMES["forked"] - 1
    assert more("forks") == 0
    assert many["forks"]["events"] > many["forks"]["command_events"]
    assert many["chain_allocs"]["events"] >= many["chain_allocs"]["command_events"] + NEIGHBOUR


def test_what_a_command_allocated_it_has_freed_when_it_has_ended(bpf: None, islands_program: Path) -> None:
    """The memory of lazyobs itself, which the command's process gives up when it becomes the command, is not in it."""
    script = f"printf 'touch\\nfork\\nreap\\n' | {islands_program} 211"
    found = []
    for _ in range(3):  # whoever reads /proc/PID/smaps at the end of a process frees its memory in its place
        answer = lazyobs("selftest", "--observe", "-o", "json", "--", "sh", "-c", script)
        paths = {path["name"]: path["command_events"] for path in json.loads(answer.stdout.splitlines()[-1])["paths"]}
        found = [paths[name] for name in ("anon_vma_allocs", "anon_vma_frees", "chain_allocs", "chain_frees")]
        if found[0] == found[1] and found[2] == found[3]:
            break
    assert found[0] == found[1] >= 2 * 211 and found[2] == found[3] >= 3 * 211


def test_the_report_has_both_in_a_letter(bpf: None, islands_program: Path) -> None:
    answer = lazyobs("selftest", "--observe", "--", "sh", "-c", f"printf 'touch\\n' | {islands_program} 211")
    lines = answer.stdout.splitlines()
    head = next(line for line in lines if line.startswith("Paths taken"))
    assert head.split()[-3:] == ["command", "whole", "system"] and max(map(len, lines)) <= WIDTH
    own, whole = map(int, next(line for line in lines if line.startswith("  chain_allocs ")).split()[1:])
    assert 211 <= own <= whole


def recorded(folder: Path, script: str, *options: str) -> tuple[dict[str, Any], str]:
    """(the last sample of a recording of the script, what the recorder said at its end)."""
    answer = lazyobs("record", "-o", str(folder), "--interval", "10", *options, "--", "sh", "-c", script)
    assert answer.returncode == 0, answer.stderr
    samples = lazyobs("top", "-b", "-o", "json", "--replay", str(folder)).stdout.splitlines()
    return json.loads(samples[-1]), answer.stderr.splitlines()[-1]


def test_a_recording_has_the_command_apart(
    bpf: None, root: None, islands_program: Path, tmp_path: Path, neighbour: None
) -> None:
    few, _ = recorded(tmp_path / "few", families(islands_program, tmp_path, dict.fromkeys(PRIMES, 1)))
    many, said = recorded(tmp_path / "many", families(islands_program, tmp_path, PRIMES))
    assert many["command"]["fork_chains"] - few["command"]["fork_chains"] == PRIMES["forked"] - 1
    assert many["command"]["forks"] == few["command"]["forks"]
    assert set(many["command"]) == {name for name in many["totals"] if not name.endswith("_rate")}
    assert f" chains allocated; {many['command']['forks']} forks that cloned {many['command']['fork_chains']} " in said


def test_without_probes_it_says_so(root: None, tmp_path: Path) -> None:
    sample, said = recorded(tmp_path / "r", "true", "--tier", "procfs")
    assert sample["command"] is None
    assert said.startswith("the command: not counted apart: counting needs BPF: --tier procfs")
