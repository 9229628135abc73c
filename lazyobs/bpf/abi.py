# SPDX-License-Identifier: MIT
"""The bpf(2) and perf_event_open(2) system calls, as far as lazyobs uses them.

Attribute layouts are those of ``union bpf_attr`` in include/uapi/linux/bpf.h, stable since the
kernel version named at each call. Every call raises OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import struct

from lazyobs.unix import syscalls

MAP_CREATE, MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM = 0, 1, 2, 3
PROG_LOAD, PROG_TEST_RUN, OBJ_GET_INFO_BY_FD, RAW_TRACEPOINT_OPEN = 5, 10, 15, 17
MAP_LOOKUP_BATCH, LINK_CREATE, ENABLE_STATS, ITER_CREATE = 24, 28, 32, 33
STATS_RUN_TIME = 0

PROG_TYPE_KPROBE, PROG_TYPE_RAW_TRACEPOINT, PROG_TYPE_TRACING = 2, 17, 26
ATTACH_TRACE_FENTRY, ATTACH_TRACE_FEXIT, ATTACH_TRACE_ITER = 24, 25, 28
PSEUDO_MAP_FD = 1
MAP_TYPE_ARRAY, MAP_TYPE_RINGBUF = 2, 27
F_RDONLY = 1 << 3  # of MAP_CREATE: this descriptor only reads; programs still write
LD_IMM64 = 0x18

# struct bpf_insn: opcode; source register << 4 | destination register; offset; immediate.
INSTRUCTION = struct.Struct("<BBhi")
RETURN_0 = INSTRUCTION.pack(0xB7, 0, 0, 0) + INSTRUCTION.pack(0x95, 0, 0, 0)  # r0 = 0; exit

Buffer = ctypes.Array[ctypes.c_char]


def bpf(command: int, attributes: Buffer) -> int:
    """One bpf(2) call; ``attributes`` is read and written in place."""
    return syscalls.call("bpf", command, attributes, ctypes.sizeof(attributes))


def attributes(layout: str, *values: object) -> Buffer:
    """A ``union bpf_attr`` of the packed values, zero-filled to 8-byte length."""
    raw = struct.pack("=" + layout, *values)
    return ctypes.create_string_buffer(raw, (len(raw) + 7) & ~7)


def address(buffer: Buffer | None) -> int:
    return 0 if buffer is None else ctypes.addressof(buffer)


def _name(name: str) -> bytes:
    return name.encode()[:15]


def map_create(map_type: int, key: int, value: int, entries: int, flags: int, name: str) -> int:
    """A new map's fd."""
    return bpf(MAP_CREATE, attributes("IIIII II 16s", map_type, key, value, entries, flags, 0, 0, _name(name)))


def prog_load(
    prog_type: int, instructions: bytes, name: str, attach_type: int = 0, btf_id: int = 0, log_size: int = 0
) -> tuple[int, str]:
    """Loads a GPL program. Returns (fd, "") or (-errno, verifier log); the log is empty unless asked for."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(log_size) if log_size else None
    attr = attributes(
        "II QQ II Q II 16s II II Q II Q II I",
        prog_type, len(instructions) // 8, address(code), address(licence),
        1 if log_size else 0, log_size, address(log), 0, 0, _name(name), 0, attach_type,
        0, 0, 0, 0, 0, 0, 0, btf_id, 0,
    )  # fmt: skip
    try:
        return bpf(PROG_LOAD, attr), ""
    except OSError as error:
        return -(error.errno or 1), log.value.decode("utf-8", "replace") if log is not None else ""


def raw_tracepoint_open(prog_fd: int, name: str = "") -> int:
    """Attaches a raw tracepoint program, or (no name) an fentry/fexit program. Returns the link fd."""
    label = ctypes.create_string_buffer(name.encode()) if name else None
    return bpf(RAW_TRACEPOINT_OPEN, attributes("Q I I", address(label), prog_fd, 0))


def iter_link(prog_fd: int) -> int:
    """Link fd of an iterator program (5.8)."""
    return bpf(LINK_CREATE, attributes("IIII QI", prog_fd, 0, ATTACH_TRACE_ITER, 0, 0, 0))


def iter_create(link_fd: int) -> int:
    """A readable fd: one pass of the iterator."""
    return bpf(ITER_CREATE, attributes("II", link_fd, 0))


def map_lookup(fd: int, key: bytes, value_size: int) -> bytes:
    """One value (for per-CPU maps the values of every possible CPU, one after the other)."""
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value = ctypes.create_string_buffer(value_size)
    bpf(MAP_LOOKUP_ELEM, attributes("I I Q Q Q", fd, 0, address(key_buffer), address(value), 0))
    return value.raw


def map_update(fd: int, key: bytes, value: bytes) -> None:
    key_buffer = ctypes.create_string_buffer(key, len(key))
    value_buffer = ctypes.create_string_buffer(value, len(value))
    bpf(MAP_UPDATE_ELEM, attributes("I I Q Q Q", fd, 0, address(key_buffer), address(value_buffer), 0))


def object_info(fd: int, size: int = 256) -> bytes:
    """``struct bpf_map_info``, ``bpf_prog_info`` or ``bpf_link_info``, cut to what the kernel filled in."""
    info = ctypes.create_string_buffer(size)
    attr = attributes("II Q", fd, size, address(info))
    bpf(OBJ_GET_INFO_BY_FD, attr)
    return info.raw[: struct.unpack_from("=I", attr, 4)[0]]


def enable_stats() -> int:
    """Run time and runs of every program are counted while the returned fd is open (5.8, CAP_SYS_ADMIN)."""
    return bpf(ENABLE_STATS, attributes("I", STATS_RUN_TIME))


def perf_probe_open(pmu_type: int, function: str, is_return: bool) -> int:
    """perf event fd of a kprobe or kretprobe on ``function`` (4.17, PMU "kprobe")."""
    label = ctypes.create_string_buffer(function.encode())
    # struct perf_event_attr: type, size, config, sample_period, sample_type, read_format, flags,
    # wakeup_events, bp_type, config1 (name), config2 (offset)
    size = 112
    raw = struct.pack("=IIQQQQQIIQQ", pmu_type, size, 1 if is_return else 0, 1, 0, 0, 0, 0, 0, address(label), 0)
    attr = ctypes.create_string_buffer(raw, size)
    return syscalls.call("perf_event_open", attr, -1, 0, -1, 8)  # all tasks, CPU 0 (system-wide), CLOEXEC


def perf_attach(event_fd: int, prog_fd: int) -> None:
    """Runs the program on the event: PERF_EVENT_IOC_SET_BPF, then ENABLE."""
    import fcntl

    fcntl.ioctl(event_fd, 0x40042408, prog_fd)
    fcntl.ioctl(event_fd, 0x2400, 0)
