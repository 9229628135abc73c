# SPDX-License-Identifier: MIT
"""How keys and clicks change the screen. No terminal, no Textual."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from rich.cells import cell_len

from lazyobs.bpf.census import VmaRow
from lazyobs.bpf.trace_event import TraceEvent
from lazyobs.model import Slab
from lazyobs.screen.keys import HELP
from lazyobs.screen.settings import Settings
from lazyobs.screen.view import VIEWS
from lazyobs.views.process_filter import ProcessFilter
from tests.recording.samples import family, fork
from tests.screen.screens import HOSTILE, Still, process, sample, screen_state, text_of, view

SIZES = [(80, 24), (120, 40), (200, 60), (20, 5), (40, 9), (1, 1), (7, 3), (30, 14)]


def names(shown, width=80, height=24):
    """Last words of the rows of the table."""
    lines = text_of(shown, width, height)
    begin = next(at for at, line in enumerate(lines) if "PID" in line and "USER" in line)
    return [line.split()[-1] for line in lines[begin + 1 :] if line.strip() and line.split()[0].isdigit()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", VIEWS)
def test_every_view_fits_every_size(size, name):
    hostile = process(
        3, comm=HOSTILE + "漢字" * 9, user="\x1b[31m", cgroup="/\x00" + "漢" * 50, vmas=10**7, prepares=None
    )
    made = sample(hostile, process(5, comm=""))
    made.families = [family(7, comm=HOSTILE), family(3, pid=None, comm=None)]
    made.slow_forks = [fork(0.25), fork(0.125, known=False)]
    shown = view(made, name=name)
    for key in ("", "enter", "escape", "h", "h", "s", "escape", "f", "escape", "space"):
        if key:
            shown.press(key, key if len(key) == 1 else None)
        lines = text_of(shown, *size)
        assert len(lines) <= size[1]
        for line in lines:
            assert not any(unicodedata.category(character)[0] == "C" for character in line), line


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("name", VIEWS)
def test_no_line_is_longer_than_the_screen_is_wide(size, name):
    shown = view(sample(process(3, comm="漢字" * 9), process(5)), name=name)
    assert [line for line in text_of(shown, *size) if cell_len(line) > size[0]] == []


def test_unknown_numbers_are_no_zeros():
    line = next(
        line for line in text_of(view(sample(process(3, "prog", vmas_private=None, vmas_lazy=0)))) if "prog" in line
    )
    # savable, chains, chains per minute (not measured), private, shared
    assert line.split()[:7] == ["3", "root", "0", "0", "-", "-", "0"]


def test_columns_that_say_nothing_on_this_kernel_are_left_out_until_someone_chooses():
    def headings(shown) -> list[str]:
        line = next(line for line in text_of(shown, 200) if "PID" in line and "USER" in line)
        return line.replace("▼", "").split()

    stock = sample(process(3))
    stock.null_reasons["totals.rmap_walks"] = stock.null_reasons["totals.promotions"] = "fentry: refused here"
    assert not {"LAZY", "SAVED", "PROMOTIONS/s", "WALKS/s"} & set(headings(view(stock)))
    lazy = sample(process(3))
    lazy.kernel = replace(lazy.kernel, lazy_enabled=True)
    assert {"LAZY", "SAVED", "PROMOTIONS/s"} < set(headings(view(lazy)))
    settings = Settings(columns=["pid", "user", "vmas_lazy", "comm"])
    assert "LAZY" in headings(view(stock, settings=settings))


def test_the_first_line_has_whole_tiers_only():
    shown = sample(process(3))
    shown.tiers = {f"point{number}": ("tracepoint", "iter", None)[number % 3] for number in range(12)}
    for width in range(40, 140):
        line = text_of(view(shown), width)[0]
        tiers = [word for word in line.split() if ":" in word and not word[:2].isdigit()]
        assert set(tiers) <= {"tracepoint:4", "iter:4", "none:4"}, line


def test_a_fork_that_is_known_in_part_has_no_dashes():
    shown = sample(process(3))
    shown.slow_forks = [fork(0.25, known=False)]
    shown.null_reasons["histograms.fork_seconds"] = "fentry: refused here"
    shown.histograms["fork_duration_seconds"] = {"buckets": [[1e-6, 7], [None, 7]], "sum": 5e-6, "count": 7}
    lines = text_of(view(shown, name="forks"), 80, 24)
    assert any(line.startswith("whole forks  p50") for line in lines)
    slow = next(line for line in lines if line.startswith("slow fork"))
    assert " -" not in slow and "anon_vmas" not in slow and "waits" not in slow, slow


def test_no_waits_are_a_sentence():
    shown = sample(process(3))
    shown.totals["lock_waits"] = 0
    text = "\n".join(text_of(view(shown, name="locks"), 80, 24))
    assert "No task has waited for the lock of a root anon_vma since the start." in text and "PATH " not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_is_whole_at_every_width(width):
    shown = view(sample(process(3)))
    shown.press("h", "h")
    words = " ".join(" ".join(text_of(shown, width, 90)).split())
    for section in HELP.values():
        for _, meaning in section:
            assert meaning in words or all(word in words for word in meaning.split()), meaning


def test_a_number_of_the_summary_is_left_out_and_never_cut():
    shown = sample(process(3))
    shown.census.update(vmas=123456, vmas_anon=98765, vmas_private=54321, vmas_shared=44444, savable_bytes=10**9, saved_bytes=10**6)  # fmt: skip
    shown.census.update(anon_vmas_held=76543, chains_held=87654)
    shown.slabs = [Slab("anon_vma", 1, 1, 104), Slab("anon_vma_chain", 1, 1, 64)]
    whole = [line.split() for line in text_of(view(shown), 200)]
    for width in range(20, 120):
        for number in (1, 2):
            for word in text_of(view(shown), width)[number].split():
                assert word in whole[number] or set(word) <= set("·░▒█"), (width, word)


def test_the_first_lines_say_what_it_costs_and_who():
    holder = process(7, "postgres", anon_vmas_held=700, chains_held=900)
    holder.args, holder.growth = "postgres -D /db", {"chains_held_growth": 23}
    shown = sample(process(3, anon_vmas_held=10, chains_held=10), holder)
    shown.census.update(anon_vmas_held=710, chains_held=910, savable_bytes=66_040, savable_low_bytes=60_000, savable_high_bytes=70_000)  # fmt: skip
    shown.slabs = [Slab("anon_vma", 1, 1, 104), Slab("anon_vma_chain", 1, 1, 64)]
    lines = text_of(view(shown), 80, 24)
    assert lines[1].startswith("holds 129K  710 anon_vmas  910 chains  ██████████")
    assert lines[1].rstrip().endswith("50% savable")
    assert lines[2].startswith("savable 64.5K (58.6K to 68.4K)  VMAs 0")
    assert lines[4].startswith("most  127K 99%  7 +23 chains since the start: postgres -D /db")


def test_what_a_kernel_cannot_show_is_a_sentence_and_no_table_of_dashes():
    for name, counter in (("rmap", "rmap_walks"), ("promotions", "promotions")):
        shown = sample(process(3))
        shown.totals[counter] = shown.totals[f"{counter}_by_{'walker' if name == 'rmap' else 'reason'}"] = None
        shown.null_reasons[f"totals.{counter}"] = "fentry: refused here"
        text = "\n".join(text_of(view(shown, name=name), 80, 24))
        assert f"{counter.replace('_', ' ')} are not known on this kernel: fentry: refused here" in text
        assert "  -  " not in text and "6 lists the probes" in text


def test_problems_are_shown():
    shown = sample(process(3), ring_lost=23, map_full=7)
    shown.failed["census"] = "reading failed: gone"
    line = text_of(view(shown, notice="lazyobs: tier procfs"), 200)[3]
    assert line.startswith(
        "! census: reading failed: gone; 23 events lost; 7 counts lost: a BPF map is full; lazyobs: tier procfs"
    )
    assert text_of(view(sample(process(3))))[3].startswith("ok ")


def test_a_broken_invariant_comes_before_all_else():
    shown = sample(process(3), ring_lost=23)
    shown.totals["violations_by_invariant"]["walk_complete"] = 7
    seen = view(shown, name="probes")
    seen.screen_state.trace_events = [TraceEvent(1e9, "violation", "walk_complete", 3, 3, comm="kswapd0")]
    lines = text_of(seen, 200, 60)
    assert lines[3].startswith("! invariant walk_complete broken 7 times; 23 events lost")
    assert any(line.split() == ["walk_complete", "7"] for line in lines)
    assert any(line.split()[1:4] == ["violation", "walk_complete", "3"] for line in lines)


def test_merged_slabs_have_their_mark():
    assert "anon_vma_chain 101 6.3K*" in text_of(view(sample()), 120)[4]


@pytest.mark.parametrize(("key", "name"), [(str(at + 1), name) for at, name in enumerate(VIEWS)])
def test_numbers_choose_views(key, name):
    shown = view(sample(process(3)))
    shown.press(key, key)
    assert shown.name == name


def test_tab_goes_round():
    shown = view(sample(process(3)))
    for _ in VIEWS:
        shown.press("tab")
    assert shown.name == VIEWS[0]
    shown.press("shift+tab")
    assert shown.name == VIEWS[-1]


def test_sorting_by_keys():
    rows = sample(process(3, "a", vmas=23, savable_bytes=5), process(5, "b", vmas=7, savable_bytes=11), process(7, "c", vmas=101, savable_bytes=7))  # fmt: skip
    shown = view(rows)
    assert names(shown) == ["b", "c", "a"]
    shown.press("r", "r")
    assert names(shown) == ["a", "c", "b"]
    shown.press("less_than_sign", "<")
    assert (shown.table.sort, names(shown)) == ("user", ["a", "b", "c"])
    shown.press("s", "s")
    while shown.chooser.names[shown.chooser.at] != "vmas":
        shown.press("down")
    shown.press("enter")
    assert (shown.chooser, shown.table.sort, names(shown)) == (None, "vmas", ["c", "a", "b"])


def test_a_lazy_kernel_is_sorted_by_what_is_saved_until_someone_chooses():
    shown = view(sample(process(3)))
    assert shown.table.sort == "savable_bytes"
    shown.screen_state.sample.kernel.lazy_enabled = True
    names(shown)  # drawn
    assert shown.table.sort == "saved_bytes"
    shown.settings.sort = "vmas"
    assert shown.table.sort == "vmas"


def test_columns_are_chosen_and_moved():
    shown = view(sample(process(3)), settings=Settings(columns=["pid", "user", "vmas", "comm"]))
    shown.press("f", "f")
    shown.press("down")
    shown.press("space")
    assert shown.settings.columns == ["pid", "vmas", "comm"]
    shown.press("end")
    shown.press("space")
    assert len(shown.settings.columns) == 4
    shown.press("home")
    shown.press("plus", "+")
    assert shown.settings.columns[0] == "pid"  # the hidden one has passed, nothing else
    shown.press("plus", "+")
    assert shown.settings.columns[:2] == ["vmas", "pid"]
    shown.press("escape")
    assert text_of(shown)[7].split()[:2] == ["VMAS", "PID"]


def test_the_name_cannot_be_hidden():
    shown = view(sample(process(3)), settings=Settings(columns=["pid", "comm"]))
    shown.press("f", "f")
    shown.press("down")
    shown.press("space")
    assert shown.settings.columns == ["pid", "comm"]


def test_hidden_columns_come_with_the_arrow():
    shown = view(sample(process(3)))
    before = text_of(shown)[7]
    shown.press("right")
    after = text_of(shown)[7]
    assert "USER" in before and "USER" not in after and "SAVABLE" in after
    for _ in range(50):
        shown.press("right")
    assert "CGROUP" in text_of(shown)[7] or "ALLOCS" in text_of(shown)[7]
    for _ in range(50):
        shown.press("left")
    assert text_of(shown)[7] == before


def type_in(shown, key, typed):
    shown.press(key, key)
    for character in typed:
        shown.press(character, character)


def test_searching_shows_at_once_and_escape_takes_it_back():
    shown = view(sample(process(3, "init"), process(5, "sh"), process(7, "python")))
    type_in(shown, "/", "it")
    assert names(shown) == ["init"]
    shown.press("escape")
    assert len(names(shown)) == 3
    type_in(shown, "/", "Pyx")
    shown.press("backspace")
    shown.press("enter")
    assert names(shown) == ["python"]
    shown.press("escape")
    assert len(names(shown)) == 3


def test_typed_characters_are_no_keys():
    shown = view(sample(process(3)))
    type_in(shown, "/", "qqh3")
    assert (shown.ended, shown.help, shown.name, shown.table.filter.words) == (False, False, "processes", "qqh3")


def test_pids_and_users():
    shown = view(sample(process(3, "init"), process(5, "sh", user="nobody"), process(7, "python")))
    type_in(shown, "p", "3, 7")
    shown.press("enter")
    assert sorted(names(shown)) == ["init", "python"]
    type_in(shown, "p", "x")
    shown.press("enter")
    assert "is not a list of PIDs" in text_of(shown)[-1]
    shown.press("escape")
    type_in(shown, "u", "nobody")
    shown.press("enter")
    assert names(shown) == ["sh"]


def test_what_the_command_line_asked_for_comes_back_first():
    shown = view(sample(process(3, "init"), process(5, "sh")), process_filter=ProcessFilter(pids=(3,)))
    type_in(shown, "/", "no")
    shown.press("enter")
    shown.press("escape")
    assert names(shown) == ["init"]


def test_the_delay_is_asked_for_and_checked():
    clock = Still()
    shown = view(sample(process(3)), clock)
    for typed in ("0.5", "0.01", "nan", "soon"):
        shown.press("d", "d")
        shown.press("ctrl+u")
        for character in typed:
            shown.press(character, character)
        shown.press("enter")
    assert clock.calls == [("delay", 0.5)]


def test_the_servers_delay_cannot_be_changed():
    shown = view(sample(process(3)), fixed_delay=True)
    shown.press("d", "d")
    assert shown.prompt is None
    assert "the server sets the delay" in text_of(shown)[-1]


def test_time():
    clock = Still()
    shown = view(sample(process(3)), clock)
    for key in "[]{}":
        shown.press(key, key)
    assert clock.calls == [("step", -1), ("step", 1), ("step", -10), ("step", 10)]
    assert "●" not in "".join(text_of(shown))
    shown.press("space", " ")
    assert text_of(shown)[-2].count("●") == 1
    assert shown.drag(9, 22) and shown.drag(70, 22) and not shown.drag(9, 21)
    assert clock.calls[-2:] == [("seek", 0), ("seek", 100)]


def test_the_cursor_stays_with_its_process():
    shown = view(
        sample(process(3, "a", savable_bytes=5), process(5, "b", savable_bytes=7), process(7, "c", savable_bytes=3))
    )
    text_of(shown)
    shown.press("down")
    text_of(shown)
    assert shown.table.chosen.process.comm == "a"
    shown.screen_state = screen_state(sample(process(3, "a", savable_bytes=1), process(5, "b", savable_bytes=7), process(7, "c", savable_bytes=3)))  # fmt: skip
    text_of(shown)
    assert shown.table.chosen.process.comm == "a"
    shown.screen_state = screen_state(sample(process(5, "b"), process(7, "c")))
    text_of(shown)
    assert shown.table.chosen.process.comm == "c"


def test_the_first_row_is_the_first_row_until_the_cursor_has_moved():
    shown = view(sample(process(3, "a", savable_bytes=5), process(5, "b", savable_bytes=7)))
    text_of(shown)
    assert shown.table.chosen.process.comm == "b"
    shown.screen_state = screen_state(sample(process(3, "a", savable_bytes=11), process(5, "b", savable_bytes=7)))
    text_of(shown)
    assert shown.table.chosen.process.comm == "a"


def test_a_list_that_changes_wholly_is_survived():
    shown = view(sample(*(process(pid) for pid in range(1, 212))))
    text_of(shown)
    shown.press("end")
    text_of(shown)
    for processes in ((), (process(9001, "z"),), tuple(process(pid) for pid in range(5000, 5101))):
        shown.screen_state = screen_state(sample(*processes))
        text_of(shown)
        shown.press("enter")
        shown.press("escape")
        assert (shown.table.chosen is None) == (not processes)


def test_one_process_with_its_vmas_and_events():
    one = process(3, "prog", vmas=23, vmas_anon=12, vmas_lazy=5, vmas_private=7, vmas_shared=0)
    shown = view(sample(one, process(5)))
    text_of(shown)
    shown.press("end")
    text_of(shown)
    shown.press("home")
    text_of(shown)
    shown.press("enter")
    assert shown.wanted().vmas_of == 3
    shown.screen_state = screen_state(
        shown.screen_state.sample, vmas_of=3, vmas=[VmaRow(0x1000, 0x3000, 3, 1, 3, "private", 1, 1, "[heap]"), VmaRow(0x5000, 0x6000, 13, 0, 3, "plain", 0, 0, "ld.so")],
    )  # fmt: skip
    shown.screen_state.trace_events = [
        TraceEvent(1e9, "fork", None, 3, 3, comm="prog", objects=101),
        TraceEvent(1e9, "fork", None, 5, 5),
    ]
    lines = text_of(shown, 100, 70)
    assert [line.split()[-2] for line in lines if " fork " in line and line.endswith("prog           ")] == ["101"]
    assert any(line.split()[:4] == ["▒", "private", "7", "30%"] for line in lines)
    shown.press("v", "v")
    lines = text_of(shown, 100, 70)
    assert any(
        line.split() == ["1000", "3000", "8.0K", "rw-p", "private", "1", "1", "0", "-", "[heap]"] for line in lines
    )
    assert any(line.split() == ["5000", "6000", "4.0K", "r-xs", "plain", "0", "0", "0", "-", "ld.so"] for line in lines)
    assert "▒·" in lines


def of_process(*vmas: VmaRow, now: float = 1000.0, shown=None):
    """A screen that shows the page of a process with these VMAs; ``shown``: the screen that does so already."""
    if shown is None:
        shown = view(sample(process(3, "prog", chains_held=30, anon_vmas_held=23)))
        text_of(shown)
        shown.press("enter")
    shown.screen_state = screen_state(shown.screen_state.sample, vmas_of=3, vmas=list(vmas), vmas_time=now)
    return shown


def mapped(start: int, name: str, chains: int | None = 1, size: int = 0x1000) -> VmaRow:
    return VmaRow(start, start + size, 3, start | 8, 3, "private", chains, chains and 1, name)


def table(shown, *size: int) -> list[list[str]]:
    """The words of the rows below the heading of the mappings."""
    lines = text_of(shown, *(size or (80, 60)))
    begin = next(at for at, line in enumerate(lines) if "MAPPING" in line)
    rows = lines[begin + 1 :]
    return [row.split() for row in rows[: next((at for at, row in enumerate(rows) if not row.strip()), None)]]


def test_a_process_holds_by_what_its_vmas_map_and_grows():
    first = (
        mapped(0x1000, "libc.so.6", 2),
        mapped(0x5000, "libc.so.6", 1),
        mapped(0x9000, ""),
        mapped(0xB000, "[heap]"),
    )
    shown = of_process(*first)
    assert [row[-1] for row in table(shown)] == ["libc.so.6", "[heap]", "anonymous"]
    assert table(shown)[0] == ["2", "2", "8.0K", "3", "2", "0", "-", "libc.so.6"]
    grown = [mapped(0x100000 + 0x2000 * number, "") for number in range(23)]
    of_process(*first[1:], *grown, now=1060.0, shown=shown)
    assert table(shown)[0] == ["24", "24", "96.0K", "24", "24", "+23", "+23", "anonymous"]
    assert table(shown)[2] == ["1", "1", "4.0K", "1", "1", "-2", "-2", "libc.so.6"]
    assert "holds  30 chains, 23 anon_vmas" in "\n".join(text_of(shown))


def test_growth_is_measured_anew_for_another_process_and_unknown_where_a_list_was_too_long():
    shown = of_process(mapped(0x1000, "[heap]", None), mapped(0x5000, "a"))
    assert table(shown)[1] == ["1", "1", "4.0K", "-", "-", "-", "-", "[heap]"]
    of_process(mapped(0x1000, "[heap]", 700), mapped(0x5000, "a", 8), now=1060.0, shown=shown)
    assert table(shown) == [
        ["1", "1", "4.0K", "700", "1", "-", "-", "[heap]"],
        ["1", "1", "4.0K", "8", "1", "+7", "+7", "a"],
    ]
    shown.press("escape")
    shown.screen_state = screen_state(sample(process(5, "other")))
    text_of(shown)
    shown.press("enter")
    shown.screen_state = screen_state(shown.screen_state.sample, vmas_of=5, vmas=[mapped(0x5000, "a", 8)], vmas_time=1120.0)  # fmt: skip
    assert table(shown) == [["1", "1", "4.0K", "8", "1", "0", "-", "a"]]


def test_mappings_are_sorted_by_keys_and_by_the_mouse():
    vmas = (mapped(0x1000, "b", 3), mapped(0x5000, "a", 2, 0x9000), mapped(0xF000, "c", 5), mapped(0x11000, "d", None))
    shown = of_process(*vmas)

    def order() -> str:
        return "".join(row[-1] for row in table(shown))

    assert order() == "cbad"
    shown.press("r", "r")
    assert order() == "abcd"  # what is not known comes last in either direction
    shown.press("less_than_sign", "<")
    assert (shown.mappings.sort, order()[0]) == ("bytes", "a")
    shown.press("s", "s")
    shown.press("end")
    shown.press("enter")
    assert (shown.mappings.sort, order()) == ("name", "abcd")
    lines = text_of(shown, 80, 60)
    heading = next(at for at, line in enumerate(lines) if "MAPPING" in line)
    shown.click(lines[heading].index("MAPPING"), heading)
    assert order() == "dcba"
    shown.click(lines[heading].index("CHAINS"), heading)
    assert order() == "cbad"
    assert shown.table.sort == "savable_bytes"  # the table of processes below stays as it is
    shown.click(3, heading - 1)
    assert shown.mappings.each and order() == "bacd"
    for _ in range(40):
        shown.press("down")
    lines = text_of(shown, 80, 12)  # the heading has scrolled away
    shown.click(0, 10)
    assert shown.mappings.sort == "start"


@pytest.mark.parametrize("each", [False, True])
def test_names_of_mappings_are_hostile(each):
    shown = of_process(mapped(0x1000, HOSTILE), mapped(0x7F0000000000, f"[anon:{'漢' * 26}\n]"))
    if each:
        shown.press("v", "v")
    for size in SIZES:
        for line in text_of(shown, *size):
            assert not any(unicodedata.category(character)[0] == "C" for character in line), line
            assert cell_len(line) <= size[0] or size[0] < 40
    assert any("?]0;owned??" in word for row in table(shown, 120, 60) for word in row)


def test_the_keys_of_the_last_line_can_be_clicked():
    clock = Still()
    shown = view(sample(process(3)), clock)
    lines = text_of(shown, 120)
    for word, seen in (("h help", lambda: shown.help), ("s sort", lambda: shown.chooser is not None)):
        shown.click(lines[-1].index(word), 23)
        assert seen(), word
        shown.press("escape")
        text_of(shown, 120)
    shown.click(lines[-1].index("Enter"), 23)
    assert shown.detail == (3, 1_000_000.25)
    lines = text_of(shown, 120)
    assert lines[-1].startswith("Esc back  q quit")
    shown.click(lines[-1].index("back"), 23)
    assert shown.detail is None
    text_of(shown, 120)
    before, wide = shown.table.sort, text_of(shown, 200)
    shown.click(wide[-1].index("< >") + 2, 23)
    assert shown.table.sort != before
    shown.click(wide[-1].index("< >"), 23)
    assert shown.table.sort == before
    shown.click(wide[-1].index("[ ]") + 2, 23)
    shown.click(wide[-1].index("[ ]"), 23)
    assert clock.calls == [("step", 1), ("step", -1)]
    shown.click(wide[-1].index("q quit"), 23)
    assert shown.ended


def test_the_page_of_a_process_that_has_exited():
    shown = view(sample(process(3)))
    text_of(shown)
    shown.press("enter")
    shown.screen_state = screen_state(sample(process(5)))
    assert any("Process 3 is not in this sample" in line for line in text_of(shown))


def test_the_tree_says_where_there_are_no_parents():
    shown = view(sample(process(3, "a", ppid=0), process(5, "b", ppid=3)))
    shown.press("t", "t")
    assert [line.split()[-2:] for line in text_of(shown) if "└─" in line] == [["└─", "b"]]
    shown.screen_state = screen_state(sample(process(3, "a"), process(5, "b")))
    assert "recorded by an older lazyobs, without parents" in text_of(shown, 120)[6]
    assert sorted(names(shown, 120)) == ["a", "b"]


def test_cgroups_fold():
    shown = view(sample(process(3, "a", cgroup="/x"), process(5, "b", cgroup="/x")))
    shown.press("c", "c")
    assert names(shown) == ["/x", "a", "b"]
    shown.press("enter")
    assert names(shown) == ["/x"]
    shown.press("enter")
    assert names(shown) == ["/x", "a", "b"]


def test_clicks():
    shown = view(sample(process(3, "a", savable_bytes=5), process(5, "b", savable_bytes=7)))
    lines = text_of(shown)
    shown.click(lines[6].index("rmap"), 6)
    assert shown.name == "rmap"
    shown.press("1", "1")
    lines = text_of(shown)
    shown.click(lines[7].index("COMMAND"), 7)
    assert (shown.table.sort, names(shown)) == ("comm", ["a", "b"])
    text_of(shown)
    shown.click(lines[7].index("COMMAND"), 7)
    assert names(shown) == ["b", "a"]
    shown.click(5, 9)
    text_of(shown)
    assert shown.table.chosen.process.comm == "a"
    shown.click(5, 8, double=True)
    assert shown.detail == (5, 1_000_000.25)


def test_the_wheel_moves_and_chooses():
    shown = view(sample(*(process(pid) for pid in range(1, 102))))
    text_of(shown)
    shown.wheel(3)
    text_of(shown)
    assert shown.table.chosen.process.pid == 4
    shown.press("s", "s")
    at = shown.chooser.at
    shown.wheel(3)
    assert shown.chooser.at == at + 1


def test_a_copy_is_the_page_and_nothing_else():
    shown = view(sample(process(3, HOSTILE)))
    lines = text_of(shown)
    shown.press("y", "y")
    assert shown.copied.splitlines()[0] == lines[7].rstrip()
    assert "\x1b" not in shown.copied


def test_reasons_are_one_key_away():
    unknown = sample(process(3))
    unknown.null_reasons = {"totals.promotions": "this kernel has none"}
    shown = view(unknown, name="probes")
    assert any(
        line.split() == ["totals.promotions", "this", "kernel", "has", "none"] for line in text_of(shown, 120, 60)
    )
