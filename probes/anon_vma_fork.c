// SPDX-License-Identifier: GPL-2.0-only
/*
 * anon_vma_fork(): the time for one VMA of a fork, summed up in the window of the fork (slab.c).
 *
 * It is called for each VMA, so that nothing is looked up but the window: a fork copies them one
 * after the other.
 */

static __always_inline int anon_vma_fork_enter(void)
{
	struct fork_window *window = find_fork_window(bpf_get_current_pid_tgid());

	if (!window)
		return 0;
	/* A kretprobe without a free instance is skipped, which the kernel tells nobody before 6.7.
	 */
	if (window->anon_since)
		count_total(TOTAL_RETURNS_MISSED, 1);
	window->anon_since = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int anon_vma_fork_exit(u64 result)
{
	struct fork_window *window = find_fork_window(bpf_get_current_pid_tgid());

	if (!window || !window->anon_since)
		return 0;
	window->nanoseconds += bpf_ktime_get_ns() - window->anon_since;
	window->anon_since = 0;
	return 0;
}
