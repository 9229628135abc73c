# SPDX-License-Identifier: MIT
"""Each command in the pages: it is run here, or by another test, or the table says why it is not run.

What the commands in the text of a page name, options and targets of make, is there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from lab import boot, kernels, roots
from lazyobs import manual
from tests.harness import ROOT, need_open_checkout, need_programs
from tests.test_docs import PAGES

# commands.md is written from the commands, and CHANGELOG.md is of the past.
READ = tuple(page for page in PAGES if page not in ("docs/commands.md", "CHANGELOG.md"))
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PROGRAMS = (
    *(".venv/bin/python", "/opt/lazyobs/bin/pip", "LAZYOBS_SNAPSHOTS=write", "curl", "docker", "duckdb", "git", "lab/run"),
    *("lazyobs", "make", "node_exporter", "prometheus", "python3", "setpriv", "ssh", "sudo"),
)  # fmt: skip
# What other blocks begin with: a picture, a message, results.
OTHERS = ("commands          cli", "bpf: each count", "lazyobs: patch", "# ")


@dataclass(frozen=True)
class Run:
    """With ``instead`` in place of what takes hours or is never there. ``live``: it takes BPF. ``status``: those it may
    exit with."""

    instead: tuple[tuple[str, str], ...] = ()
    live: bool = False
    status: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class By:
    """Run by a test (file::function), or by a script."""

    test: str


@dataclass(frozen=True)
class Not:
    why: str


# In place of the profile of a kernel that is not here.
FITS = str(ROOT / "lazyobs/kernel/profiles/mainline.toml")
GUEST = Not("it boots a guest, which takes half a minute; tests/lab/test_run.py runs other commands in it")
MACHINE = Not("it changes the machine; make deb-systemd tries the same units of the package")
HOURS = Not("it takes hours")
# The first row that matches the whole command.
TABLE: tuple[tuple[str, Run | By | Not], ...] = (
    (r"\$ .*", By("tests/drawing/test_answers.py::test_it_is_what_the_command_prints")),
    # make
    (r"make (setup|check|test|lab KERNEL=ci ROOT=trixie)", By(".ci/run")),
    (r"make help", By("tests/test_makefile.py::test_bare_make_is_help")),
    (r"make top", Not("it sets up, and runs until it is ended; .ci/run sets up, and sudo lazyobs top is below")),
    (r"make (test-quick|test TESTS=.*)", Not("it is a part of the suite that this test is of")),
    (r"make -C lab kselftest", By("tests/lab/test_kselftest.py::test_make_builds_it")),
    (r"make judge-controls", Not("it takes days; tests/lab/test_controls.py is of what it judges and keeps")),
    (r"make (lab|lab-\w+)( .*)?", Not("it builds or boots kernels: minutes to hours")),
    (r"make deb && ansible-playbook .*", Not("it takes hosts and ansible; tests/test_deploy.py reads the role")),
    (r"lab/run --list", Run()),
    (r"lab/run .*", GUEST),
    # Python
    (r"\.venv/bin/python -m lazyobs\.schema > .*", By("tests/test_schema.py::test_committed_schema_is_current")),
    (r"\.venv/bin/python -m lazyobs\.exporter\.reference > .*", By("tests/exporter/test_reference.py::test_the_document_is_what_the_table_says")),
    (r"(LAZYOBS_SNAPSHOTS=write )?\.venv/bin/python -m pytest .*", Not("it is a part of the suite that this test is of")),
    (r"python3 -m lab\.mutations .*", HOURS),
    (r"python3 -m lab\.controls --list", Run()),
    (r"sudo \.venv/bin/python -m lab\.controls .*", HOURS),
    (r"python3 -m venv .*|/opt/lazyobs/bin/pip install .*|sudo /opt/lazyobs/bin/lazyobs .*", By("tests/test_dist.py::test_an_unpacked_wheel_runs_alone")),
    # What only other machines have
    (r"docker .*", Not("it takes docker and an image; tests/confined.py grants the same capabilities")),
    (r"setpriv .*", Run(live=True)),
    (r"ssh .*", Not("it takes a second host")),
    (r"node_exporter .*", Not("Debian's has no systemd-free start; tests/exporter/test_textfile.py reads the file")),
    (r"sudo (cp|mkdir|install|systemctl) .*", MACHINE),
    (r"sudo apt install .*", By("packages/deb/try")),
    (r"prometheus --enable-feature=agent .*", By("tests/dashboards/test_prometheus.py::test_agents_write_to_a_receiver")),
    (r"git config b4.* .*", Not("it takes b4 and a list's archive; tests/judge/test_card.py is of what it prints")),
    # lazyobs, which others run
    (r"sudo lazyobs export|curl .*", By("tests/exporter/test_live.py::test_totals_are_the_islands_exact_counts")),
    (r"sudo lazyobs export --textfile .*", By("tests/exporter/test_textfile.py::test_the_command_writes_as_the_user_it_becomes")),
    (r"lazyobs export --replay DIR", By("tests/exporter/test_playback.py::test_a_recording_is_served")),
    (r"(sudo )?lazyobs top --web.*", By("tests/screen/web")),
    (r"lazyobs judge .*", HOURS),
    (r"sudo lazyobs selftest( --profile .*)?", By("tests/selftest/test_battery.py::test_passes_here")),
    (r"sudo lazyobs selftest --only .*", By("tests/selftest/test_battery.py::test_passes_here")),
    (r"sudo lazyobs selftest --kernel", By("tests/selftest/test_kernel_program.py::test_the_paths_of_each_test_are_its_own")),
    (r"sudo lazyobs selftest --observe -- sh -c .* \| grep execs", Not("its counter is that of the page's example")),
    (r"lazyobs compare .* --calibrate", Not("it takes minutes; tests/soak is of --calibrate")),
    # lazyobs, run here
    (r"sudo lazyobs selftest --observe -- COMMAND\.\.\.", Run((("COMMAND...", "true"),), live=True)),
    (r"sudo lazyobs top --budget \S+", Run((("top", "top -n 1"),), live=True)),
    (r"sudo lazyobs top", Run((("top", "top -n 1"),), live=True)),
    (r"sudo lazyobs record .*-- make -j8", Run((("make -j8", "true"),), live=True)),
    (r"sudo lazyobs record .*--duration 1h && .*", Run((("1h", "1"), ("soak", "made")), live=True)),
    (r"sudo lazyobs record .*--duration 24h", Run((("24h", "1"), ("soak", "day")), live=True)),
    (r"sudo lazyobs record .*", Run((("record", "record --duration 1"),), live=True)),
    (r"lazyobs census --would --watch 60", Run((("60", "1"),), live=True)),
    (r"lazyobs census --would -p PID", Run((("PID", "$$"),), live=True)),
    (r"lazyobs compare .* --need-pass && roll-out", Run(status=(1,))),
    (r"(sudo )?lazyobs (doctor|census) .*lab-v2\.toml", Run((("lab-v2.toml", FITS),), live=True, status=(0, 1))),
    (r"lazyobs doctor --against .*", Run(live=True, status=(0, 1))),
    (r"sudo lazyobs (doctor|census|summary).*|lazyobs census --would", Run(live=True)),
    (r"lazyobs .*|duckdb .*", Run()),
)  # fmt: skip


def whole(lines: list[str]) -> Iterator[str]:
    """Commands, of lines that a backslash or an open quote continues; without comments."""
    waiting = ""
    for line in lines:
        waiting += line.strip()
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
            continue
        try:
            shlex.split(waiting, comments=True)
        except ValueError:
            waiting += " "
            continue
        if command := re.sub(r"\s+# .*", "", waiting).strip():
            yield command
        waiting = ""
    assert not waiting, waiting


def commands(text: str) -> tuple[list[str], list[str]]:
    """The commands in a page's blocks, and the first lines of blocks that are neither commands nor known to be others."""
    found, unknown = [], []
    for language, block in BLOCK.findall(text):
        if language:
            continue
        lines = block.rstrip("\n").split("\n")
        begin = lines[0].strip()
        if begin.startswith("$ "):
            found += [line for line in lines if line.startswith("$ ")]
        elif begin.split()[0] in PROGRAMS:
            found += list(whole(lines))
        elif not begin.startswith(OTHERS):
            unknown.append(begin)
    return found, unknown


