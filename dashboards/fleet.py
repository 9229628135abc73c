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
_WALKS = f"release_le:lazyobs_rmap_walk_seconds_bucket:rate5m{_CHOSEN}"


def board() -> Dashboard:
    items: list[Row | Panel] = [
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
        lines("misses, ten worst hosts", "Events that were not counted, as a share of all.",
              query("topk(10, instance:lazyobs_misses:ratio_rate5m)", "{{instance}}"), unit=PercentUnit),
    ]  # fmt: skip
    return layout.board(
        "lazyobs: fleet",
        "All hosts, by kernel release and setting of the lazy switch. Needs the recording rules.",
        [layout.variable("release", "release", "lazyobs_kernel_info", many=True)],
        items,
    )
