# SPDX-License-Identifier: MIT
"""The name that a person has for a cgroup: its systemd unit or its container, from the path alone."""

from __future__ import annotations

import functools
import re

_HASH = "[0-9a-f]{12,64}"
_KEPT = 12  # letters of a container's id, as docker ps and crictl ps show it
# The engines' scopes and folders below a cgroup's path. {what stands before the container's id: its engine}
_ENGINES = {"docker": "docker", "libpod": "podman", "crio": "cri-o", "cri-containerd": "containerd", "nerdctl": "containerd"}  # fmt: skip
_SCOPE = re.compile(rf"({'|'.join(_ENGINES)})-({_HASH})\.scope")
_FOLDER = re.compile(rf"/(docker|libpod|kubepods[^/]*)/(?:.*/)?({_HASH})(?=/|$)")
_NAMED = re.compile(r"(?:lxc(?:\.payload)?[./]|machine-)([^/]+?)(?:\.scope)?(?=/|$)")
_UNIT = re.compile(r"(.+)\.(?:service|scope|slice|socket|mount)")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


@functools.lru_cache(maxsize=4096)
def unit(path: str) -> str:
    """``nginx.service``, ``docker 04072a4609f9``, or the path itself where it names neither."""
    if found := _SCOPE.search(path):
        return f"{_ENGINES[found[1]]} {found[2][:_KEPT]}"
    if found := _FOLDER.search(path):
        engine = found[1] if found[1] in ("docker", "libpod") else "pod"
        return f"{_ENGINES.get(engine, engine)} {found[2][:_KEPT]}"
    if found := _NAMED.search(path):
        return f"machine {_unescaped(found[1])}"
    units = [part for part in path.split("/") if _UNIT.fullmatch(part)]
    return _unescaped(units[-1]) if units else path


def _unescaped(name: str) -> str:
    r"""``\x2d`` as systemd writes it (systemd-escape(1)); of characters beyond ASCII the bytes."""
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
    return raw.encode("latin-1", "replace").decode("utf-8", "replace") if raw != name and raw.isascii() else raw
