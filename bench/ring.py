# SPDX-License-Identifier: MIT
"""Events per CPU second: the bulk and light decoders beside BCC's callback, on the same prefilled ring.

The ring belongs to a BCC process, which also reads it in its turn; the ring is refilled for each reading.
BCC's callback makes the event object and reads none of its fields; the decoders read all of them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazyobs.bpf import abi, event, loader_protocol
from lazyobs.bpf.ring import Ring
from lazyobs.bpf.session import interpreters
from tests.bpf import ring_producer as producer

ROUNDS = 23
PAGES = 2048  # 8 MiB: 116,508 records
_ROOT = str(Path(__file__).parent.parent)

_BCC_READER = """
import ctypes, os, socket, sys, tempfile, time
sys.path.append(sys.argv[1])
from lazyobs.bpf import event, loader_protocol
from lazyobs.bpf.headers import write_stub_headers
sock = socket.socket(fileno=int(sys.argv[2]))
request = loader_protocol.receive(sock)
import bcc
headers = tempfile.mkdtemp()
write_stub_headers(headers)
os.environ["BCC_KERNEL_SOURCE"] = headers
module = bcc.BPF(text=request["source"])
program = module.load_func("produce", bcc.BPF.RAW_TRACEPOINT)
events = module["events"]
sizes = {"u64": ctypes.c_uint64, "u32": ctypes.c_uint32, "u16": ctypes.c_uint16, "u8": ctypes.c_uint8}
class Event(ctypes.Structure):
    _fields_ = [(f.name, sizes.get(f.c_type, ctypes.c_char * 16)) for f in event.RECORD.fields]
# What event() does where BCC has seen the type pass; it has not for ringbuf_reserve().
events._event_class = Event
seen = 0
def callback(context, data, size):
    global seen
    events.event(data)
    seen += 1
    return 0
events.open_ring_buffer(callback)
loader_protocol.send(sock, {"bcc": bcc.__version__}, [program.fd, events.map_fd, module["event_filter"].map_fd])
while True:
    try:
        loader_protocol.receive(sock)
    except EOFError:
        break
    before, seen = time.process_time(), 0
    module.ring_buffer_consume()
    loader_protocol.send(sock, {"seconds": time.process_time() - before, "events": seen})
"""


class _Bcc:
    """The process that owns the ring and reads it with BCC."""

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [interpreters()[0], "-I", "-c", _BCC_READER, _ROOT, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        loader_protocol.send(self.sock, {"source": producer.source(PAGES, filled=False)})
        self.version = loader_protocol.receive(self.sock)["bcc"]
        self.produce, self.events, self.filter = loader_protocol.receive_fds(self.sock, 3)

    def read(self) -> tuple[int, float]:
        loader_protocol.send(self.sock, {})
        reply = loader_protocol.receive(self.sock)
        return reply["events"], reply["seconds"]

    def close(self) -> None:
        self.sock.close()
        self.process.wait(10)
        loader_protocol.close_all([self.produce, self.events, self.filter])


def _timed(read: Callable[[], int]) -> tuple[int, float]:
    """Reads until nothing is left: (events, CPU seconds)."""
    before, seen = time.process_time(), 0
    while count := read():
        seen += count
    return seen, time.process_time() - before


def run() -> dict[str, Any]:
    """Ratios to BCC and the numbers behind them. Needs root and bcc."""
    bcc = _Bcc()
    ring = Ring(bcc.events)
    least = len(event.FILTER_NAMES)
    abi.map_update(bcc.filter, bytes(4), b"\0" * (8 * least + 16) + b"\xff\0\0\0" + bytes(12))
    readers: dict[str, Callable[[], tuple[int, float]]] = {
        "bulk": lambda: _timed(lambda: len(ring.read_array())),
        "light": lambda: _timed(lambda: len(ring.read())),
        "bcc": bcc.read,
    }
    events = dict.fromkeys(readers, 0)
    seconds = dict.fromkeys(readers, 0.0)
    full = ring.size // 72
    for round_ in range(1 + ROUNDS):
        for name, read in readers.items():
            for start in range(0, full, producer.MOST_AT_ONCE):
                producer.run(bcc.produce, start, min(producer.MOST_AT_ONCE, full - start), 0)
            count, took = read()
            assert count == full, (name, count, full)
            if round_:  # the first round is the warm-up
                events[name] += count
                seconds[name] += took
    ring.close()
    bcc.close()
    rates = {name: events[name] / seconds[name] for name in readers}
    return {
        "events_per_cpu_second": {name: round(rate) for name, rate in rates.items()},
        "bulk_to_bcc": round(rates["bulk"] / rates["bcc"], 2),
        "light_to_bcc": round(rates["light"] / rates["bcc"], 2),
        "goal": {"bulk_to_bcc": 20, "light_to_bcc": 4},
        "events_each": ROUNDS * full,
        "bcc": bcc.version,
    }


if __name__ == "__main__":
    json.dump(run(), sys.stdout, indent=1)
    print()