def place_in_table(command: str) -> int | None:
    return next((at for at, (pattern, _) in enumerate(TABLE) if re.fullmatch(pattern, command)), None)


def row(command: str) -> Run | By | Not | None:
    at = place_in_table(command)
    return None if at is None else TABLE[at][1]


TEXTS = {page: (ROOT / page).read_text() for page in READ}
ALL = sorted({command for text in TEXTS.values() for command in commands(text)[0]})


def _runs(live: bool) -> list[str]:
    return [command for command in ALL if isinstance(how := row(command), Run) and how.live == live]


@pytest.mark.parametrize("page", READ)
def test_every_block_is_read(page: str) -> None:
    assert commands(TEXTS[page])[1] == []


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_a_row(command: str) -> None:
    assert row(command) is not None, "add it to TABLE: run, run by another test, or not run because"


def test_every_row_is_of_a_command_and_names_what_is_there() -> None:
    used = {place_in_table(command) for command in ALL}
    assert [pattern for at, (pattern, _) in enumerate(TABLE) if at not in used] == []
    for _, how in TABLE:
        if isinstance(how, By):
            file, _, function = how.test.partition("::")
            assert (ROOT / file).exists(), how.test
            assert not function or f"def {function}(" in (ROOT / file).read_text(), how.test
        elif isinstance(how, Not):
            assert len(how.why) > 10


# --- run ------------------------------------------------------------------------------------------

