# SPDX-License-Identifier: MIT
"""``lazyobs summary``: what anonymous reverse mapping costs this machine, in a few lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from typing import Any

from lazyobs import text
from lazyobs.views import columns, lines
from lazyobs.views.blame import blamed
from lazyobs.views.costs import Costs, Holder

_MUCH = 0.3  # share of all objects from which a single holder is worth advice
_MANY = 5  # children
_LEAST_SECONDS = 30  # of growth that is worth advice: in a shorter time processes come and go
_MOST_LETTERS = 44  # of a command line: lines stay within 80 columns


def show(costs: Costs, output: str) -> None:
    """Prints the answer as lines, as one JSON object, or as CSV with one row."""
    document = {**costs.as_json(), "advice": advice(costs)}
    if output == "json":
        print(lines.json_line(document))
    elif output == "csv":
        flat = dict(_flat(document))
        csv.writer(sys.stdout, lineterminator="\n").writerows(
            [list(flat), [lines.csv_safe(value) for value in flat.values()]]
        )
    else:
        print("\n".join(text.printable(line) for line in summary(costs)))


def _flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and names by dotted key; lists (the largest holders) are left to JSON."""
    for key, value in document.items():
        if isinstance(value, dict):
            if key != "null_reasons":
                yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield prefix + key, value


def first_lines(costs: Costs) -> list[str]:
    """What it costs, what laziness spares, who holds most, who grows: for the head of other views, as far as it is
    known."""
    found = [*_labelled("holds", list(_holds(costs))[:1])]
    if costs.unshared_vmas is not None:
        found += _labelled("lazy", list(_lazy(costs)))
    if costs.largest_processes:
        largest = costs.largest_processes[0]
        found += _labelled("most", [f"{text.size(largest.bytes)} {_percent(largest.share)} {_who(largest)}"])
    if costs.culprit is not None:
        found += _labelled("grows", [blamed(costs.culprit, costs.seconds)])
    return [text.printable(line) for line in found]


def _labelled(label: str, sentences: list[str]) -> Iterator[str]:
    for index, sentence in enumerate(sentences):
        yield f"{'' if index else label:<9}{sentence}"


def summary(costs: Costs) -> list[str]:
    """The lines, each with its subject first."""
    parts = (
        ("holds", _holds(costs)),
        ("unshared", _unshared(costs)),
        ("lazy", _lazy(costs)),
        ("forks", _forks(costs)),
        ("waits", _waits(costs)),
        ("change", _change(costs)),
        ("most", _holders(costs.largest_processes, costs)),
        ("cgroups", _holders(costs.largest_cgroups, costs) if costs.largest_cgroups else iter(())),
        ("advice", iter([advice(costs)] if advice(costs) else [])),
    )
    return [line for label, sentences in parts for line in _labelled(label, [one for one in sentences if one])]


def _holds(costs: Costs) -> Iterator[str]:
    held = costs.held
    if costs.bytes is None:
        why = f"not known: {text.printable(costs.null_reasons['held'])}"
        known = [
            f"{text.number(count)} {name} {text.size(size)}"
            for count, name, size in (
                (held.anon_vmas, "anon_vmas", held.anon_vma_bytes),
                (held.chains, "chains", held.chain_bytes),
            )
            if count is not None
        ]
        yield f"{known[0]} by slabinfo; the rest is {why}" if known else why
        return
    about = "" if held.source == "census" else ", by slabinfo, which counts some free objects"
    yield (
        f"{text.size(costs.bytes)} for anonymous reverse mapping: {text.number(held.anon_vmas)} anon_vmas "
        f"{text.size(held.anon_vma_bytes)}, {text.number(held.chains)} chains {text.size(held.chain_bytes)}{about}"
    )
    shares = [
        f"{_percent(costs.share_of_slab)} of slab memory" if costs.share_of_slab is not None else "",
        f"{_percent(costs.share_of_memory)} of memory" if costs.share_of_memory is not None else "",
        f"{text.size(costs.bytes_per_process)} for each of {costs.processes} processes",
        f"{_bytes(costs.bytes_per_vma)} for each of {text.number(costs.vmas)} VMAs" if costs.bytes_per_vma is not None else "",
    ]  # fmt: skip
    yield ", ".join(share for share in shares if share)


def _unshared(costs: Costs) -> Iterator[str]:
    if costs.unshared_vmas is None:
        yield f"not known: {text.printable(costs.null_reasons['unshared_vmas'])}"
        return
    if costs.lazy_vmas:
        yield f"{text.number(costs.lazy_vmas)} VMAs are lazy: they have no anon_vma and no chain"
    yield f"{text.number(costs.unshared_vmas)} VMAs share their anon_vma with no other VMA{_unshared_bytes(costs)}"


def _unshared_bytes(costs: Costs) -> str:
    """Each of them has one of either."""
    held = costs.held
    if not costs.unshared_vmas or not held.anon_vmas or not held.chains or costs.bytes is None:
        return ""
    each = (held.anon_vma_bytes or 0) // held.anon_vmas + (held.chain_bytes or 0) // held.chains
    return f": {text.size(costs.unshared_vmas * each)} of it is for them"


def _lazy(costs: Costs) -> Iterator[str]:
    """What this kernel's laziness spares, or what laziness would."""
    spared = f"{text.size(costs.spared_low)} to {text.size(costs.spared_high)}"
    if costs.spared_low == costs.spared_high:
        spared = text.size(costs.spared_high)
    if costs.kernel["lazy_enabled"]:
        yield f"this kernel is lazy and saves {text.size(costs.saved_bytes)} now"
        return
    if costs.spared_high is None:
        return
    if costs.kernel["lazy_enabled"] is False:
        yield f"laziness is switched off; it would save {spared}"
    else:
        yield f"a kernel with lazy anon_vmas would save {spared}"


