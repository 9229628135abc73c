# SPDX-License-Identifier: MIT
"""What pages of manual say beside the options: permissions, cost, files and examples of each command, and topics.

For the man pages, docs/commands.md and ``lazyobs help TOPIC``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lazyobs import shipped
from lazyobs.errors import EXIT_BAD, EXIT_OK, EXIT_REFUSED, EXIT_USAGE

STATUS = {
    EXIT_OK: "success",
    EXIT_BAD: "the answer is bad: verdict FAIL, a failed selftest",
    EXIT_USAGE: "wrong usage",
    EXIT_REFUSED: "not permitted, not supported here, interrupted before there was an answer, or an error of lazyobs "
    "itself; one line says what, why and what to do next",
    4: "selftest only, as in kselftest: everything was skipped, also for lack of permission",
}
OF_THE_COMMAND = "record -- COMMAND and selftest --observe exit with the status of COMMAND."
CACHE, SETTINGS, SCREEN = "/var/cache/lazyobs", "/etc/lazyobs/lazyobs.toml", "~/.config/lazyobs/top.toml"
FILES = {
    CACHE: "plans for each kernel build, and compiled probes where the ones here were changed; /run/lazyobs where that cannot be written",
    SETTINGS: "settings of lazyobs export",
    SCREEN: "settings of the screen ($XDG_CONFIG_HOME)",
}
ENVIRONMENT = {
    "LAZYOBS_ALSO": "probe points to attach that are left out otherwise, as --also names them",
    "LAZYOBS_BCC_PYTHON": "the Python interpreter that has BCC (/usr/bin/python3)",
    "LAZYOBS_COMPILE": "not empty: compile the probes with BCC, as --compile does",
    "LAZYOBS_LOADER_SECONDS": "seconds that a start waits for the probes (600; export and record 10, then they begin without)",
    "LC_ALL, LC_CTYPE, LANG": "a locale without UTF-8 gets ASCII; JSON and CSV do not change",
    "NO_COLOR, TERM, COLORTERM": "colours of the screen",
    "SPARK_REMOTE": "the server that --engine spark uses",
}
_LIVE = (
    "Root, or CAP_BPF, CAP_PERFMON and CAP_SYSLOG; given up once the probes are attached. Others get what /proc shows"
    " them (tier procfs), or one line and exit status 3."
)
_NONE = "None."
_PROBES = (
    "While it runs, each allocation or free of an anon_vma or a chain is counted in the kernel, in some tens of"
    " nanoseconds, and each other slab allocation takes a few more. A loop that does nothing but fork is slowed down by"
    " a tenth at the tracepoint tier, and by up to a half with a probe on every function. When it ends, the kernel detaches everything. make bench measures it."
)
_READS = "It reads files and attaches nothing."


@dataclass(frozen=True)
class Page:
    """``permissions`` and ``overhead`` are paragraphs; ``files`` are keys of FILES; ``examples``: what it is for, by
    command line."""

    permissions: str
    overhead: str
    files: tuple[str, ...]
    examples: dict[str, str]


PAGES = {
    "doctor": Page(
        f"{_LIVE} Without them it says what is missing.",
        "It attaches every probe for a moment.",
        (CACHE,),
        {
            "lazyobs doctor": "which probe points attach here, and why others do not",
            "lazyobs doctor --against vmlinux": "what would work on another kernel, without a boot",
            "lazyobs doctor -o json": "the same for a program",
        },
    ),
    "summary": Page(
        f"{_LIVE} --replay needs none.",
        _PROBES,
        (CACHE,),
        {
            "lazyobs summary": "what anonymous reverse mapping costs here, who holds it, and what laziness would save",
            "lazyobs summary --replay lab": "the same of an example that comes along",
        },
    ),
    "top": Page(
        f"{_LIVE} --replay needs none.",
        f"{_PROBES} The screen takes 2 % of a CPU at a sample a second of 500 processes, and 20 MB.",
        (CACHE, SCREEN),
        {
            "lazyobs top": "the screen; h shows the keys",
            "lazyobs top -b -n 2 -r 10": "two samples as tables: rates need two",
            "lazyobs top -p 1234 --view rmap -d 5": "the walks of one process, every five seconds",
            "lazyobs top --replay lab": "an example that comes along, at the pace it was recorded",
        },
    ),
    "census": Page(
        f"{_LIVE} --replay needs none.",
        "One pass over all VMAs in the kernel: 14 ms for 43,781 of them.",
        (CACHE,),
        {
            "lazyobs census -s chains_held": "who holds most chains",
            "lazyobs census -p 1234 --vmas": "every VMA of one process, with its state",
            "lazyobs census --would": "who ever forks, and what three designs would hold",
        },
    ),
    "trace": Page(
        f"{_LIVE} --replay needs none.",
        f"{_PROBES} An event that is asked for takes some hundreds of nanoseconds more.",
        (CACHE,),
        {
            "lazyobs trace -e fork --min-us 500": "forks that took half a millisecond or longer",
            "lazyobs trace -p 1234 -e promotion,promotion_failed": "promotions of one process's lazy VMAs",
            "lazyobs trace --replay lab -e rmap_walk": "the walks of an example that comes along",
        },
    ),
    "record": Page(
        f"{_LIVE} CAP_CHOWN gives the directory to the user that writes it.",
        f"{_PROBES} The recorder takes 2 % of a CPU at a sample a second of 140 processes, and 51 MB.",
        (CACHE,),
        {
            "lazyobs record -o soak --duration 24h": "samples, events and the kernel log of a day",
            "lazyobs record -o build -- make -j8": "while a command runs; exits with its status",
            "lazyobs record -o box --max-size 200M --keep-on splat": "a flight recorder",
        },
    ),
    "export": Page(
        f"{_LIVE} It serves as the user lazyobs, or nobody.",
        f"{_PROBES} Nothing runs between scrapes; a scrape of 500 processes takes 15 ms.",
        (CACHE, SETTINGS),
        {
            "lazyobs export": "http://127.0.0.1:9797/metrics",
            "lazyobs export --listen :9797 --web-config /etc/lazyobs/web.yml": "on every address, with TLS and passwords",
            "lazyobs export --textfile /var/lib/prometheus/node-exporter/lazyobs.prom": "for node_exporter's textfile collector",
            "lazyobs export --replay lab": "an example that comes along, as if it were running",
        },
    ),
    "report": Page(
        _NONE,
        _READS,
        (),
        {
            "lazyobs report soak": "PASS, FAIL or INCONCLUSIVE, with the reasons",
            "lazyobs report soak --html soak.html": "and a page with charts, which opens offline",
            "lazyobs report boot-* --text": "several boots, for a mailing list",
        },
    ),
    "compare": Page(
        _NONE,
        _READS,
        (),
        {
            "lazyobs compare stock-7.3 lazy-7.3": "two kernels by five boots of each: examples, or directories of recordings",
            "lazyobs compare --base a-1 a-2 a-3 a-4 --new b-1 b-2 b-3 b-4": "the same by the recordings of each boot",
            "lazyobs compare --base a-1 --new b-1 --need-pass": "exits with 1 unless it is a PASS",
        },
    ),
    "selftest": Page(
        f"{_LIVE} Some scenarios need root for swap, KSM or cgroups, and are skipped without.",
        "It loads the machine for a minute or two with forks, faults, swap and migration.",
        (CACHE,),
        {
            "lazyobs selftest": "every affected path of the kernel, as KTAP",
            "lazyobs selftest --only 'fork_*'": "some of the scenarios",
            "lazyobs selftest --observe -- ./program": "what a command of yours does to the counters",
        },
    ),
    "judge": Page(
        "None. Root builds as an ordinary user; guests have no network. /dev/kvm makes them faster.",
        "It builds two kernels and boots them many times: hours on two CPUs; --budget limits the boots.",
        (),
        {
            "lazyobs judge series.mbox": "build, test and measure a series beside its base",
            "lazyobs judge series.mbox --until card": "what it changes in the images, in minutes",
            "lazyobs judge --again judge-2026-11-27": "say anew what was found",
        },
    ),
    "images": Page(_NONE, _READS, (), {"lazyobs images --programs": "each program with its instructions"}),
    "examples": Page(
        _NONE,
        _READS,
        (),
        {
            "lazyobs examples": "the recordings that come along",
            "lazyobs examples lab here": "a copy of one",
        },
    ),
    "dashboards": Page(
        "None for a copy; --provision writes below /etc and /var/lib.",
        _READS,
        (),
        {
            "lazyobs dashboards boards": "a copy of boards, rules, alerts and configurations",
            "lazyobs dashboards --provision": "put them where Prometheus and Grafana look",
        },
    ),
    "help": Page(
        _NONE,
        _READS,
        (),
        {
            "lazyobs help top": "the options of a command",
            "lazyobs help permissions": "a topic",
            "lazyobs help glossary": "a page of the documentation",
        },
    ),
    "version": Page(_NONE, _READS, (), {"lazyobs version": "the version and the commit"}),
    "completion": Page(_NONE, _READS, (), {"lazyobs completion bash": "the script for ~/.bashrc"}),
}


def topics() -> dict[str, str]:
    """{topic: what stands there} of ``lazyobs help``: the sections below, and the pages of docs."""
    try:
        documents = sorted(shipped.folder("docs").glob("*.md"))
    except FileNotFoundError:
        documents = []
    found = {name: about for name, (about, _) in _SECTIONS.items()}
    return found | {page.stem: _title(page.read_text(encoding="utf-8")) for page in documents}


def topic(name: str) -> str:
    """The text of one of ``topics()``."""
    if name in _SECTIONS:
        return _SECTIONS[name][1]()
    return (shipped.folder("docs") / f"{name}.md").read_text(encoding="utf-8")


def _title(page: str) -> str:
    return next((line.removeprefix("# ") for line in page.splitlines() if line.startswith("# ")), "")


def _by_command(field: str) -> str:
    """The paragraphs of all commands; what several share is said once."""
    said: dict[str, list[str]] = {}
    for name, page in PAGES.items():
        said.setdefault(getattr(page, field), []).append(name)
    return "\n\n".join(f"{', '.join(names)}\n  {text}" for text, names in said.items()) + "\n"


def _table(rows: dict[str, str]) -> str:
    return "".join(f"{key}\n  {text}\n" for key, text in rows.items())


def _examples() -> str:
    return "".join(_table(page.examples) for page in PAGES.values())


# name: (what it is about, its text)
_SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "permissions": ("what each command needs", lambda: _by_command("permissions")),
    "overhead": ("what each command costs", lambda: _by_command("overhead")),
    "examples-of-use": ("command lines, and what they are for", _examples),
    "files": ("what it reads and writes", lambda: _table(FILES)),
    "environment": ("variables", lambda: _table(ENVIRONMENT)),
    "exit-status": (
        "what each number means",
        lambda: _table({str(k): v for k, v in STATUS.items()}) + OF_THE_COMMAND + "\n",
    ),
}
