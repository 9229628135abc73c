// SPDX-License-Identifier: GPL-2.0-only
/*
 * anon_vma_clone() and unlink_anon_vmas(): how long the lock of a root anon_vma was held, at most.
 *
 * The lock is taken and given back by inlined code, which no probe can enter. Both functions take
 * it once where all chains of the VMA have one root, as mainline's have, and do little else. The
 * waits for it, which lock.c sees, are taken off.
 */

/* The root is for a task that waits for its lock, and asks for the stack of the one that has it. */
static __always_inline void hold_begins(enum called called, struct anon_vma *anon_vma, u32 path)
{
	call_begins(called, EVENTS ? (u64)READ(anon_vma, root) : 0, path);
}

static __always_inline int hold_clone_enter(u64 src)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)src;
	struct anon_vma *anon_vma = (struct anon_vma *)READ(vma, anon_vma);
	u32 path = HOLD_CLONE;

	if (!anon_vma)
		return 0;
	if (find_fork_window(bpf_get_current_pid_tgid()))
		path = HOLD_FORK;
	hold_begins(CALLED_CLONE, anon_vma, path);
	return 0;
}

static __always_inline int hold_unlink_enter(u64 at)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)at;
	struct anon_vma *anon_vma = (struct anon_vma *)READ(vma, anon_vma);

	if (anon_vma)
		hold_begins(CALLED_UNLINK, anon_vma, HOLD_UNMAP);
	return 0;
}

static __always_inline int hold_ends(void *ctx, enum called called)
{
	u64 nanoseconds, path;
	struct call call;

	if (!call_may_be_open(called) || !call_ends(called, &call, &nanoseconds))
		return 0;
	path = call.detail;
	if (path > HOLD_CLONE)
		return 0;
	observe(HISTOGRAM_LOCK_HOLD_SECONDS_BY_PATH + path,
		nanoseconds > call.vmas ? nanoseconds - call.vmas : 0);
	give_stack(ctx, call.object, call.start);
	return 0;
}

static __always_inline int hold_clone_exit(void *ctx, u64 result)
{
	return hold_ends(ctx, CALLED_CLONE);
}

static __always_inline int hold_unlink_exit(void *ctx, u64 result)
{
	return hold_ends(ctx, CALLED_UNLINK);
}
