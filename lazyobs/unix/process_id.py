# SPDX-License-Identifier: MIT
"""What a number of ``-p`` is, if it is not a process with memory: the number of a thread, a kernel thread, nothing."""

from __future__ import annotations

from pathlib import Path

from lazyobs.errors import UsageError

_PF_KTHREAD = 0x00200000  # include/linux/sched.h; field "flags" of /proc/PID/stat

NOTHING = "no such process"
NO_MEMORY = "it exists, but the census sees no memory of it: the kernel hides it from here"


def why_no_process(pid: int, proc_root: str = "/proc") -> str:
    """Why no process has this id; "" if one has."""
    status = _status(pid, proc_root)
    if not status:
        return NOTHING
    leader = status.get("Tgid", "")
    # /proc does not list threads, but /proc/TID answers.
    return f"{pid} is a thread of process {leader}" if leader.isdecimal() and int(leader) != pid else ""


def why_no_memory(pid: int, proc_root: str = "/proc") -> str:
    """Why the census sees no memory of it, as far as /proc shows that."""
    why = why_no_process(pid, proc_root)
    if why:
        return why
    if _is_kernel_thread(pid, proc_root):
        return "a kernel thread, which has no memory of its own"
    status = _status(pid, proc_root)
    if status.get("State", "").startswith(("Z", "X")):
        if status.get("Threads", "1") != "1":
            return "its first thread has ended, through which the kernel shows the memory of a process"
        return "it has ended, and its parent has not noticed yet (a zombie)"
    return NO_MEMORY


def refusal(reasons: dict[int, str], live: bool = True) -> UsageError:
    """The error for ``-p``: {pid: why not}. ``live`` is False for a recording."""
    what = f"-p {','.join(map(str, reasons))}"
    if not live:
        return UsageError(what, NOTHING, "name one that the recording has")
    return UsageError(what, listed(reasons), "name a running process")


def absent(pids: tuple[int, ...], live: bool) -> UsageError:
    """The error where a sample has none of ``pids``."""
    return refusal({pid: why_no_memory(pid) if live else NOTHING for pid in pids}, live)


def listed(reasons: dict[int, str]) -> str:
    """The reason of one pid, or that of each of several."""
    if len(reasons) == 1:
        return next(iter(reasons.values()))
    return ", ".join(why if why.startswith(f"{pid} ") else f"{pid}: {why}" for pid, why in reasons.items())


def _status(pid: int, proc_root: str) -> dict[str, str]:
    """/proc/PID/status; {} if there is none."""
    try:
        text = Path(proc_root, str(pid), "status").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    # The name of a process may hold any other end of a line.
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.split("\n"))}


def _is_kernel_thread(pid: int, proc_root: str) -> bool:
    try:
        text = Path(proc_root, str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may hold blanks and brackets
    return len(fields) > 6 and bool(int(fields[6]) & _PF_KTHREAD)
