# SPDX-License-Identifier: MIT
"""Fleet: all hosts by kernel, from the recording rules."""

from __future__ import annotations

from dashboards.grafana_json import Board, Panel, Query, Row, Variable, heatmap, lines, number, table

_CHOSEN = '{release=~"$release"}'
_KERNEL = "{{release}} lazy {{lazy}}"


def board() -> Board:
    items: list[Row | Panel] = [
        number("hosts", "Hosts that are scraped.", Query(f"sum(release:lazyobs_hosts:count{_CHOSEN})", "hosts", True)),
        number("saved", "Memory that laziness saves now.", Query(f"sum(release:lazyobs_saved_bytes:sum{_CHOSEN})", "saved", True), "bytes"),
        number("savable", "Memory it would save.", Query(f"sum(release:lazyobs_savable_bytes:sum{_CHOSEN})", "savable", True), "bytes"),
        number("down", "Targets that do not answer.", Query('count(up{job=~".*lazyobs.*"} == 0) or vector(0)', "down", True)),
        number("parts failing", "Parts of scrapes that cannot be read.", Query("count(lazyobs_scrape_collector_success == 0) or vector(0)", "failing", True)),
        number("alerts", "Alerts of these rules that fire.", Query('count(ALERTS{alertname=~"Lazyobs.*", alertstate="firing"}) or vector(0)', "firing", True)),
        Row("By kernel"),
        table(
            "kernels", "Means are per host.",
            Query(f"release:lazyobs_hosts:count{_CHOSEN}", "hosts"),
            Query(f"release:lazyobs_saved_bytes:sum{_CHOSEN} / release:lazyobs_hosts:count", "saved, mean"),
            Query(f"release:lazyobs_savable_bytes:sum{_CHOSEN} / release:lazyobs_hosts:count", "savable, mean"),
        ),
        lines("saved bytes", "Sum over hosts.", Query(f"release:lazyobs_saved_bytes:sum{_CHOSEN}", _KERNEL), unit="bytes", stack=True),
        lines("savable bytes", "Sum over hosts.", Query(f"release:lazyobs_savable_bytes:sum{_CHOSEN}", _KERNEL), unit="bytes", stack=True),
        lines(
            "slab bytes per host", "Active objects times the room of one.",
            Query(f"sum by (release, lazy, cache) (release_cache:lazyobs_slab_active_bytes:sum{_CHOSEN}) / on (release, lazy) group_left () release:lazyobs_hosts:count", _KERNEL + " {{cache}}"),
            unit="bytes", width=24,
        ),
        Row("Promotions"),
        lines("promotions per second by reason", "Lazy VMAs made regular, all hosts.", Query(f"sum by (reason) (release_reason:lazyobs_promotions:rate5m{_CHOSEN})", "{{reason}}"), unit="ops", stack=True),
        lines("promotions per second and host", "By kernel.", Query(f"sum by (release, lazy) (release_reason:lazyobs_promotions:rate5m{_CHOSEN}) / release:lazyobs_hosts:count", _KERNEL), unit="ops"),
        Row("Reverse-map walks"),
        heatmap("walk time", "Walks per second by time, all hosts.", Query(f"sum by (le) (release_le:lazyobs_rmap_walk_seconds_bucket:rate5m{_CHOSEN})")),
        lines("walk time, p99", "By kernel.", Query(f"histogram_quantile(0.99, sum by (release, lazy, le) (release_le:lazyobs_rmap_walk_seconds_bucket:rate5m{_CHOSEN}))", _KERNEL), unit="s"),
        Row("The worst hosts"),
        lines("walk time, p99, ten slowest hosts", "From one rule a host.", Query("topk(10, instance:lazyobs_rmap_walk_seconds:p99_rate5m)", "{{instance}}"), unit="s"),
        lines("misses, ten worst hosts", "Events that were not counted, of all.", Query("topk(10, instance:lazyobs_misses:ratio_rate5m)", "{{instance}}"), unit="percentunit"),
    ]  # fmt: skip
    return Board(
        "lazyobs: fleet",
        "All hosts by kernel release and position of the lazy switch. Needs the recording rules.",
        [Variable("release", "release", "lazyobs_kernel_info", many=True)],
        items,
    )
