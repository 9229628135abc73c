# SPDX-License-Identifier: MIT
"""Under a limit on memory a library that ends the program gives no verdict."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable

import pytest

from lazyobs.unix.memory_limits import survived
from tests.harness import LAZYOBS, ROOT, python

LAB = str(ROOT / "examples/lab")
READERS = (["report", LAB], ["top", "-b", "-n", "1", "--replay", LAB])


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_exit_code_is_that_of_the_work(code: int) -> None:
    assert survived(lambda: code) == code


@pytest.mark.parametrize(
    "end", [lambda: os._exit(1), lambda: os._exit(0), lambda: os.kill(os.getpid(), signal.SIGKILL)]
)
def test_an_end_in_the_middle_is_none(end: Callable[[], int]) -> None:
    assert survived(end) is None


@pytest.mark.slow
@pytest.mark.parametrize("arguments", READERS, ids=lambda words: words[0])
@pytest.mark.parametrize("megabytes", [100, 200, 400])
def test_a_command_without_memory_says_so_or_answers(arguments: list[str], megabytes: int) -> None:
    limit = megabytes << 20
    done = subprocess.run(
        [*LAZYOBS, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode in (0, 3), done.stderr
    if done.returncode == 3:
        assert done.stdout == "" and "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"lazyobs: {arguments[0]}: ") and "out of memory" in last
    else:
        assert done.stdout


def test_openblas_makes_no_thread_and_commands_do_not_see_its_variable() -> None:
    program = """if 1:
        import os, subprocess
        from lazyobs.unix import blas
        blas.use_one_thread()
        import numpy
        print(len(os.listdir("/proc/self/task")), blas.VARIABLE in os.environ)
        print(subprocess.run(["env"], env=os.environ, capture_output=True, text=True).stdout.count(blas.VARIABLE))
    """
    assert python(program)[0].split() == ["1", "False", "0"]
