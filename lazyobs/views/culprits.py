# SPDX-License-Identifier: MIT
"""Who holds more anon_vmas and chains than before, and by what path: between two lists of processes. Nothing here prints.

Every chain is on the list of one VMA, so what processes hold adds up, and growth has an address. It is looked for in the
tree of processes, from the top: the search goes down while one child accounts for nearly all of it. It ends at a process
that grew itself, or whose descendants did (a family: a server whose children do not end). Where it ends at init, the
growth is that of a cgroup, or of all processes of a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lazyobs.model import Process

PROCESS, FAMILY, CGROUP, NAME = "process", "family", "cgroup", "name"
PREPARE, FORK, SPLIT = "prepare", "fork", "split"
LEAST = 100  # objects: less is no growth
_MOST_OF_IT = 0.8  # of what the parent's descendants grew by: the search goes on with that child
_HALF = 0.5  # of the growth: what a culprit has to account for
_REAPERS = (0, 1)  # whose children are often others' orphans
Identity = tuple[int, float]


@dataclass(frozen=True)
class Culprit:
    """``kind``: one of PROCESS, FAMILY (``pid`` and its descendants), CGROUP, NAME. ``processes``: how many there are now;
    ``begun``: of them, since the first list. ``chains``, ``anon_vmas``: grown by. ``share``: of the growth of all.
    ``path``: PREPARE, FORK or SPLIT (split, merge or mremap), by which most of the chains were made; None where that is
    not counted. ``chains_per_vma``: of its anonymous VMAs; each generation of forks adds one."""

    kind: str
    name: str
    pid: int | None
    cgroup: str | None
    processes: int
    begun: int
    chains: int
    anon_vmas: int
    share: float
    path: str | None
    chains_per_vma: float | None

    @property
    def objects(self) -> int:
        return self.chains + self.anon_vmas


@dataclass
class _Node:
    """A process that was there at either time. ``chains``, ``anon_vmas``: grown by; negative if it has ended."""

    process: Process
    is_new: bool
    has_ended: bool
    chains: int
    anon_vmas: int
    counts: dict[str, int | None]  # between the two times

    @property
    def grown(self) -> int:
        return self.chains + self.anon_vmas


def culprit(first: Iterable[Process], last: Iterable[Process]) -> Culprit | None:
    """None where the processes together have not grown, or nothing accounts for half of it."""
    nodes = _nodes(first, last)
    total = sum(node.grown for node in nodes)
    if total < LEAST:
        return None
    return _in_the_tree(nodes, total) or _of_a_group(nodes, total, CGROUP) or _of_a_group(nodes, total, NAME)


def known(processes: Iterable[Process]) -> bool:
    """Whether it is counted what these hold."""
    return any(process.census.get("chains_held") is not None for process in processes)


def _nodes(first: Iterable[Process], last: Iterable[Process]) -> list[_Node]:
    before = {(process.pid, process.start_time): process for process in first}
    found = []
    for process in last:
        old = before.pop((process.pid, process.start_time), None)
        found.append(_node(process, old, process))
    return found + [_node(old, old, None) for old in before.values()]


def _node(process: Process, old: Process | None, now: Process | None) -> _Node:
    chains, anon_vmas = ((_held(now, name) - _held(old, name)) for name in ("chains_held", "anon_vmas_held"))
    counts: dict[str, int | None] = {}
    for name in ("prepares", "fork_chains", "chain_allocs"):
        after, then = (0 if one is None else one.counts.get(name) for one in (now, old))
        counts[name] = None if after is None or then is None else max(after - then, 0)
    return _Node(process, old is None, now is None, chains, anon_vmas, counts)


def _held(process: Process | None, name: str) -> int:
    return 0 if process is None else process.census.get(name) or 0


def _in_the_tree(nodes: list[_Node], total: int) -> Culprit | None:
    children = _children(nodes)
    below = _grown_below(nodes, children)
    at: _Node | None = None
    seen: set[int] = set()
    while True:
        inside = [node for node in children[at.process.pid if at else 0] if id(node) not in seen]
        largest = max(inside, key=lambda node: below[id(node)], default=None)
        if largest is None or not _goes_on(at, below[id(largest)], below[id(at)] if at else total, total, largest):
            break
        at = largest
        seen.add(id(at))
    if at is None or at.process.pid in _REAPERS:
        return None
    if at.grown >= _MOST_OF_IT * below[id(at)]:
        return _made(PROCESS, at.process.comm, at.process.pid, [at], total)
    family = _family(at, children)
    return _made(FAMILY, at.process.comm, at.process.pid, family, total)


def _goes_on(at: _Node | None, child: int, here: int, total: int, node: _Node) -> bool:
    """Whether the search goes down to that child. A new process is an answer where it grew itself, or its parent is none:
    the one that keeps forking is older than what it forked."""
    if at is None or at.process.pid in _REAPERS:
        return child >= _HALF * total
    return (node.grown if node.is_new else child) >= _MOST_OF_IT * here


def _children(nodes: list[_Node]) -> dict[int, list[_Node]]:
    """{pid: children}; at 0 those whose parent is not there."""
    pids = {node.process.pid for node in nodes if not node.has_ended}
    found: dict[int, list[_Node]] = defaultdict(list)
    for node in nodes:
        parent = node.process.ppid or 0
        found[parent if parent in pids and parent != node.process.pid else 0].append(node)
    return found


def _family(at: _Node, children: dict[int, list[_Node]]) -> list[_Node]:
    """The node and its descendants. Not recursive, and every node once: a reused pid can make a loop."""
    found, seen, left = [], {id(at)}, [at]
    while left:
        node = left.pop()
        found.append(node)
        if not node.has_ended:
            new = [child for child in children[node.process.pid] if id(child) not in seen]
            seen.update(map(id, new))
            left += new
    return found


def _grown_below(nodes: list[_Node], children: dict[int, list[_Node]]) -> dict[int, int]:
    """{id of a node: what it and its descendants grew by}."""
    found = {id(node): node.grown for node in nodes}
    order, seen = [], set()
    left = list(children[0])
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        order.append(node)
        if not node.has_ended:
            left += children[node.process.pid]
    parents = {node.process.pid: node for node in order if not node.has_ended}
    for node in reversed(order):  # children come behind their parents
        parent = parents.get(node.process.ppid or 0)
        if parent is not None and parent is not node:
            found[id(parent)] += found[id(node)]
    return found


def _of_a_group(nodes: list[_Node], total: int, kind: str) -> Culprit | None:
    groups: dict[str, list[_Node]] = defaultdict(list)
    for node in nodes:
        key = node.process.comm if kind == NAME else node.process.cgroup
        if key is not None:
            groups[key].append(node)
    if kind == CGROUP and len(groups) < 2:
        return None
    name, inside = max(groups.items(), key=lambda item: sum(node.grown for node in item[1]), default=("", []))
    if sum(node.grown for node in inside) < _HALF * total:
        return None
    return _made(kind, name, None, inside, total)


def _made(kind: str, name: str, pid: int | None, nodes: list[_Node], total: int) -> Culprit:
    grown = sum(node.grown for node in nodes)
    there = [node for node in nodes if not node.has_ended]
    cgroups = {node.process.cgroup for node in there}
    vmas = sum(node.process.census.get("vmas_anon") or 0 for node in there)
    chains = sum(_held(node.process, "chains_held") for node in there)
    return Culprit(
        kind=kind,
        name=name,
        pid=pid,
        cgroup=cgroups.pop() if len(cgroups) == 1 else None,
        processes=len(there),
        begun=sum(node.is_new for node in there),
        chains=sum(node.chains for node in nodes),
        anon_vmas=sum(node.anon_vmas for node in nodes),
        share=min(grown / total, 1.0),
        path=_path(nodes),
        chains_per_vma=chains / vmas if vmas else None,
    )


def _path(nodes: list[_Node]) -> str | None:
    """Of the chains that these processes made meanwhile, most were made for what. The parent is charged with a fork; where
    it is not among them, what new ones hold and have not made says the same."""
    made = {name: [node.counts[name] for node in nodes] for name in ("prepares", "fork_chains", "chain_allocs")}
    if any(None in counts for counts in made.values()):
        return None
    prepares, forked, chains = (sum(count or 0 for count in counts) for counts in made.values())
    inherited = sum(max(node.chains - (node.counts["chain_allocs"] or 0), 0) for node in nodes if node.is_new)
    if not chains + inherited:
        return None
    paths = {PREPARE: prepares, FORK: max(forked, inherited), SPLIT: chains - prepares - forked}
    return max(paths, key=lambda path: paths[path])
