# SPDX-License-Identifier: MIT
"""The loader: a short-lived privileged process that turns a plan into file descriptors and exits.

It runs under the interpreter that has bcc, if there is one, with the standard library only. It receives a plan, takes
the image that comes along with lazyobs, fills in what the plan says of this kernel, creates the maps, tries each probe
point's candidates in order, and sends the descriptors over its socket. Where the probes were changed since the image was
made it takes one from the cache, or compiles: it alone imports bcc. What it is at it says before, because on a busy machine each step can take long.
Where its interpreter has no bcc, it becomes the next one: by then its consumer may not be root any more. Everything
lives in descriptors: if the loader or its consumer dies, nothing stays behind.

It ends when it has answered, but where a budget is to be kept it stays, and measures (stays.py).
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lazyobs.bpf import abi, images, links, loader_protocol
from lazyobs.bpf.blanks import BlankError, Switch, Values
from lazyobs.bpf.compiler_errors import CompilerError, CompilerMissing
from lazyobs.bpf.image import Image, ImageError
from lazyobs.bpf.images import NoImage
from lazyobs.unix import syscalls
from lazyobs.unix.fork import die_with_parent

_VERIFIER_LOG_BYTES = 1 << 20
_IMAGE = "image"  # kind of cache entry
_REQUEST = "LAZYOBS_LOADER_REQUEST"  # descriptor of the request that the interpreter before has read
_PROG_TYPES = {
    "raw_tracepoint": (abi.PROG_TYPE_RAW_TRACEPOINT, 0),
    "iterator": (abi.PROG_TYPE_TRACING, abi.ATTACH_TRACE_ITER),
    "fentry": (abi.PROG_TYPE_TRACING, abi.ATTACH_TRACE_FENTRY),
    "fexit": (abi.PROG_TYPE_TRACING, abi.ATTACH_TRACE_FEXIT),
    "kprobe": (abi.PROG_TYPE_KPROBE, 0),
    "kretprobe": (abi.PROG_TYPE_KPROBE, 0),
}


class Refused(Exception):
    """The kernel would not load or attach a program."""


class Binary(NamedTuple):
    """An image, and the map descriptors and values that its programs are loaded with."""

    image: Image
    map_fds: dict[str, int]
    values: Values
    switches: dict[str, Switch]

    def program(self, name: str, values: Values) -> bytes:
        """``values``: of this program alone."""
        return self.image.program(name, self.map_fds, {**self.values, **values}, self.switches)


class Origin(NamedTuple):
    """Where the image is from: ``file``, or else compiled by this loader or an earlier one, and ``why``. ``ignored``:
    entries of the cache that were not used, and why."""

    file: str
    compiled: bool
    why: str
    ignored: list[str]


class Handover:
    """Descriptors collected under names, in the order they are sent."""

    def __init__(self) -> None:
        self.names: list[list[str]] = []
        self.fds: list[int] = []

    def add(self, kind: str, name: str, fd: int) -> None:
        self.names.append([kind, name])
        self.fds.append(fd)


def main(fd: int, following: Sequence[str] = ()) -> None:
    """Serves one request on the socket ``fd`` and ends. An announcement of the request may come before it.

    ``following``: interpreters to become, one after the other, where there is no bcc."""
    # Not SIGKILL: the compiler's files in /tmp have to be removed first, which takes a third of a second at most.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the consumer handles Ctrl-C
    sock = socket.socket(fileno=fd)
    request = _request(sock)
    if request is None:
        return
    try:
        reply, handover = carry_out(request, lambda what: loader_protocol.send(sock, {"doing": what}))
    except CompilerMissing as error:
        if following:
            _become(following, fd, request)
        reply, handover = {"error": "compiler_missing", "why": str(error)}, Handover()
    except CompilerError as error:
        reply, handover = {"error": "compiler", "why": str(error)}, Handover()
    except OSError as error:
        reply, handover = {"error": "refused", "why": error.strerror or str(error)}, Handover()
    stays = bool(request.get("stays")) and "error" not in reply
    reply |= {"names": handover.names, "interpreter": sys.executable, "attached_at": time.time()}
    loader_protocol.send(sock, reply | {"stays": stays, "cpu_seconds": time.process_time()}, handover.fds)
    if stays:
        from lazyobs.bpf import stays as staying

        staying.serve(sock, staying.attached(request, reply, handover.names, handover.fds))


def _request(sock: socket.socket) -> dict[str, Any] | None:
    """From the interpreter before this one, or from the consumer; None if the consumer has ended."""
    kept = os.environ.pop(_REQUEST, "")
    if kept:
        with open(int(kept), "rb") as file:
            found: dict[str, Any] = json.load(file)
            return found
    try:
        request = loader_protocol.receive(sock)
        if request.get("compile_is_to_come"):
            _import_early()
            request = loader_protocol.receive(sock)
    except EOFError:
        return None
    return request


def _become(following: Sequence[str], fd: int, request: dict[str, Any]) -> None:
    """Executes this loader under the next interpreter, with the same socket. Returns if that one cannot be executed."""
    kept = os.memfd_create("request", 0)
    os.write(kept, json.dumps(request).encode())
    os.lseek(kept, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    # [interpreter, -I, -c, code, package root], see session.py
    command = [following[0], *sys.orig_argv[1:5], *following[1:], str(fd)]
    try:
        os.execve(following[0], command, {**os.environ, _REQUEST: str(kept)})  # noqa: S606
    except OSError:
        os.close(kept)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(1)


def _import_early() -> None:
    """Imports bcc while the consumer makes its plan."""
    from lazyobs.bpf.compiler import import_bcc

    try:
        import_bcc()
    except CompilerMissing:
        pass  # reported when a compile is requested


def carry_out(
    request: dict[str, Any], say: Callable[[str], None] = lambda what: None
) -> tuple[dict[str, Any], Handover]:
    """The reply and its descriptors; ``say`` is called with what is done next.

    Raises CompilerMissing, CompilerError, or OSError when no map can be made."""
    image, origin = _image(request, say)
    say("attaching the probes")
    programs = [
        attach["code"]
        for point in request["points"]
        for candidate in point["candidates"]
        for attach in candidate["attach"]
    ]
    handover = Handover()
    map_fds = {}
    for name in image.used_maps(programs):
        shape = image.maps[name]
        shape = shape._replace(entries=request["entries"].get(name, shape.entries))
        map_fds[name] = shape.create(name, read_only=name not in request["written"])
        handover.add("map", name, map_fds[name])
    switches = {name: Switch.of(fields) for name, fields in request["switches"].items()}
    binary = Binary(image, map_fds, request["values"], switches)
    outcome = {}
    for point in request["points"]:
        tier, refused = _attach_point(point, binary, handover)
        outcome[point["name"]] = {"tier": tier, "refused": refused}
    reply = {"points": outcome, "compiler": image.compiler, "origin": origin}
    return reply, handover


def _image(request: dict[str, Any], say: Callable[[str], None]) -> tuple[Image, Origin]:
    """The image that comes along, unless the probes were changed or it must not be used; then a compiled one."""
    why = request.get("compile", "")
    if not why:
        try:
            image, file = images.find(request["source_hash"])
            return image, Origin(file, False, "", [])
        except NoImage as error:
            why = str(error)
    try:
        return _compiled(request, why, say)
    except CompilerMissing as error:
        raise CompilerMissing(f"{error}; it is needed because {why}") from None


def _compiled(request: dict[str, Any], why: str, say: Callable[[str], None]) -> tuple[Image, Origin]:
    from lazyobs.bpf import cache, template
    from lazyobs.bpf.compiler import compile_image, import_bcc
    from lazyobs.bpf.headers import stub_headers

    kept = cache.Cache()
    source, maps = request["source"], request["maps"]
    name = cache.key(_IMAGE, source, repr((maps, stub_headers())))
    raw = kept.load(name)
    if raw is not None:
        try:
            return Image.from_bytes(raw), Origin("", False, why, kept.ignored)
        except ImageError as error:
            kept.refuse(name, f"no image of this version ({error})")
    say("compiling the probes")
    import_bcc()
    image = compile_image(source, maps, template.NAMES)
    kept.keep(name, image.to_bytes())
    return image, Origin("", True, why, kept.ignored)


def _attach_point(point: dict[str, Any], binary: Binary, handover: Handover) -> tuple[str | None, dict[str, str]]:
    """Tier of the first candidate whose programs all attach, and why the ones before did not."""
    refused: dict[str, str] = {}
    for candidate in point["candidates"]:
        attached: list[tuple[str, str, int]] = []
        try:
            for attach in candidate["attach"]:
                attached += _attach(attach, binary)
        except Refused as error:
            loader_protocol.close_all([fd for _, _, fd in attached])
            refused[candidate["tier"]] = str(error)
            continue
        for kind, name, fd in attached:
            handover.add(kind, name, fd)
        return candidate["tier"], refused
    return None, refused


def _attach(attach: dict[str, Any], binary: Binary) -> list[tuple[str, str, int]]:
    """Loads and attaches one program: [("prog", name, fd), ("link", name, fd)]."""
    name, kind = attach["program"], attach["kind"]
    prog_type, attach_type = _PROG_TYPES[kind]
    label = f"{name}:{attach['target']}"
    try:
        code = binary.program(attach["code"], attach["values"])
    except BlankError as error:
        raise Refused(f"{name}: {error}") from None
    prog_fd, _ = abi.prog_load(prog_type, code, name, attach_type, attach["btf_id"])
    if prog_fd < 0:
        raise Refused(_why_not_loaded(prog_type, code, attach, attach_type))
    try:
        link_fd = links.attach(kind, prog_fd, attach["target"])
    except OSError as error:
        os.close(prog_fd)
        raise Refused(f"attaching {name} to {attach['target']}: {error.strerror}") from None
    return [("prog", label, prog_fd), ("link", label, link_fd)]


def _why_not_loaded(prog_type: int, code: bytes, attach: dict[str, Any], attach_type: int) -> str:
    """The last line of the verifier's log, or the errno's text. Loads the program once more to get the log."""
    name = attach["program"]
    fd, log = abi.prog_load(prog_type, code, name, attach_type, attach["btf_id"], _VERIFIER_LOG_BYTES)
    if fd >= 0:
        os.close(fd)
        return f"loading {name}: refused once, then accepted"
    lines = [line for line in log.splitlines() if line and not line.startswith("processed ")]
    reason = syscalls.reason(-fd)
    if -fd == errno.ENOSPC and lines:
        return f"loading {name}: the verifier's log is longer than {_VERIFIER_LOG_BYTES} bytes"
    return f"loading {name}: {reason}" + (f" ({lines[-1].strip()[:200]})" if lines else "")
