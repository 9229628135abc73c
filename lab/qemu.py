# SPDX-License-Identifier: MIT
"""The virtual machine: what QEMU is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: x86-64-v2, which wheels such as numpy's ask for, and a random number source for early boot.
#: The vector units of "max" are left out: TCG emulates them slowly, and libc would pick them.
_TCG_CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,+rdseed,+pcid,-svm"


@dataclass(frozen=True)
class Machine:
    kernel: Path
    initramfs: Path
    cmdline: str
    accel: str = "tcg"
    cpus: int = 2
    memory: int = 2048
    nodes: int = 2
    share: str | None = None
    icount: bool = False


def kernel_command_line(*extra: str) -> str:
    """Oopses panic and panics end the machine, so that a dead kernel is never waited for.

    The timer is not tested: on a busy host too few ticks come in the time the kernel gives them, and it panics.
    """
    base = "console=ttyS0 loglevel=6 oops=panic panic=-1 watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=180"
    base += " no_timer_check"
    return " ".join(part for part in (base, *extra) if part)


def _numa(machine: Machine) -> list[str]:
    nodes = max(1, machine.nodes)
    cpus = -(-max(nodes, machine.cpus) // nodes) * nodes
    # one socket a node: the kernel warns of a socket that spans nodes
    arguments = ["-smp", f"{cpus},sockets={nodes}", "-m", f"{machine.memory}M"]
    if nodes == 1:
        return arguments
    for node in range(nodes):
        first, last = node * cpus // nodes, (node + 1) * cpus // nodes - 1
        arguments += [
            "-object",
            f"memory-backend-ram,id=ram{node},size={machine.memory // nodes}M",
            "-numa",
            f"node,nodeid={node},cpus={first}-{last},memdev=ram{node}",
        ]
    return arguments


def _folder(tag: str, path: str, readonly: bool) -> list[str]:
    # QEMU takes a comma in an option's value when it is doubled
    return [
        "-virtfs",
        f"local,path={path.replace(',', ',,')},mount_tag={tag},security_model=none,multidevs=remap"
        + (",readonly=on" if readonly else ""),
    ]


def command_line(machine: Machine, agent: int, console: int) -> list[str]:
    """QEMU's arguments; ``agent`` and ``console`` are inherited sockets."""
    if machine.accel == "kvm":
        cpu = ["-accel", "kvm", "-cpu", "host"]
    elif machine.icount:
        cpu = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", _TCG_CPU]
    else:
        cpu = ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", _TCG_CPU]
    arguments = ["qemu-system-x86_64", "-machine", "q35", *cpu, *_numa(machine)]
    arguments += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    arguments += ["-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"]
    arguments += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,fd={agent}"]
    arguments += ["-device", "virtserialport,chardev=agent,name=lazyobs.agent"]
    arguments += ["-device", "virtio-rng-pci"]
    arguments += _folder("root", "/", readonly=True)
    if machine.share:
        arguments += _folder("share", str(Path(machine.share).resolve()), readonly=False)
    arguments += ["-kernel", str(machine.kernel), "-initrd", str(machine.initramfs), "-append", machine.cmdline]
    return arguments
