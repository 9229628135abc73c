# SPDX-License-Identifier: MIT
"""QEMU's command line for a machine of the lab.

virtme-ng, too, boots a kernel on the host's own files. It does not serve here (looked at: 1.42):

- It has no time limit, and its exit status is 255 for any guest that ends early. The lab distinguishes a time-out, a
  kernel that did not come up, and one that died, with the reason.
- The console of a scripted run is either dropped ("quiet loglevel=0") or mixed into standard error. The lab keeps a
  console of its own, where it looks for splats and for the cause of death.
- QEMU opens standard output and error anew by /proc/self/fd; where they are sockets, standard error is lost.
- It takes a /dev/kvm that can be opened for a KVM that works.
- Debian 12 has no package of it, and it needs two from PyPI. The lab needs Python's standard library and QEMU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hardware:
    """What QEMU is given for an architecture. ``cpu``: where there is no KVM."""

    program: str
    machine: str
    cpu: str
    console: str
    cmdline: str = ""
    environment: tuple[tuple[str, str], ...] = ()  # of every command


HARDWARE = {
    "amd64": Hardware(
        "qemu-system-x86_64",
        "q35",
        # All that TCG can do, AVX included: duckdb's wheels require it, and `lazyobs report` would end with SIGILL.
        # A guest of x86-64-v2 takes as long. Not five levels of page tables, which few machines have.
        "max,-la57,-svm",
        "ttyS0",
        # on a busy host too few ticks arrive within the time of the kernel's test, and it would panic
        "no_timer_check",
        # QEMU 7.2 gets gathers with a mask wrong whose indexes are as long as half an element, or twice (VPGATHERDQ,
        # VPGATHERQD): numpy's argsort has another order than its numbers, and reads out of bounds with it. The CPU keeps
        # AVX2, which duckdb's wheels do not do without. numpy's own names for it, old and new.
        (("NPY_DISABLE_CPU_FEATURES", "X86_V4 X86_V3 AVX512_SKX AVX512F AVX2 FMA3"),),
    ),
    # A cortex-a72 has no pages of 16 KiB, and "max" spends its time on the signatures of pointers.
    "arm64": Hardware("qemu-system-aarch64", "virt,gic-version=3", "neoverse-n1", "ttyAMA0"),
}


@dataclass(frozen=True)
class Machine:
    """``root``: the folder that is the guest's root; ``checkout``: one more, read-only. With ``disks`` the guest has
    these images as /dev/vda, vdb, ... instead of the folders; only the third can be written. ``cpu`` "": the table's.
    """

    kernel: Path
    initramfs: Path
    cmdline: str
    accel: str = "tcg"
    cpus: int = 2
    memory: int = 2048
    nodes: int = 2
    share: str | None = None
    icount: bool = False
    arch: str = "amd64"
    root: str = "/"
    checkout: str | None = None
    disks: tuple[Path, ...] = ()
    cpu: str = ""


def kernel_command_line(*extra: str, arch: str = "amd64") -> str:
    """An oops panics and a panic ends the machine, so that nothing waits for a dead kernel."""
    hardware = HARDWARE[arch]
    base = f"console={hardware.console} loglevel=6 oops=panic panic=-1 watchdog_thresh=60"
    base += " rcupdate.rcu_cpu_stall_timeout=180"
    return " ".join(part for part in (base, hardware.cmdline, *extra) if part)


def _numa(machine: Machine) -> list[str]:
    nodes = max(1, machine.nodes)
    cpus = -(-max(nodes, machine.cpus) // nodes) * nodes
    # one socket per node: the kernel warns of a socket that spans nodes
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
    # a comma in an option's value has to be doubled
    return [
        "-virtfs",
        f"local,path={path.replace(',', ',,')},mount_tag={tag},security_model=none,multidevs=remap"
        + (",readonly=on" if readonly else ""),
    ]


def _drives(disks: tuple[Path, ...]) -> list[str]:
    arguments = []
    for number, disk in enumerate(disks):
        path, readonly = str(disk).replace(",", ",,"), "off" if number == 2 else "on"
        arguments += ["-drive", f"if=none,id=disk{number},format=raw,file={path},readonly={readonly},file.locking=off"]
        arguments += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return arguments


def _folders(machine: Machine) -> list[str]:
    arguments = _folder("root", machine.root, readonly=True)
    if machine.checkout:
        arguments += _folder("checkout", machine.checkout, readonly=True)
    if machine.share:
        arguments += _folder("share", str(Path(machine.share).resolve()), readonly=False)
    return arguments


def command_line(machine: Machine, agent: int, console: int) -> list[str]:
    """QEMU's arguments; ``agent`` and ``console`` are inherited sockets."""
    hardware = HARDWARE[machine.arch]
    if machine.accel == "kvm":
        cpu = ["-accel", "kvm", "-cpu", machine.cpu or "host"]
    elif machine.icount:
        cpu = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", machine.cpu or hardware.cpu]
    else:
        cpu = ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", machine.cpu or hardware.cpu]
    arguments = [hardware.program, "-machine", hardware.machine, *cpu, *_numa(machine)]
    arguments += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    arguments += ["-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"]
    arguments += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,fd={agent}"]
    arguments += ["-device", "virtserialport,chardev=agent,name=lazyobs.agent"]
    arguments += ["-device", "virtio-rng-pci"]
    arguments += _drives(machine.disks) if machine.disks else _folders(machine)
    arguments += ["-kernel", str(machine.kernel), "-initrd", str(machine.initramfs), "-append", machine.cmdline]
    return arguments
