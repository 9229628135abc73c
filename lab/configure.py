# SPDX-License-Identifier: MIT
"""The configuration of a kernel that is built: tinyconfig, with fragments on top of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path


def unmet(config: Path, fragments: Sequence[Path]) -> list[str]:
    """The lines of the fragments that the finished configuration does not honour; of two for an option the later counts."""
    wanted: dict[str, str] = {}
    for fragment in fragments:
        for line in fragment.read_text().splitlines():
            if line.startswith("CONFIG_"):
                name, value = line.split("=", 1)
                wanted[name] = value
    have = dict(line.split("=", 1) for line in config.read_text().splitlines() if line.startswith("CONFIG_"))
    return [f"{name}={value}" for name, value in wanted.items() if have.get(name, "n") != value]


def configure(
    source: Path,
    built: Path,
    fragments: Sequence[Path],
    make: Callable[[Path], Sequence[str]],
    run: Callable[[Sequence[str]], None],
    refuses: Callable[[list[str]], None],
) -> None:
    """Writes ``built``/.config, only when it changes: make looks at its time.

    ``make(folder)`` is the command that builds in a folder, ``run(command)`` executes one. ``refuses`` is told what is
    unmet before anything is written, and may raise.
    """
    made = built / "config.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    run([*make(made), "tinyconfig"])
    tiny = made / "tiny.config"
    shutil.copy(made / ".config", tiny)
    merge = ["sh", str(source / "scripts/kconfig/merge_config.sh"), "-m", "-O", str(made), str(tiny)]
    run([*merge, *map(str, fragments)])
    run([*make(made), "olddefconfig"])
    refuses(unmet(made / ".config", fragments))
    current = built / ".config"
    if not current.exists() or current.read_bytes() != (made / ".config").read_bytes():
        shutil.copy(made / ".config", current)
    shutil.rmtree(made)
