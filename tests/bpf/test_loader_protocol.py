# SPDX-License-Identifier: MIT
"""Messages between loader and consumer: whole, cut short, too long, garbage; and the descriptors behind them."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from lazyobs.bpf import loader_protocol
from lazyobs.bpf.loader_protocol import close_all, receive, receive_fds, send
from lazyobs.errors import BpfRefused

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends; none waits for ever."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(20)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def no_descriptor_is_left(pair: Pair) -> Iterator[None]:
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before


def raw(length: int, body: bytes) -> bytes:
    return struct.pack("=I", length) + body


@pytest.mark.parametrize("message", [{}, {"source": "int f;\n" * 101, "maps": ["a"], "deep": {"x": [1, None, "é\0"]}}])
def test_a_message_comes_back_as_it_was(pair: Pair, message: dict[str, object]) -> None:
    send(pair[0], message)
    send(pair[0], {"next": 1})
    assert receive(pair[1]) == message
    assert receive(pair[1]) == {"next": 1}


def test_the_form_on_the_wire(pair: Pair) -> None:
    send(pair[0], {"a": 1})
    assert pair[1].recv(100) == raw(8, b'{"a": 1}')


def test_a_large_message_that_comes_in_parts(pair: Pair) -> None:
    message = {"source": "x" * (3 << 20)}
    sender = threading.Thread(target=send, args=(pair[0], message))
    sender.start()
    assert receive(pair[1]) == message
    sender.join()


@pytest.mark.parametrize("sent", [b"", b"\x05", raw(8, b""), raw(8, b'{"a": 1')])
def test_the_other_side_ends_in_the_middle(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(EOFError):
        receive(pair[1])


@pytest.mark.parametrize("length", [(16 << 20) + 1, 1 << 31, 0xFFFFFFFF])
def test_a_length_that_is_too_long_is_refused_before_anything_is_read(pair: Pair, length: int) -> None:
    pair[0].sendall(raw(length, b""))
    with pytest.raises(ValueError, match=f"^a message of {length} bytes$"):
        receive(pair[1])


def test_the_longest_there_may_be(pair: Pair) -> None:
    body = json.dumps({"a": ""}).encode()
    body = body[:-2] + b" " * ((16 << 20) - len(body)) + body[-2:]
    sender = threading.Thread(target=pair[0].sendall, args=(raw(len(body), body),))
    sender.start()
    assert len(receive(pair[1])["a"]) == (16 << 20) - len(b'{"a": ""}')
    sender.join()


@pytest.mark.parametrize("body", [b"", b"nope", b"\xff\xfe\x00\x01", b'{"a": ', b"\0" * 23])
def test_garbage_is_a_value_error(pair: Pair, body: bytes) -> None:
    pair[0].sendall(raw(len(body), body))
    with pytest.raises(ValueError):
        receive(pair[1])


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"23", b"null", b"true"])
def test_what_is_no_object_is_refused(pair: Pair, body: bytes) -> None:
    pair[0].sendall(raw(len(body), body))
    with pytest.raises(ValueError, match=r"^a message that is no object$"):
        receive(pair[1])


@pytest.mark.parametrize("count", [0, 1, 23, 200, 201, 503])
def test_descriptors_come_in_order_and_are_not_inherited(pair: Pair, no_descriptor_is_left: None, count: int) -> None:
    """More than one message of the kernel's can carry (SCM_MAX_FD, 253)."""
    pipes = [os.memfd_create(f"number {number}") for number in range(count)]
    # Here and there at once: a socket of the kernel's holds a few such messages only.
    sender = threading.Thread(target=send, args=(pair[0], {"count": count}, pipes))
    sender.start()
    assert receive(pair[1]) == {"count": count}
    found = receive_fds(pair[1], count)
    sender.join()
    close_all(pipes)
    assert [os.readlink(f"/proc/self/fd/{fd}") for fd in found] == [
        f"/memfd:number {n} (deleted)" for n in range(count)
    ]
    assert not any(os.get_inheritable(fd) for fd in found)
    close_all(found)


@pytest.mark.parametrize(("sent", "asked"), [(0, 1), (1, 2), (200, 201), (23, 503)])
def test_where_not_all_descriptors_arrive_none_is_left_open(
    pair: Pair, no_descriptor_is_left: None, sent: int, asked: int
) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    send(pair[0], {}, [null] * sent)
    pair[0].shutdown(socket.SHUT_WR)
    receive(pair[1])
    with pytest.raises(EOFError):
        receive_fds(pair[1], asked)
    os.close(null)


def test_where_the_other_side_hangs_none_is_left_open(pair: Pair, no_descriptor_is_left: None) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    send(pair[0], {}, [null] * 23)
    receive(pair[1])
    pair[1].settimeout(0.01)
    with pytest.raises(TimeoutError):
        receive_fds(pair[1], 24)
    os.close(null)


def test_a_message_of_descriptors_is_within_the_kernels_limit() -> None:
    assert loader_protocol._FDS_A_MESSAGE <= 253


def test_more_descriptors_than_the_process_may_have(pair: Pair, no_descriptor_is_left: None) -> None:
    """The kernel closes those that do not fit under RLIMIT_NOFILE, and says so."""
    send(pair[0], {}, [0] * 23)
    assert receive(pair[1]) == {}
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = set(map(int, os.listdir("/proc/self/fd")))
    most = [number for number in range(len(taken) + 23) if number not in taken][7]  # room for seven
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        with pytest.raises(BpfRefused, match=rf"take 23 open files, and this process may have {most} in all"):
            receive_fds(pair[1], 23)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
