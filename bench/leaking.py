# SPDX-License-Identifier: MIT
"""The control of bench/soak_self.py: a process that leaks a little of everything, at a steady rate.

``python -m bench.leaking SECONDS KIBIBYTES COUNT``: so much memory, and so many descriptors, threads and BPF maps in
that time. It prints a line when it begins, and goes on until it is ended.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from lazyobs.bpf import abi

_BEAT = 0.25


def main(seconds: float, kibibytes: int, count: int) -> None:
    kept: list[object] = []
    never = threading.Event()
    print("leaking", flush=True)
    began = time.monotonic()
    memory = things = 0
    while True:
        share = (time.monotonic() - began) / seconds
        while memory < share * kibibytes:
            kept.append(os.urandom(1000))  # a KiB with its head
            memory += 1
        while things < int(share * count):
            kept.append(os.dup(0))
            kept.append(abi.map_create(abi.MAP_TYPE_ARRAY, 4, 8, 1, 0, "leaked"))
            threading.Thread(target=never.wait, daemon=True).start()
            things += 1
        time.sleep(_BEAT)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
