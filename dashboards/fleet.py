# SPDX-License-Identifier: MIT
"""Fleet: all hosts by kernel, from the recording rules."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Row
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.units import BytesIEC, OpsPerSecond, PercentUnit, Seconds

from dashboards import layout
from dashboards.panels import FULL_WIDTH, Panel, heatmap, lines, number, query, table

_CHOSEN = '{release=~"$release"}'
_KERNEL = "{{release}} lazy {{lazy}}"
_HOSTS = "release:lazyobs_hosts:count"
_SAVED = f"release:lazyobs_saved_bytes:sum{_CHOSEN}"
_SAVABLE = f"release:lazyobs_savable_bytes:sum{_CHOSEN}"
_SLAB = f"release_cache:lazyobs_slab_active_bytes:sum{_CHOSEN}"
_PROMOTIONS = f"release_reason:lazyobs_promotions:rate5m{_CHOSEN}"
_HELD = f"release:lazyobs_held_bytes:sum{_CHOSEN}"
_LOW, _HIGH = (f"release:lazyobs_savable_{end}_bytes:sum{_CHOSEN}" for end in ("low", "high"))
_WAITS = f"release:lazyobs_lock_wait_seconds:rate5m{_CHOSEN}"
_ARM = "by (lazy)"  # of a rollout: on is the new arm, off the old one, none where the kernel has no switch
_WALKS = f"release_le:lazyobs_rmap_walk_seconds_bucket:rate5m{_CHOSEN}"


def board() -> Dashboard:
    items: list[Row | Panel] = [
        Row("What the fleet pays"),
        number("held", "Anon_vmas and chains of all VMAs, in their slabs.", f"sum({_HELD})", "held", BytesIEC),
        number("would be saved, at least", "By a lazy kernel, the lower bound (docs/savings.md).",
               f"sum({_LOW})", "low", BytesIEC),
        number("would be saved, at most", "By a lazy kernel, the upper bound.", f"sum({_HIGH})", "high", BytesIEC),
        number("saved now", "By the kernels that are lazy.", f"sum({_SAVED})", "saved", BytesIEC),
        number("CPUs waiting", "Seconds in each second that tasks wait for anon_vma locks.", f"sum({_WAITS})", "CPUs"),
        number("leaks suspected", "Hosts whose kernel loses objects that no process holds.",
               'count(ALERTS{alertname="LazyobsLeakSuspected", alertstate="firing"}) or vector(0)', "hosts"),
        table("by kernel build", "Means are per host.",
              {"hosts": f"{_HOSTS}{_CHOSEN}",
               "held, mean": f"{_HELD} / {_HOSTS}",
               "would be saved, mean": f"{_SAVABLE} / {_HOSTS}", "saved, mean": f"{_SAVED} / {_HOSTS}",
               "CPUs waiting, mean": f"{_WAITS} / {_HOSTS}"}),
        lines("by cgroup, the ten that would save most", "Sum over hosts.",
              query("topk(10, sum by (cgroup) (lazyobs_cgroup_savable_bytes))", "{{cgroup}}"), unit=BytesIEC),
        lines("held, ten worst hosts", "Of the anon_vmas and chains of all VMAs.",
              query("topk(10, instance:lazyobs_held_bytes:sum)", "{{instance}}"), unit=BytesIEC),
        Row("Rollout of a lazy kernel: off, on"),
        lines("hosts", "By the lazy switch; none: the kernel has no switch.",
              query(f"sum {_ARM} ({_HOSTS}{_CHOSEN})", "lazy {{lazy}}"), stack=True),
        lines("held per host", "Mean of each arm.",
              query(f"sum {_ARM} ({_HELD}) / sum {_ARM} ({_HOSTS}{_CHOSEN})", "lazy {{lazy}}"), unit=BytesIEC),
        lines("waiting per host", "CPUs that wait for anon_vma locks, mean of each arm.",
              query(f"sum {_ARM} ({_WAITS}) / sum {_ARM} ({_HOSTS}{_CHOSEN})", "lazy {{lazy}}")),
        lines("walk time per arm, p99", "Where walks are watched.",
              query(f"histogram_quantile(0.99, sum by (lazy, le) ({_WALKS}))", "lazy {{lazy}}"), unit=Seconds),
        Row("The fleet"),
        number("hosts", "Hosts being scraped.", f"sum({_HOSTS}{_CHOSEN})", "hosts"),
        number("saved", "Memory that lazy anon_vmas save now.", f"sum({_SAVED})", "saved", BytesIEC),
        number("savable", "Memory that making private VMAs lazy would save.", f"sum({_SAVABLE})", "savable", BytesIEC),
        number("down", "Targets that do not answer.",
               'count(up{job=~".*lazyobs.*"} == 0) or vector(0)', "down"),
        number("parts failing", "Parts of a scrape that cannot be read, on all hosts.",
               "count(lazyobs_scrape_collector_success == 0) or vector(0)", "failing"),
        number("alerts", "Firing lazyobs alerts.",
               'count(ALERTS{alertname=~"Lazyobs.*", alertstate="firing"}) or vector(0)', "firing"),
        Row("By kernel"),
        table("kernels", "Means are per host.",
              {"hosts": f"{_HOSTS}{_CHOSEN}",
               "saved, mean": f"{_SAVED} / {_HOSTS}", "savable, mean": f"{_SAVABLE} / {_HOSTS}"}),
        lines("saved bytes", "Sum over hosts.", query(_SAVED, _KERNEL), unit=BytesIEC, stack=True),
        lines("savable bytes", "Sum over hosts.", query(_SAVABLE, _KERNEL), unit=BytesIEC, stack=True),
        lines("slab bytes per host", "Active objects times the size of one.",
              query(f"sum by (release, lazy, cache) ({_SLAB}) / on (release, lazy) group_left () {_HOSTS}",
                    _KERNEL + " {{cache}}"),
              unit=BytesIEC, width=FULL_WIDTH),
        Row("Who forks"),
        lines("processes that never fork", "Of those that began and ended while watched, all hosts (docs/lives.md).",
              query("1 - sum(rate(lazyobs_ends_forked_total[$__rate_interval]))"
                    " / sum(rate(lazyobs_ends_total[$__rate_interval]))", "never fork"), unit=PercentUnit),
        lines("children that fork again", "Forks by forked processes, as a share of all forks that copy memory.",
              query("sum(rate(lazyobs_forks_again_total[$__rate_interval]))"
                    " / sum(rate(lazyobs_copying_forks_total[$__rate_interval]))", "again"), unit=PercentUnit),
        lines("VMAs and threads of a fork", "Means, over all hosts.",
              query("sum(rate(lazyobs_fork_vmas_total[$__rate_interval]))"
                    " / sum(rate(lazyobs_copying_forks_total[$__rate_interval]))", "VMAs"),
              query("sum(rate(lazyobs_fork_threads_total[$__rate_interval]))"
                    " / sum(rate(lazyobs_copying_forks_total[$__rate_interval]))", "threads")),
        lines("waits for the anon_vma lock, ten worst hosts", "Mean number of tasks that wait.",
              query("topk(10, rate(lazyobs_lock_wait_seconds_sum[$__rate_interval]))", "{{instance}}")),
        Row("Promotions"),
        lines("promotions per second by reason", "Lazy VMAs promoted to regular ones, all hosts.",
              query(f"sum by (reason) ({_PROMOTIONS})", "{{reason}}"), unit=OpsPerSecond, stack=True),
        lines("promotions per second and host", "By kernel.",
              query(f"sum by (release, lazy) ({_PROMOTIONS}) / {_HOSTS}", _KERNEL), unit=OpsPerSecond),
        Row("Reverse-map walks"),
        heatmap("walk time", "Walks per second, by duration, all hosts.", f"sum by (le) ({_WALKS})"),
        lines("walk time, p99", "By kernel.",
              query(f"histogram_quantile(0.99, sum by (release, lazy, le) ({_WALKS}))", _KERNEL), unit=Seconds),
        Row("The worst hosts"),
        lines("walk time, p99, ten slowest hosts", "From the recording rule for each host.",
              query("topk(10, instance:lazyobs_rmap_walk_seconds:p99_rate5m)", "{{instance}}"), unit=Seconds),
        lines("waiting for locks, ten worst hosts", "CPUs that wait for anon_vma locks.",
              query("topk(10, instance:lazyobs_lock_wait_seconds:rate5m)", "{{instance}}")),
        lines("objects lost, ten worst hosts", "Live objects that no VMA holds; a constant few are no leak.",
              query("topk(10, sum by (instance) (lazyobs_orphan_objects)) or vector(0)", "{{instance}}")),
        lines("misses, ten worst hosts", "Events that were not counted, as a share of all.",
              query("topk(10, instance:lazyobs_misses:ratio_rate5m)", "{{instance}}"), unit=PercentUnit),
    ]  # fmt: skip
    return layout.board(
        "lazyobs: fleet",
        "All hosts, by kernel release and setting of the lazy switch. Needs the recording rules.",
        [layout.variable("release", "release", "lazyobs_kernel_info", many=True)],
        items,
    )
