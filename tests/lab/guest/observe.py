# SPDX-License-Identifier: MIT
"""Runs in the guest: known workloads under lazyobs, what it counted as one JSON object on stdout.

``observe.py STEP,.. PROGRAMS``: PROGRAMS is the folder of the compiled workloads. Nothing is judged
here; the tests on the host hold the numbers against each other and against what they must be.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from anatomy import anatomy
from driven import Interpreter, Program, Watch, swap_on
from prometheus_client import CollectorRegistry, generate_latest

from lazyobs.bpf import plan
from lazyobs.bpf.session import COMPILE, Loader, interpreters
from lazyobs.kernel import profile
from lazyobs.kernel.build import Build
from lazyobs.kernel.slab import Slabinfo
from lazyobs.sources.live import LiveSource
from lazyobs.sources.open import open_live
from tests.kernel import renamed

PROGRAMS = Path(sys.argv[2])
EACH_COMMAND = Path(__file__).parents[3] / "lab/guest/each_command.py"
SWITCH = Path("/proc/sys/vm/anon_vma_lazy")
ISLANDS, PAGES, CHILDREN = 211, 101, 3
THREADS, EACH = 401, 23  # of the crowd, and its islands


def islands(tier: str) -> dict[str, Any]:
    source = open_live(cap=tier, keep_root=True).source
    assert isinstance(source, LiveSource), source
    return islands_seen_by(source)


def compiled(tier: str) -> dict[str, Any]:
    """``islands`` with programs that BCC compiles here, and the image that they are from: none."""
    with mock.patch.dict(os.environ, {COMPILE: "1"}):
        source = open_live(cap=tier, keep_root=True).source
    assert isinstance(source, LiveSource), source
    return {"image": source.session.image, **islands_seen_by(source)}


# Where the distribution has BCC and LLVM: hidden in a mount namespace.
HIDDEN = """mount -t tmpfs none /usr/lib/python3/dist-packages/bcc
for file in /usr/lib/*/libbcc* /usr/lib/*/libLLVM* /usr/lib/*/libclang* /usr/bin/clang*; do
    [ ! -f "$file" ] || mount --bind /dev/null "$file"
done
exec "$@"
"""


def without_compiler(tier: str) -> dict[str, Any]:
    """What doctor says of compilers where BCC, clang and LLVM are hidden, and what each command gives there."""

    def run(*words: str) -> Any:
        shutil.rmtree("/run/lazyobs", ignore_errors=True)  # what earlier steps compiled
        hidden = ["unshare", "-m", "sh", "-ec", HIDDEN, "sh", sys.executable, *words]
        return json.loads(subprocess.run(hidden, check=True, stdout=subprocess.PIPE).stdout)

    kernel = run("-m", "lazyobs", "doctor", "-o", "json", "--tier", tier)["kernel"]
    return {"bcc": kernel["bcc"], "probes": kernel["probes"], "gave": run(str(EACH_COMMAND), tier)}


def renamed_islands(tier: str) -> dict[str, Any]:
    """``islands`` where every function has another name in kallsyms and BTF, with a profile of aliases."""
    design = plan.gather().profile
    text = (profile.BUILT_IN / f"{design.name}.toml").read_text()
    for name in design.functions:
        text = text.replace(f'"{name}"', f'"{renamed.PREFIX}{name}"', 1)  # [detect] comes first
    stated = [name for names in design.stated.values() for name in names]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "renamed.toml")
        file.write_text(text + renamed.aliases(stated))
        facts = plan.gather([profile.load(file)], **renamed.root(Path(folder)))
    made = plan.make(facts, tier)
    return islands_seen_by(LiveSource(made.subject, Loader(interpreters()[0]).load(made), Slabinfo()))


def islands_seen_by(source: LiveSource) -> dict[str, Any]:
    program = Program(PROGRAMS / "islands", ISLANDS)
    watch = Watch(source, program.pid)
    found = {"before": watch.gained()}
    for command in ("touch", "fork", "fork", "reap", "reap", "unmap"):
        name = command if command not in found else command + " again"
        found[name] = watch.gained(program.tell(command))
    program.end()
    sample = source.read()
    found["histograms"] = {k: v and {"count": v["count"], "sum": v["sum"]} for k, v in sample.histograms.items()}
    found["tiers"] = sample.tiers
    found["health"] = sample.health
    source.close()
    return found


def kept(tier: str) -> dict[str, Any]:
    """A start with what an earlier boot's start left in PROGRAMS/kept, and ``islands``; leaves its own there."""
    here = Path("/run/lazyobs")  # this boot's own; /var/cache is the host's, and read-only
    here.mkdir(mode=0o700)
    for file in (PROGRAMS / "kept").iterdir():
        shutil.copy(file, here)
        (here / file.name).chmod(0o600)
    source = open_live(cap=tier, keep_root=True).source
    assert isinstance(source, LiveSource), source
    session = source.session
    found = {"anchor": Build.read().anchor, "compiled": session.compiled, "ignored": session.ignored}
    source.close()
    for file in here.iterdir():
        shutil.copy(file, PROGRAMS / "kept")
    return found | islands(tier)


def both_prepares(_tier: str) -> dict[str, Any]:
    """prepares by call site and by function, on the same workload at the same time."""
    from lazyobs.bpf import maps

    SWITCH.write_text("0")
    source = open_live(keep_root=True).source
    assert isinstance(source, LiveSource), source
    program = Program(PROGRAMS / "islands", ISLANDS)
    for command in ("touch", "fork", "reap"):
        program.tell(command)
    subprocess.run(["sh", "-c", "for i in 1 2 3 4 5 6 7; do /bin/true; ls / >/dev/null; done"], check=True)
    program.end()
    slots = maps.totals(source.session.maps["totals"], maps.possible_cpus())
    source.close()
    SWITCH.write_text("1")
    return {name: slots[name] for name in ("prepares", "prepares_by_site")}


def vmstat() -> dict[str, int]:
    text = Path("/proc/vmstat").read_text()
    return {name: int(value) for name, value in re.findall(r"^anon_vma_lazy_(\w+) (\d+)$", text, re.MULTILINE)}


def reasons(tier: str) -> dict[str, Any]:
    """Every promotion by its reason, as the probes and as the kernel's own statistic count it."""
    source = open_live(cap=tier, keep_root=True).source
    Path("/sys/kernel/mm/ksm/run").write_text("2")  # nothing merged from before
    kernel, ours = vmstat(), source.read().totals
    subprocess.run([PROGRAMS / "promote"], check=True, stdout=subprocess.DEVNULL)
    after_kernel, after = vmstat(), source.read().totals
    source.close()
    by_reason = after["promotions_by_reason"]
    return {
        "kernel": {
            key.removeprefix("promote_"): after_kernel[key] - kernel[key] for key in kernel if key != "promote_failed"
        },
        "probes": {
            **{reason: count - ours["promotions_by_reason"][reason] for reason, count in by_reason.items()},
            "prepare": after["lazy_prepares"] - ours["lazy_prepares"],
        },
        "failed": after["promotions_failed"],
    }


def crowd(tier: str) -> dict[str, Any]:
    """Many threads, all wanting the lock of one anon_vma."""
    source = open_live(cap=tier, keep_root=True).source
    kernel, ours = vmstat(), source.read().totals
    command = [str(PROGRAMS / "crowd"), "threads", str(THREADS * EACH), str(THREADS)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after_kernel, after = vmstat(), source.read()
    source.close()
    return {
        "kernel": after_kernel["prepare"] - kernel["prepare"],
        "probes": after.totals["lazy_prepares"] - ours["lazy_prepares"],
        "map_full": after.health["map_full"],
        "missed": after.health["recursion_misses"],
    }


def hashed(tier: str) -> dict[str, Any]:
    """The same as on kernels before 5.12, where BPF has no compare-and-swap: no process gets a slot."""
    shutil.rmtree("/run/lazyobs", ignore_errors=True)  # what earlier steps kept has slots
    with mock.patch.object(plan, "has_compare_and_swap", lambda *_: False):
        return crowd(tier)


def walks(tier: str) -> dict[str, Any]:
    source = open_live(cap=tier, keep_root=True).source
    swap_on()
    program = Program(PROGRAMS / "walks", PAGES)
    watch = Watch(source, program.pid)
    program.tell("touch")
    watch.gained()
    found = {"pageout": watch.gained(program.tell("pageout"))}
    # Swapped in, the pages may lie on either node: the second move is the one to count.
    for command in ("touch", "move 1"):
        program.tell(command)
    watch.gained()
    found["move"] = watch.gained(program.tell("move 0"))
    for _ in range(CHILDREN):
        program.tell("fork")
    watch.gained()
    found["shared move"] = watch.gained(program.tell("move 1"))
    program.end()

    merged = Program(PROGRAMS / "walks", PAGES)
    merged.tell("same")
    ksm = Path("/sys/kernel/mm/ksm")
    (ksm / "pages_to_scan").write_text("10007")
    (ksm / "sleep_millisecs").write_text("1")
    (ksm / "run").write_text("2")  # nothing merged from before
    (ksm / "run").write_text("1")
    while int((ksm / "pages_sharing").read_text()) < PAGES - 1:
        time.sleep(0.1)
    (ksm / "run").write_text("0")
    merged.tell("move 1")
    watch = Watch(source, merged.pid)
    found["ksm move"] = watch.gained(merged.tell("move 0"))
    merged.end()

    huge = Program(PROGRAMS / "walks", 1)
    address = int(huge.tell("huge"), 16)
    watch = Watch(source, huge.pid)
    Path("/sys/kernel/debug/split_huge_pages").write_text(f"{huge.pid},{address:#x},{address + (2 << 20):#x}")
    found["huge split"] = source_only(watch)
    huge.end()
    found["histograms"] = {k: v and {"count": v["count"]} for k, v in source.read().histograms.items()}
    source.close()
    return found


def source_only(watch: Watch) -> dict[str, Any]:
    """The walker was this process, not the watched one: totals tell."""
    gained = watch.gained()
    return {"totals": gained["totals"]}


def slab_bytes() -> int:
    """Bytes of live anon_vma and anon_vma_chain objects: RCU callbacks done, slabs flushed."""
    total = 0
    for cache in ("anon_vma", "anon_vma_chain"):
        for _ in range(2):
            time.sleep(0.5)
            Path(f"/sys/kernel/slab/{cache}/shrink").write_text("1")
    for line in Path("/proc/slabinfo").read_text().splitlines():
        fields = line.split()
        if fields[0] in ("anon_vma", "anon_vma_chain"):
            total += int(fields[1]) * int(fields[3])
    return total


def savings(_tier: str) -> dict[str, Any]:
    """saved_bytes of some processes, and the slab bytes they take with the switch off and on; what summary says of all."""
    from lazyobs.views.costs import costs

    workloads = {
        "islands": lambda: [Program(PROGRAMS / "islands", 3001)],
        "python": lambda: [Interpreter() for _ in range(23)],
    }
    found: dict[str, Any] = {}
    for name, start in workloads.items():
        found[name] = {}
        for switch in ("1", "0"):
            SWITCH.write_text(switch)
            source = open_live(keep_root=True, points=("slab", "process", "census")).source
            before = slab_bytes()
            programs = start()
            for program in programs:
                program.tell("touch")
            there, position = slab_bytes(), "on" if switch == "1" else "off"
            sample = source.read()
            found[name][f"slab_bytes_{position}"] = there - before
            found[name][f"all_{position}"] = [costs(sample, sample, {}, 0.0).bytes, there]
            if switch == "1":
                pids = {program.pid for program in programs}
                rows = [process for process in sample.processes if process.pid in pids]
                found[name]["saved_bytes"] = sum(row.census["saved_bytes"] or 0 for row in rows)
            for program in programs:
                program.end()
            source.close()
    SWITCH.write_text("1")
    return found


def unfitted(_tier: str) -> dict[str, Any]:
    """The design of this kernel as one that no profile describes: what each view shows of 307 lazy VMAs."""
    from lazyobs.exporter.cgroups import CgroupFold
    from lazyobs.exporter.collector import LazyobsCollector
    from lazyobs.views import doctor, tables

    shutil.rmtree("/run/lazyobs", ignore_errors=True)  # what earlier steps kept knows the design
    others = [one for one in profile.built_in() if one.name != "lab"]
    said = io.StringIO()
    with mock.patch.object(plan, "built_in", lambda: others):
        opened = open_live(keep_root=True)
        with contextlib.redirect_stdout(said):
            doctor.show(None, None, "json", False)
    program = Program(PROGRAMS / "islands", 307)
    program.tell("touch")
    sample = opened.source.read()
    row = next(process for process in sample.processes if process.pid == program.pid)
    registry = CollectorRegistry()
    registry.register(LazyobsCollector(opened.source, CgroupFold()))
    found = {
        "sample": {**sample.as_json_but_processes(), "histograms": {}},
        "process": row.as_json(),
        "table": tables.header(sample),
        "metrics": generate_latest(registry).decode(),
        "notice": opened.notice,
        "doctor": json.loads(said.getvalue()),
    }
    program.end()
    opened.source.close()
    shutil.rmtree("/run/lazyobs", ignore_errors=True)
    return found


STEPS = {
    "anatomy": lambda tier: anatomy(tier, PROGRAMS, ISLANDS),
    "unfitted": unfitted,
    "islands": islands,
    "compiled": compiled,
    "without_compiler": without_compiler,
    "renamed": renamed_islands,
    "kept": kept,
    "prepares": both_prepares,
    "reasons": reasons,
    "crowd": crowd,
    "hashed": hashed,
    "walks": walks,
    "savings": savings,
}

print(json.dumps({step: STEPS[step.split(":")[0]](step.partition(":")[2]) for step in sys.argv[1].split(",")}))
