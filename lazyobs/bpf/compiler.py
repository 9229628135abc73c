# SPDX-License-Identifier: MIT
"""Compiles C to an Image with BCC. The only module that imports bcc, and only in the loader process."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lazyobs.bpf import blanks, image
from lazyobs.bpf.compiler_errors import CompilerError, CompilerMissing
from lazyobs.bpf.headers import write_stub_headers
from lazyobs.bpf.image import Image, MapShape, Program
from lazyobs.text import say
from lazyobs.unix import detached


def import_bcc() -> str:
    """Imports BCC and returns its version. Raises CompilerMissing, also for the unrelated PyPI package ``bcc``."""
    try:
        import bcc
    except ImportError as error:
        raise CompilerMissing(str(error)) from None
    if not hasattr(bcc, "BPF"):
        raise CompilerMissing(f"{bcc.__file__} is an unrelated package of that name")
    return str(bcc.__version__)


def compile_image(source: str, map_names: Sequence[str], names: blanks.Names) -> Image:
    """Compiles ``source`` against the stub headers; ``names``: of its blanks. BCC's own maps are freed when this returns."""
    import bcc

    with _headers() as directory:
        os.environ["BCC_KERNEL_SOURCE"] = directory
        try:
            module = bcc.BPF(text=source)
        except Exception as error:  # bcc raises bare Exception
            raise CompilerError(str(error)) from None
        sys.stderr.flush()
        fds = {module[name].map_fd: name for name in map_names}
        maps = {name: MapShape.of(fd) for fd, name in fds.items()}
        # bytes names in BCC 0.26, still bytes in later ones
        programs = {name.decode(): _program(module.dump_func(name), names, fds) for name in _functions(module)}
        return Image(maps, programs, image.hash_of(source), str(bcc.__version__))


def _program(code: bytes, names: blanks.Names, fds: dict[int, str]) -> Program:
    """The instructions, with no descriptor of a map in them: the same each time."""
    found = blanks.find(code, names, fds)
    return Program(blanks.without_descriptors(code, found), tuple(found))


@contextlib.contextmanager
def _headers() -> Iterator[str]:
    """A directory with the stub headers. CompilerError where no file system takes them.

    Best is one that is mounted nowhere: a compilation is one long call, and nothing could remove a directory if it is
    killed. Else a new directory: a container's root may be read-only and /tmp full, /dev/shm and /run are file systems
    of their own.
    """
    refused = []
    for place, new in _places():
        with contextlib.ExitStack() as made:
            try:
                path = made.enter_context(new())
                write_stub_headers(path)
            except OSError as error:
                refused.append(f"{place}: {error.strerror}")
            else:
                yield path
                return
    say(f"no room for the compiler's headers ({'; '.join(refused)})")
    raise CompilerError("no room for the compiler's headers")


def _places() -> Iterator[tuple[str, Callable[[], contextlib.AbstractContextManager[str]]]]:
    """Names of file systems, and what makes a directory there that is removed afterwards."""
    yield "a new tmpfs", detached.directory
    for place in dict.fromkeys((os.environ.get("TMPDIR") or "/tmp", "/tmp", "/var/tmp", "/dev/shm", "/run")):
        yield place, partial(tempfile.TemporaryDirectory, None, "lazyobs-headers-", place, ignore_cleanup_errors=True)


def _functions(module: object) -> list[bytes]:
    from bcc.libbcc import lib

    count = lib.bpf_num_functions(module.module)  # type: ignore[attr-defined]
    return [lib.bpf_function_name(module.module, index) for index in range(count)]  # type: ignore[attr-defined]
