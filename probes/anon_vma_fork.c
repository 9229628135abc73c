// SPDX-License-Identifier: GPL-2.0-only
/* anon_vma_fork(): the time for one VMA of a fork, summed up in the window of the fork (slab.c). */

static __always_inline int anon_vma_fork_enter(void)
{
	call_begins(CALLED_ANON_VMA_FORK, 0, 0);
	return 0;
}

static __always_inline int anon_vma_fork_exit(u64 result)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window;
	u64 nanoseconds;
	struct call call;

	if (!call_ends(CALLED_ANON_VMA_FORK, &call, &nanoseconds))
		return 0;
	window = find_fork_window(tid);
	if (window)
		window->nanoseconds += nanoseconds;
	return 0;
}
