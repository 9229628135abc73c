# SPDX-License-Identifier: MIT
"""Which processes are of a command that is followed, and what they have caused (probes/lazyobs.h).

Every pid has a state of two bits in the map ``followed``. A fork hands membership on (probes/process.c), so it does not
matter who becomes a child's parent later, and how short it lives. Nothing else needs to be known of a process, and the
map has room for every pid that a kernel can give. Where no command is followed, the verifier removes all of it.
"""

from __future__ import annotations

import struct

from lazyobs.bpf import abi, maps
from lazyobs.bpf.counts import TOTAL_COUNTS

FOLLOWS = "FOLLOWS"
CONSTANTS = (FOLLOWS,)
MAP, TOTALS = "followed", "command_totals"
MAPS = (MAP, TOTALS)
MOST_PIDS = 1 << 22  # PID_MAX_LIMIT of 64-bit kernels, include/linux/threads.h

_BITS = 2
_A_WORD = 64 // _BITS
_WORD = struct.Struct("=Q")
# A process that has not executed the command yet: it frees what it has of the process that forked it.
_MEMBER, _STARTING = 1, 2
_FREED_AT_EXEC = frozenset({"anon_vma_frees", "chain_frees"})

C_FOLLOWED = f"""\
#define FOLLOWED_BITS {_BITS}
#define FOLLOWED_A_WORD {_A_WORD}
#define FOLLOWED_MASK {(1 << _BITS) - 1}
#define FOLLOWED_MEMBER {_MEMBER}
#define FOLLOWED_STARTING {_STARTING}
#define FOLLOWED_STATES 2
"""


def entries(follows: bool) -> dict[str, int]:
    """{map: its size}, where that is not the one in the image."""
    return {MAP: MOST_PIDS // _A_WORD} if follows else {}


def begin(fd: int, pid: int) -> None:
    """Follows the process from now on; ``pid`` is the kernel's own. None is followed yet, so no other bit is set."""
    word = _WORD.pack(_STARTING << pid % _A_WORD * _BITS)
    abi.map_update(fd, struct.pack("=I", pid // _A_WORD), word)


def totals(fd: int, cpus: int) -> dict[str, int]:
    """{name of the count: count} of the command and all that it started. What its process freed before it executed the
    command is not in it: that was the recorder's."""
    member, starting = (maps.per_cpu_sums(fd, state - 1, len(TOTAL_COUNTS), cpus) for state in (_MEMBER, _STARTING))
    return {
        name: count + (0 if name in _FREED_AT_EXEC else before)
        for name, count, before in zip(TOTAL_COUNTS, member, starting)
    }
