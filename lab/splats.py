# SPDX-License-Identifier: MIT
"""What a kernel log says when something is wrong with the kernel."""

from __future__ import annotations

import re

_STAMP = r"^(?:<\d+>)?(?:\[\s*\d+\.\d+\]\s*)?(?:\[\s*[TC]\d+\]\s*)?"
_SPLAT = re.compile(
    _STAMP + r"(?P<what>WARNING: (?!.*(?:lockdown|CPU bugs)).*|BUG: .*|Oops: .*|general protection fault.*"
    r"|Kernel panic .*|KASAN: .*|UBSAN: .*|kernel BUG at .*|INFO: task .* blocked for more than .*"
    r"|INFO: rcu.* detected .*stall.*|rcu: INFO: rcu.* detected .*stall.*"
    r"|watchdog: BUG: .*|list_(?:add|del) corruption.*|refcount_t: .*|Unable to handle kernel .*"
    r"|.*possible (?:circular|recursive) locking dependency detected.*|.*inconsistent lock state.*"
    r"|.*suspicious RCU usage.*|.*bad unlock balance detected.*|.*held lock freed.*"
    r"|=+\s*BUG .*|Memory failure: .*: recovery action for .* page: Failed.*)$"
)
_FATAL = re.compile(_STAMP + r"(?P<what>Kernel panic .*|Oops: .*|kernel BUG at .*|general protection fault.*)$")


def splats(log: str) -> list[str]:
    """The head line of every splat in a console log, in order."""
    return [found.group("what").strip() for found in map(_SPLAT.match, log.splitlines()) if found]


def fatal(log: str) -> str:
    """The last line that tells why a kernel died, or nothing."""
    lines = [found.group("what").strip() for found in map(_FATAL.match, log.splitlines()) if found]
    return lines[-1] if lines else ""
