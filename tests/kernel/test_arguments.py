# SPDX-License-Identifier: MIT
"""Command lines: as /proc has them, and what a process may write there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from lazyobs.kernel import arguments
from lazyobs.views import columns
from tests.harness import lazyobs, process_of
from tests.hostile import HOSTILE, acting
from tests.views.handmade import process


def test_arguments_are_those_of_the_process():
    with subprocess.Popen(["sleep", "60.25"]) as program:
        while (found := arguments.read(program.pid)) is None:  # set late in an exec
            pass
        program.kill()
    assert found == "sleep 60.25"


def test_a_kernel_thread_and_an_ended_process_have_none(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_bytes(b"")
    assert arguments.read(7, str(tmp_path)) is None
    assert arguments.read(8, str(tmp_path)) is None


def test_a_long_command_line_is_cut_where_it_is_read(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_bytes(b"x\0" * 60_000)
    found = arguments.read(7, str(tmp_path))
    assert found is not None and len(found) < arguments.MOST


def test_hostile_arguments_reach_no_table_raw():
    shown = columns.named(process(3, comm="prog")) + columns.named(_with_args(HOSTILE * 20))
    assert not acting(shown) and len(shown) <= 4 + columns.MOST_OF_ARGS


def _with_args(args):
    found = process(3)
    found.args = args
    return found


def test_top_and_census_show_them_unless_they_are_not_wanted(bpf):
    words = "import time; time.sleep(60) # shown in full"
    with subprocess.Popen([sys.executable, "-c", words]) as program:
        pid = str(program.pid)
        done = lazyobs("top", "-n", "1", "-p", pid, "-o", "json")
        (row,) = json.loads(done.stdout)["processes"]
        assert row["args"] == f"{sys.executable} -c {words}" and row["comm"].startswith("python")
        assert f"{os.path.basename(sys.executable)} -c import time" in lazyobs("census", "-p", pid).stdout
        without = lazyobs("top", "-n", "1", "-p", pid, "-o", "json", "--no-args")
        document = json.loads(without.stdout)
        assert document["processes"][0]["args"] is None
        assert document["null_reasons"]["processes.args"] == "command lines were not asked for"
        assert "shown in full" not in without.stdout
        program.kill()


def test_a_command_line_follows_an_exec(live):
    """A shell that becomes another program of the same name: the line is read again while the process is new."""
    source = live(args=True)
    first = "read line; exec sh -c 'read line # second'"
    with subprocess.Popen(["sh", "-c", first], stdin=subprocess.PIPE) as program:
        while arguments.read(program.pid) is None:  # Popen comes back before exec has its arguments in place
            time.sleep(0.001)
        assert process_of(source.read(), program.pid).args == f"sh -c {first}"
        assert program.stdin is not None
        program.stdin.write(b"go\n")
        program.stdin.flush()
        while arguments.read(program.pid) != "sh -c read line # second":
            pass
        for _ in range(3):
            assert process_of(source.read(), program.pid).args == "sh -c read line # second"