SHIMS = {
    "lazyobs": f'exec "{sys.executable}" -m lazyobs "$@"',
    "sudo": 'exec "$@"',
    "roll-out": "echo rolled out >rolled-out",
    "duckdb": f'exec "{sys.executable}" -c \'import duckdb, sys; print(duckdb.sql(sys.argv[2]))\' "$@"',
}
RECORDINGS = {
    "lab": ("DIR", "new-1", "on-1", "soak", "soak-1"),
    "debian-6.12": ("old-1", "off-1"),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory with what the pages take for granted: recordings, a kernel, a series. It is open to other users, as which
    some commands run; those that pytest makes are not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        fill(folder)
        yield folder


def fill(folder: Path) -> None:
    (folder / "bin").mkdir()
    for name, text in SHIMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    for example, names in RECORDINGS.items():
        for name in names:
            (folder / name).symlink_to(ROOT / "examples" / example)
    with contextlib.suppress(OSError):
        for name in ("vmlinux", "btf"):
            (folder / name).write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
        (folder / "kallsyms").write_bytes(Path("/proc/kallsyms").read_bytes())
    (folder / "lab").symlink_to(ROOT / "lab")
    (folder / "series.mbox").write_bytes(next((ROOT / "lab/patches").glob("v2-0001-*.patch")).read_bytes())


def _run(command: str, place: Path) -> None:
    how = row(command)
    assert isinstance(how, Run)
    typed = command
    for old, new in how.instead:
        assert old in typed
        typed = typed.replace(old, new, 1 if new.startswith(old) else -1)
    environment = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", typed], cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in how.status, f"{typed}: {done.stderr[-1000:]}"
    assert "Traceback" not in done.stderr
    assert done.stdout or ">" in typed or "record" in typed


@pytest.mark.slow
@pytest.mark.parametrize("command", _runs(live=False))
def test_it_runs(command: str, place: Path) -> None:
    need_programs("bash")
    _run(command, place)
    assert not (place / "rolled-out").exists(), "one boot of each is no PASS"


@pytest.mark.slow
@pytest.mark.bpf
@pytest.mark.parametrize("command", _runs(live=True))
def test_it_runs_here(command: str, bpf: None, place: Path) -> None:
    need_programs("bash", *(["setpriv"] if command.startswith("setpriv") else []))
    if command.startswith("setpriv"):
        need_open_checkout()
    _run(command, place)


# --- what they name -------------------------------------------------------------------------------

OPTIONS = {
    name: {one for parameter in context.command.params if isinstance(parameter, click.Option) for one in (*parameter.opts, *parameter.secondary_opts)} | {"-h", "--help"}
    for name, context in manual.contexts()
}  # fmt: skip
SPAN = re.compile(r"`([^`\n]+)`")


def wrong_options(text: str) -> list[str]:
    """Of the lazyobs commands in a line: commands and options that there are not."""
    wrong = []
    for part in re.split(r"[|>]|&&", re.sub(r"\s+# .*", "", text)):
        words = part.removeprefix("$ ").removeprefix("sudo ").split()
        if len(words) < 2 or words[0] != "lazyobs" or not re.fullmatch(r"[a-z]+", words[1]):
            continue
        if words[1] not in OPTIONS:
            wrong.append(words[1])
            continue
        end = next((at for at, word in enumerate(words) if word in ("--", "[--")), len(words))
        typed = words[2:end]
        names = [re.sub(r"[=\]].*", "", word.lstrip("[")) for word in typed if re.match(r"\[?-", word)]
        wrong += [name for name in names if name not in OPTIONS[words[1]]]
    return wrong


def _targets() -> set[str]:
    text = (ROOT / "Makefile").read_text() + (ROOT / "lab/lab.mk").read_text()
    return set(re.findall(r"^([\w-]+):(?!=)", text, re.MULTILINE))


@pytest.mark.parametrize("page", READ)
def test_options_and_targets_that_a_page_names_are_there(page: str) -> None:
    lines = [*commands(TEXTS[page])[0], *SPAN.findall(TEXTS[page])]
    assert [(line, wrong) for line in lines if (wrong := wrong_options(line))] == []
    targets = {line.split()[1] for line in lines if re.match(r"make [a-z]", line)}
    assert targets <= _targets()


@pytest.mark.parametrize("command", [command for command in ALL if command.startswith("lab/run ")])
def test_the_lab_takes_it(command: str) -> None:
    asked = boot._parser().parse_args(shlex.split(command)[1:])
    assert asked.kernel in kernels.table()
    assert asked.root is None or asked.root in roots.table()
    assert asked.list or asked.command


def test_mistakes_are_seen() -> None:
    assert wrong_options("sudo lazyobs top --nonsense -n 1 | lazyobs nothing x") == ["--nonsense", "nothing"]
    assert wrong_options("lazyobs record -o x -- make -j8") == []
    assert wrong_options("lazyobs top [-d SECS] [--replay=x] [-Z]") == ["-Z"]
    text = "```\nlazyobs a \\\n  b   # c\nduckdb 'd\ne'\n```\n```\n$ f\ng\n```\n```toml\nh = 1\n```\n  ```\n  make i\n  ```\n```\nj\n```\n"
    assert commands(text) == (["lazyobs a b", "duckdb 'd e'", "$ f", "make i"], ["j"])
    assert row("lazyobs-unknown x") is None
