# SPDX-License-Identifier: MIT
"""docs/metrics.md, written from the table of families: ``python -m lazyobs.exporter.reference > docs/metrics.md``."""

from __future__ import annotations

import textwrap

from lazyobs.exporter import buckets
from lazyobs.exporter.families import FAMILIES, HISTOGRAM, PARTS, PREFIX, SUCCESS, Family
from lazyobs.model import COUNTERS, VMA_STATE_NAMES

_HEAD = """\
# Metrics

Written by `python -m lazyobs.exporter.reference` from the table in `lazyobs/exporter/families.py`,
which is derived from the schema in `lazyobs/model.py`. A test compares.

- A number that the tier in use cannot give makes **no series**; it is never 0. `lazyobs doctor`
  says why.
- Every known value of a label (a reason, a walker) has its series from the first scrape, even at 0.
- No label is a process, a command or the number of a cgroup. Cgroups are folded to a depth
  (`cgroup_depth`, 2); the largest `cgroup_top` (10) by bytes saved and savable have rows, the
  others are summed up as `other`. Cgroup metrics are gauges from the census: counters by cgroup
  would fall when processes exit.
- Counters count since the probes were attached (`{prefix}attach_time_seconds`). They start at 0
  with the exporter, which Prometheus sees as a reset; within a run they never fall, whatever exits.
- A part of a scrape that cannot be read is left out, and its row of
  `{success}` is 0.
- Histogram bounds are the same everywhere and never change.
"""


def _item(text: str) -> str:
    """A list item of the document."""
    lines = textwrap.wrap(f"- {text}", 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The document."""
    parts = [_HEAD.format(prefix=PREFIX, success=SUCCESS[0])]
    parts.append("| metric | type | labels | meaning |\n|---|---|---|---|\n" + "".join(map(_row, FAMILIES)))
    parts.append(f"| `{SUCCESS[0]}` | gauge | `{SUCCESS[2]}` | {SUCCESS[1]} |\n")
    splits = {counter.split: counter.values for counter in COUNTERS if counter.split}
    return "".join(
        [
            parts[0], "\n", *parts[1:], "\n## Values of labels\n\n",
            *(_values(label, values) for label, values in splits.items()),
            _values("state", (*VMA_STATE_NAMES, "anonymous")), _values("collector", PARTS),
            "\n## Histogram bounds (`le`)\n\n",
            _item(f"seconds: {', '.join(buckets.bounds('seconds'))}: 2^8 ns, then a factor of 4 to 2^26 ns, and 2^30 ns"),
            _item(f"VMAs: {', '.join(buckets.bounds('vmas'))}"),
        ]
    )  # fmt: skip


def _row(family: Family) -> str:
    labels = " ".join(f"`{label}`" for label in family.labels)
    kind = family.kind + (f" ({family.unit})" if family.kind == HISTOGRAM else "")
    return f"| `{family.full_name}` | {kind} | {labels} | {family.help} |\n"


def _values(label: str, values: tuple[str, ...]) -> str:
    return _item(f"`{label}`: {', '.join(values)}")


if __name__ == "__main__":
    print(reference(), end="")
