# SPDX-License-Identifier: MIT
"""A start that is ended while it compiles leaves nothing in /tmp."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness import ROOT

pytestmark = pytest.mark.slow

# Nothing is kept from an earlier start there, so each compiles: for a second, in one call of the compiler's.
_SCRIPT = """
for place in /tmp /run /var/cache /var/tmp; do mount -t tmpfs none $place; done
for delay in 0.07 0.23 0.37 0.53 0.71 1.01 1.31 1.61 2.03 2.51; do
    "$@" top -b -n 1 --compile > /dev/null 2>&1 &
    watched=$!
    sleep $delay
    kill -$SIGNAL $watched
    wait $watched 2> /dev/null
    rm -rf /var/cache/lazyobs
done
sleep 3
ls /tmp /var/tmp
"""


@pytest.mark.parametrize("name", ["TERM", "HUP", "KILL"])
def test_a_start_that_is_ended_leaves_nothing(bpf, name):
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", _SCRIPT, "sh", sys.executable, "-m", "lazyobs"],
        capture_output=True, text=True, cwd=ROOT, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SIGNAL": name},
    )  # fmt: skip
    assert done.stdout.split() == ["/tmp:", "/var/tmp:"]
