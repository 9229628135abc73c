/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The invariants that are checked where a walk or a promotion ends. docs/invariants.md explains
 * each.
 *
 * A false alarm is worse than a miss: what was seen in part only, or is ambiguous, is not judged.
 */

enum {
	CALL_NOT_LAZY = 1 << 0,	 /* the VMA to be promoted was not lazy */
	CALL_HAD_CHAIN = 1 << 1, /* or was, but had a chain */
	CALL_NO_CAUSE = 1 << 2,	 /* no operation that the reason names is in progress */
	CALL_REFUSED = 1 << 3,	 /* a callback could not unmap */
	CALL_SYNC = 1 << 4,	 /* the walk takes every page-table lock */
	CALL_UNCLEAR = 1 << 5,	 /* VMAs may be skipped unseen */
};

static __always_inline void violation(u32 invariant, u64 start, u64 end, u64 objects)
{
	struct event *event;

	count(COUNT_VIOLATIONS, 1);
	count_total(TOTAL_VIOLATIONS_BY_INVARIANT + invariant, 1);
	event = event_begin(EVENT_VIOLATION, invariant, EVENT_NO_DURATION);
	if (!event)
		return;
	event_range(event, start, end);
	event->objects = objects;
	event_end(event);
}

#define STACK_FRAMES 64

struct stack_frames {
	u64 address[STACK_FRAMES];
};

BPF_TABLE("percpu_array", u32, struct stack_frames, stack_frames, 1);

static __always_inline bool fork_in_progress(void)
{
	struct fork_window *window = find_fork_window(bpf_get_current_pid_tgid());

	return window && window->anon_since;
}

/*
 * The cause is looked for on the stack, which also shows operations that began before the probes
 * were attached. Forks promote thousands of VMAs and are recognised without it (a stack costs 2
 * us).
 */
static __always_inline bool has_no_cause(void *ctx, u32 reason)
{
	struct stack_frames *stack;
	bool whole = false;
	u32 zero = 0;
	long bytes;

	if (!(CAUSES_JUDGED >> reason & 1) || (reason == REASON_FORK && fork_in_progress()))
		return false;
	stack = stack_frames.lookup(&zero);
	if (!stack)
		return false;
	bytes = bpf_get_stack(ctx, stack, sizeof(*stack), 0);
#pragma clang loop unroll(disable)
	for (int frame = 0; frame < STACK_FRAMES; frame++) {
		u64 causes;

		if (frame * (long)sizeof(u64) >= bytes)
			break;
		causes = CAUSES_AT(stack->address[frame]);
		if (causes >> reason & 1)
			return false;
		if (causes & CAUSE_END)
			whole = true;
	}
	return whole;
}

static __always_inline u32 promotion_flags(void *ctx, u64 at, bool lazy, u32 reason)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)at;
	u32 flags = 0;

	if (!lazy)
		return CALL_NOT_LAZY;
	/* The head of an empty list points to itself. */
	if (READ(vma, first_chain) != (u64)MEMBER(vma, first_chain))
		flags |= CALL_HAD_CHAIN;
	if (has_no_cause(ctx, reason))
		flags |= CALL_NO_CAUSE;
	return flags;
}

/*
 * Called for promotions that did not lose the race (and freed the chain they had allocated). One
 * that breaks both invariants is reported as the more serious.
 */
static __always_inline void judge_promotion(struct call *call, bool done)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)call->object;
	bool again = call->chains && call->flags & (CALL_NOT_LAZY | CALL_HAD_CHAIN);

	if (again || (done && call->flags & CALL_NO_CAUSE))
		violation(again ? INVARIANT_PROMOTION_ONCE : INVARIANT_PROMOTION_CAUSE,
			  READ(vma, vm_start), READ(vma, vm_end), call->chains);
}

static __always_inline void promotion_makes_chain(void)
{
	struct call *call = find_call(CALLED_PROMOTION);

	if (call)
		call->chains++;
}

/* Page-table entries that map the folio; 0 also where this kernel does not keep that number. */
static __always_inline s64 folio_mappings(u64 at)
{
	struct folio *folio = (struct folio *)at;

	if (!WALKS_ARE_JUDGED)
		return 0;
	if (!(READ(folio, flags) >> PG_HEAD & 1))
		return (s64)READ(folio, mapcount) + 1;
	if (HAVE_folio_large_mapcount)
		return (s64)READ(folio, large_mapcount) + 1;
	return 0;
}

static __always_inline u32 walk_flags(u32 walker, struct copied_rmap_walk_control *control)
{
	u32 flags = 0;

	if (!WALKS_ARE_JUDGED)
		return 0;
	if (walker == WALKER_MIGRATE && COPIED(control, rmap_walk_control, arg) & TTU_SYNC)
		flags |= CALL_SYNC;
	/* Skipped VMAs are seen in migration walks only. */
	if (walker != WALKER_MIGRATE && COPIED(control, rmap_walk_control, invalid_vma))
		flags |= CALL_UNCLEAR;
	return flags;
}

/*
 * While the folio is locked nothing maps it anew, except fork from an existing mapping, and while
 * the walk holds the anon_vma's lock no VMA comes or goes. But page tables change beside a walk
 * that does not take their locks: mprotect, NUMA hinting, mremap, a copy on write or munmap clear
 * an entry for a moment. That a page stays mapped is therefore not enough.
 */
static __always_inline void judge_walk(struct call *call, u32 walker)
{
	bool migrates = walker == WALKER_MIGRATE, visits, visited_all;
	struct folio *folio = (struct folio *)call->object;
	u64 flags;

	if (!WALKS_ARE_JUDGED || (!migrates && (walker != WALKER_UNMAP || call->vmas)))
		return;
	/* Three probes count the VMAs independently: where they differ, a run of one was skipped.
	 */
	if (call->flags & (CALL_REFUSED | CALL_UNCLEAR) || call->ended != call->vmas ||
	    (migrates && call->offered < call->vmas))
		return;
	flags = READ(folio, flags);
	if (!(flags >> PG_LOCKED & 1) || folio_mappings(call->object) <= 0)
		return;
	visits = call->vmas || call->offered;
	visited_all = call->flags & CALL_SYNC && call->offered == call->vmas;
	/* A VMA maps a small page at most once. */
	if (!visits || visited_all || (!(flags >> PG_HEAD & 1) && call->mappings > call->offered))
		violation(visits ? INVARIANT_WALK_COMPLETE : INVARIANT_WALK_VISITS, 0, 0,
			  call->vmas);
}
