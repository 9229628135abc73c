// SPDX-License-Identifier: GPL-2.0-only
/*
 * do_anonymous_page(): the first write to a VMA that has no anon_vma yet, and is given one, or made
 * lazy.
 *
 * A fault that holds the lock of its VMA alone needs mmap_lock for that. Where it cannot have it at
 * once the fault is given up, waits for mmap_lock, and begins again: that is a retry. Of the faults
 * that follow the probes see no more than that there is an anon_vma.
 */

#define VM_UFFD_MISSING 0x200 /* include/linux/mm.h */
#define FAULT_FLAG_WRITE 1    /* include/linux/mm_types.h */
#define VM_FAULT_RETRY 0x400

/* When the first try of this fault began: before ``now`` where this is another try. */
static __always_inline u64 first_try(struct vm_fault *fault, u64 now)
{
	struct call given_up;
	u64 nanoseconds;

	/* Another fault can have come in between: the page was there when this one was to begin
	 * again. */
	if (!call_may_be_open(CALLED_RETRIED_FAULT) ||
	    !call_ends(CALLED_RETRIED_FAULT, &given_up, &nanoseconds))
		return now;
	if (given_up.object != READ(fault, address) || READ(fault, flags) & FAULT_FLAG_VMA_LOCK)
		return now;
	count(COUNT_FIRST_FAULT_RETRIED_NS, nanoseconds);
	return given_up.vmas;
}

static __always_inline int first_fault_enter(u64 at)
{
	struct vm_fault *fault = (struct vm_fault *)at;
	struct vm_area_struct *vma = READ(fault, vma);
	u64 now;

	if (READ(vma, anon_vma) || !(READ(fault, flags) & FAULT_FLAG_WRITE))
		return 0;
	/* User space answers these, in its own time. */
	if (READ(vma, vm_flags) & VM_UFFD_MISSING)
		return 0;
	now = bpf_ktime_get_ns();
	call_began(CALLED_FIRST_FAULT, first_try(fault, now), READ(fault, address), 0, 0);
	return 0;
}

static __always_inline void fault_given_up(struct call *fault)
{
	struct call *kept;

	count(COUNT_FIRST_FAULT_RETRIES, 1);
	call_begins(CALLED_RETRIED_FAULT, fault->object, 0);
	kept = find_call(CALLED_RETRIED_FAULT);
	if (kept)
		kept->vmas = fault->start;
}

static __always_inline int first_fault_exit(u64 result)
{
	u64 nanoseconds;
	struct call call;

	if (!call_may_be_open(CALLED_FIRST_FAULT) ||
	    !call_ends(CALLED_FIRST_FAULT, &call, &nanoseconds))
		return 0;
	if ((u32)result & VM_FAULT_RETRY) {
		fault_given_up(&call);
		return 0;
	}
	if ((u32)result & FAULT_UNDONE)
		return 0;
	count(COUNT_FIRST_FAULTS, 1);
	observe(HISTOGRAM_FIRST_FAULT_SECONDS, nanoseconds);
	return 0;
}
