# SPDX-License-Identifier: MIT
"""Giving memory back: what is left works on."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from lazyobs.unix import memory
from tests.harness import ROOT, skip

_PROGRAM = """
import decimal, json, sqlite3, ssl
from lazyobs.unix import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

before = resident()
memory.settle()
memory.forget_code()
after = resident()
print(before, after)
print(decimal.Decimal(2).sqrt(), json.dumps([1]), sqlite3.connect(":memory:").execute("select 211").fetchone()[0])
"""
_SMAPS = b"""\
1000-2000 r-xp 00000000 08:01 11 /usr/lib/code.so
Rss:                   4 kB
Anonymous:             0 kB
2000-3000 r-xp 00001000 08:01 11 /usr/lib/patched.so
Anonymous:             4 kB
3000-4000 r--p 00002000 08:01 11 /usr/lib/code.so
Anonymous:             0 kB
4000-5000 rw-p 00003000 08:01 11 /usr/lib/code.so
Anonymous:             0 kB
5000-6000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
6000-7000 r-xp 00000000 00:00 0
Anonymous:             0 kB
"""


def test_a_program_goes_on_with_less() -> None:
    answer = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, cwd=ROOT)
    sizes, results = answer.stdout.splitlines()
    before, after = map(int, sizes.split())
    assert after < before * 0.9
    assert results == "1.414213562373095048801688724 [1] 211"


def test_only_code_without_pages_of_its_own_is_unmapped(tmp_path: Path) -> None:
    assert list(memory._code(_SMAPS.splitlines())) == [(0x1000, 0x2000), (0x3000, 0x4000)]
    memory.forget_code(str(tmp_path / "none"))


_IN_A_THREAD = """
import ctypes, re, sys, threading
from lazyobs.unix import memory
if sys.argv[1] == "one":
    memory.one_arena()
threading.Thread(target=lambda: ctypes.CDLL(None).malloc(100)).start()  # as libraries do
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.free(libc.malloc(24 << 20))  # glibc maps nothing of this size any more
memory.settle()

def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1])

def work():
    held = [libc.malloc(1 << 20) for _ in range(15)]
    for at in held:
        ctypes.memset(at, 1, 1 << 20)
    for at in held:
        libc.free(at)
    memory.trim()

before = resident()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resident() - before)
"""


def test_what_a_thread_has_freed_goes_back() -> None:
    """Without one_arena() the end of the thread's own arena stays: 15 MB here."""
    if platform.libc_ver()[0] != "glibc":
        skip("host", "arenas are glibc's")
    kept = {}
    for arenas in ("one", "many"):
        done = subprocess.run(
            [sys.executable, "-c", _IN_A_THREAD, arenas], capture_output=True, text=True, cwd=ROOT, check=True
        )
        kept[arenas] = int(done.stdout)
    assert kept["one"] < 1024 and kept["many"] > 14 * 1024, kept