def _forks(costs: Costs) -> Iterator[str]:
    forks = costs.forks

    def sentence() -> str:
        each = "" if forks.seconds_each is None else f", in {text.seconds(forks.seconds_each)} each"
        return (
            f"{text.number(forks.per_second)}/s clone {text.number(forks.chains_per_second)} chains/s, "
            f"{text.number(forks.chains_each)} each{each}"
        )

    yield _counted(costs, "forks", forks.count, f"none in {_span(costs.seconds)}", sentence)


def _waits(costs: Costs) -> Iterator[str]:
    waits = costs.waits

    def sentence() -> str:
        most = f", {_percent(waits.busiest_share)} of the time in {waits.busiest}" if waits.busiest else ""
        return (
            f"{text.number(waits.per_second)}/s for an anon_vma's lock, {text.seconds(waits.seconds_each)} each{most}; "
            "lazyobs top --view locks"
        )

    yield _counted(costs, "waits", waits.count, f"none for an anon_vma's lock in {_span(costs.seconds)}", sentence)


def _counted(costs: Costs, name: str, count: int | None, none: str, sentence: Callable[[], str]) -> str:
    """The sentence about what was counted; or that there was none, or why it is not known."""
    if count is None:
        return f"not known: {text.printable(costs.null_reasons[name])}"
    return sentence() if count else none


def _change(costs: Costs) -> Iterator[str]:
    if costs.grown_bytes is None:
        return
    yield (
        f"{_signed(costs.grown_anon_vmas)} anon_vmas and {_signed(costs.grown_chains)} chains in {_span(costs.seconds)}"
    )
    if costs.culprit is not None:
        yield blamed(costs.culprit, costs.seconds)


def _holders(holders: list[Holder], costs: Costs) -> Iterator[str]:
    if not holders and "largest_processes" in costs.null_reasons:
        yield f"not known by process: {text.printable(costs.null_reasons['largest_processes'])}"
    for one in holders:
        grown = f"{_signed_size(one.grown)}  " if one.grown else ""
        yield f"{text.size(one.bytes):>6} {_percent(one.share):>6}  {grown}{_who(one)}"


def _who(one: Holder) -> str:
    """``1234 postgres  postgres -D /var/lib``, or of a cgroup its unit and how many processes it has."""
    if one.pid is None:
        return f"{_cut(one.unit or one.name)} ({one.processes} {text.plural(one.processes, 'process', 'processes')})"
    return f"{one.pid} {_cut(columns.name_and_args(one.name, one.args))}"


def _cut(words: str) -> str:
    shown = text.printable(words)
    return shown if len(shown) <= _MOST_LETTERS else shown[: _MOST_LETTERS - 3] + "..."


def _bytes(size: float | None) -> str:
    written = text.size(size)
    return f"{written} bytes" if written[-1].isdigit() else written


def _percent(share: float | None) -> str:
    if share is None:
        return text.NULL
    return (
        f"{share:.0%}" if share >= 0.1 else "0%" if not share else f"{100 * share:.2g}%" if share >= 1e-4 else "<0.01%"
    )


def _signed(count: int | None) -> str:
    return text.NULL if count is None else f"{count:+,}"


def _signed_size(size: int) -> str:
    return ("+" if size > 0 else "-") + text.size(abs(size))


def _span(seconds: float) -> str:
    for least, unit, name in ((7200, 3600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.3g} s"


def _violated(costs: Costs) -> str:
    if not costs.violations:
        return ""
    return (
        f"{costs.violations} broken {text.plural(costs.violations, 'invariant')}: lazyobs trace -e violation shows each"
    )


def _switched_off(costs: Costs) -> str:
    return "switch laziness on with sysctl" if costs.kernel["lazy_enabled"] is False and costs.spared_high else ""


def _one_family(costs: Costs) -> str:
    family = costs.largest_family
    if family is None or family.children < _MANY or (family.share or 0) < _MUCH:
        return ""
    return (
        f"{text.printable(family.name)}: {family.children} children of {family.parent} and itself hold "
        f"{_percent(family.share)}; each fork clones the chains of every VMA, so fewer VMAs or fewer children help"
    )


def _growing(costs: Costs) -> str:
    """Growth is worth advice where it is more than a tenth of what is there."""
    found = costs.culprit
    held = (costs.held.anon_vmas or 0) + (costs.held.chains or 0)
    if found is None or costs.seconds < _LEAST_SECONDS or 10 * found.objects < held:
        return ""
    if found.kind == "process" and found.path == "prepare":
        return f"lazyobs census -p {found.pid} --vmas lists the VMAs of {text.printable(found.name)} ({found.pid}), which pile up"
    if found.kind == "process":
        return f"lazyobs trace -p {found.pid} shows what {text.printable(found.name)} ({found.pid}) does"
    return "lazyobs trace -e fork shows who forks; children that end give back what they hold"


def _one_process(costs: Costs) -> str:
    one = costs.largest_processes[0] if costs.largest_processes else None
    if one is None or (one.share or 0) < _MUCH:
        return ""
    return f"{text.printable(one.name)} ({one.pid}) holds {_percent(one.share)}: lazyobs census -p {one.pid} --vmas lists its VMAs"


# The first that has something to say.
_ADVICE: tuple[Callable[[Costs], str], ...] = (_violated, _switched_off, _growing, _one_family, _one_process)


def advice(costs: Costs) -> str | None:
    """One sentence, or None where there is nothing to advise."""
    return next(filter(None, (rule(costs) for rule in _ADVICE)), None)
