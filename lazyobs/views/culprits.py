# SPDX-License-Identifier: MIT
"""Who holds more anon_vmas and chains than before, and by what path: between two lists of processes. Nothing here prints.

Every chain is on the list of one VMA, so what processes hold adds up, and growth has an address. What children of one
name hold less is taken off what their siblings of that name hold more: workers are replaced. Nothing else is: that a
build has ended says nothing of the leak beside it. The growth is looked for in the tree of processes, from the top: the search goes down while one child accounts for nearly all of it. It ends at a process
that grew itself, or whose descendants did (a family: a server whose children do not end). Where it ends at init, the
growth is that of a cgroup, or of all processes of a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lazyobs.model import Process

PROCESS, FAMILY, CGROUP, NAME = "process", "family", "cgroup", "name"
PREPARE, FORK, SPLIT, PROMOTION = "prepare", "fork", "split", "promotion"
LEAST = 100  # objects: less is no growth
_MOST_OF_IT = 0.8  # of what the parent's descendants grew by: the search goes on with that child
_HALF = 0.5  # of the growth: what a culprit has to account for
_REAPERS = (0, 1)  # whose children are often others' orphans
Identity = tuple[int, float]


@dataclass(frozen=True)
class Culprit:
    """``kind``: one of PROCESS, FAMILY (``pid`` and its descendants), CGROUP, NAME. ``processes``: how many there are now;
    ``begun``: of them, since the first list. ``chains``, ``anon_vmas``: grown by. ``share``: of the growth of all.
    ``path``: PREPARE, FORK, SPLIT (split, merge or mremap) or PROMOTION (of VMAs that were lazy), by which most of the
    chains were made; None where that is not counted. ``chains_per_vma``: of its anonymous VMAs; each generation of forks
    adds one. ``chains_held``, ``anon_vmas_held``: at the end."""

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
    chains_held: int
    anon_vmas_held: int

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
    tree = _Tree(nodes)
    if tree.total < LEAST:
        return None
    return _in_the_tree(tree) or _of_a_group(nodes, tree.total, CGROUP) or _of_a_group(nodes, tree.total, NAME)


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
    for name in ("prepares", "fork_chains", "fork_anon_vmas", "chain_allocs", "promotions"):
        after, then = (0 if one is None else one.counts.get(name) for one in (now, old))
        counts[name] = None if after is None or then is None else max(after - then, 0)
    return _Node(process, old is None, now is None, chains, anon_vmas, counts)


def _held(process: Process | None, name: str) -> int:
    return 0 if process is None else process.census.get(name) or 0


class _Tree:
    """``children``: {pid: nodes}; at 0 those whose parent is not there. ``total``: of all that grew."""

    def __init__(self, nodes: list[_Node]) -> None:
        self.children = _children(nodes)
        self._grown: dict[int, int] = {}
        for node in reversed(self._from_the_top()):  # children come behind their parents
            below = [] if node.has_ended else self.children[node.process.pid]
            self._grown[id(node)] = node.grown + sum(self._by_name(below).values())
        self.total = sum(self._by_name(self.children[0]).values())

    def _from_the_top(self) -> list[_Node]:
        """Every node once, whatever loops reused pids make."""
        order, seen, left = [], set(), list(self.children[0])
        while left:
            node = left.pop()
            if id(node) not in seen:
                seen.add(id(node))
                order.append(node)
                left += [] if node.has_ended else self.children[node.process.pid]
        return order

    def grown(self, node: _Node) -> int:
        """By that it and its descendants grew; 0 in a loop that hangs on nothing."""
        return self._grown.get(id(node), 0)

    def _by_name(self, siblings: list[_Node]) -> dict[str, int]:
        """{name: by what siblings of that name have grown together}, where they have."""
        found: dict[str, int] = defaultdict(int)
        for node in siblings:
            found[node.process.comm] += self.grown(node)
        return {name: max(grown, 0) for name, grown in found.items()}

    def largest(self, at: _Node | None) -> tuple[_Node, int] | None:
        """The child that grew most, of those whose name grew most, and by what."""
        siblings = self.children[at.process.pid if at else 0]
        names = self._by_name(siblings)
        if not names:
            return None
        name = max(names, key=lambda one: names[one])
        node = max((one for one in siblings if one.process.comm == name), key=self.grown)
        return node, min(self.grown(node), names[name])


def _in_the_tree(tree: _Tree) -> Culprit | None:
    at: _Node | None = None
    grown = tree.total
    while (found := tree.largest(at)) is not None and _goes_on(at, found, grown, tree.total):
        at, grown = found
        if at.has_ended:
            return None
    if at is None or at.process.pid in _REAPERS:
        return None
    if at.grown >= _MOST_OF_IT * grown:
        return _made(PROCESS, at.process.comm, at.process.pid, [at], tree.total)
    return _made(FAMILY, at.process.comm, at.process.pid, _family(at, tree.children), tree.total)


def _goes_on(at: _Node | None, found: tuple[_Node, int], here: int, total: int) -> bool:
    """Whether the search goes down to that child. A new process is an answer where it grew itself, or its parent is none:
    the one that keeps forking is older than what it forked."""
    node, grown = found
    if at is None or at.process.pid in _REAPERS:
        return grown >= _HALF * total
    return (min(node.grown, grown) if node.is_new else grown) >= _MOST_OF_IT * here


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
    chains, anon_vmas = (sum(_held(node.process, one) for node in there) for one in ("chains_held", "anon_vmas_held"))
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
        chains_held=chains,
        anon_vmas_held=anon_vmas,
    )


def _path(nodes: list[_Node]) -> str | None:
    """What most chains of these processes are for. A fork's are what new processes hold and have not made themselves: what
    forks have cloned counts children, too, that have ended. A parent is charged with its children's."""
    made = {name: [node.counts[name] for node in nodes] for name in ("prepares", "fork_chains", "chain_allocs")}
    if any(None in counts for counts in made.values()):
        return None
    prepares, _, chains = (sum(count or 0 for count in counts) for counts in made.values())
    forked = sum(_made_by_forks(node) for node in nodes)
    inherited = sum(max(node.chains - _made_for_itself(node), 0) for node in nodes if node.is_new)
    if not chains + inherited:
        return None
    # A promotion makes one chain, whatever it is for: a split of a lazy VMA makes another, and is one by that.
    promoted = sum(node.counts["promotions"] or 0 for node in nodes)  # None on a kernel that has none
    paths = {PREPARE: prepares, FORK: inherited, SPLIT: chains - prepares - forked - promoted, PROMOTION: promoted}
    return max(paths, key=lambda path: paths[path])


def _made_for_itself(node: _Node) -> int:
    return (node.counts["chain_allocs"] or 0) - _made_by_forks(node)


def _made_by_forks(node: _Node) -> int:
    """Chains for children: those cloned, and one for each anon_vma that a child's VMA got of its own, at most as many
    again (recordings of an earlier lazyobs do not say)."""
    cloned, own = node.counts["fork_chains"] or 0, node.counts["fork_anon_vmas"]
    return cloned + (cloned if own is None else own)
