# SPDX-License-Identifier: MIT
"""Makes the images that come along with lazyobs: `make images`, under an interpreter that has BCC, as root.

The same sources and the same BCC make the same bytes, on every kernel and for every architecture: BPF instructions know
none, and what depends on the kernel is left open (blanks.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lazyobs.bpf import images, template
from lazyobs.bpf.compiler import compile_image, import_bcc

# {file: whether it has the stream of events}
FILES = {f"plain{images.SUFFIX}": False, f"events{images.SUFFIX}": True}


def made(events: bool) -> bytes:
    """The content of one file. Raises what the compiler raises."""
    return compile_image(template.text(events), template.maps(events), template.NAMES).to_bytes()


def main(folder: Path = Path(images.FOLDER)) -> None:
    import_bcc()
    for name, events in FILES.items():
        content = made(events)
        part = folder / f"{name}.part"
        part.write_bytes(content)
        os.chmod(part, 0o644)
        part.rename(folder / name)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
