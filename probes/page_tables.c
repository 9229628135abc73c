// SPDX-License-Identifier: GPL-2.0-only
/*
 * copy_page_range(): the page tables of one VMA of a fork, summed up in the window of the fork
 * (slab.c).
 *
 * It is called for each VMA, as anon_vma_fork() is, and costs the same.
 */

static __always_inline int page_tables_enter(void)
{
	struct fork_window *window = find_fork_window(bpf_get_current_pid_tgid());

	if (window)
		window->copies_since = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int page_tables_exit(u64 result)
{
	struct fork_window *window = find_fork_window(bpf_get_current_pid_tgid());

	if (!window || !window->copies_since)
		return 0;
	window->page_tables += bpf_ktime_get_ns() - window->copies_since;
	window->copies_since = 0;
	return 0;
}
