// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lazy designs: VMAs marked lazy instead of prepared, and lazy VMAs promoted to regular ones.
 *
 * Both functions may be called without effect, so the state of the VMA is compared before and
 * after. Where the return value says who changed it, that decides.
 */

static __always_inline bool is_lazy(u64 at)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)at;
	u64 tree = READ(vma, anon_vma);

	return tree && vma_is_lazy(vma, tree);
}

static __always_inline int lazy_prepare_enter(u64 vma)
{
	call_begins(CALLED_LAZY_PREPARE, vma, is_lazy(vma));
	return 0;
}

static __always_inline int lazy_prepare_exit(u64 result)
{
	u64 nanoseconds;
	struct call call;
	bool made;

	if (!call_ends(CALLED_LAZY_PREPARE, &call, &nanoseconds))
		return 0;
	/* A design may ask for this in __anon_vma_prepare(), which then makes nothing. */
	if (is_lazy(call.object))
		call_lost_race(CALLED_PREPARE);
	if (LAZY_PREPARE_TELLS)
		made = (u32)result == (u32)LAZY_PREPARE_MADE;
	else
		made = !call.detail && is_lazy(call.object);
	if (made)
		count(COUNT_LAZY_PREPARES, 1);
	return 0;
}

static __always_inline int promotion_enter(void *ctx, u64 vma, u64 reason)
{
	u32 why = REASON_OF((u32)reason);

	call_begins_with(CALLED_PROMOTION, vma, why, promotion_flags(ctx, vma, is_lazy(vma), why));
	return 0;
}

static __always_inline void promotion_event(u32 kind, struct call *call, u64 nanoseconds)
{
	struct event *event = event_begin(kind, call->detail & (REASON_COUNT - 1), nanoseconds);
	struct vm_area_struct *vma = (struct vm_area_struct *)call->object;

	if (!event)
		return;
	event_range(event, READ(vma, vm_start), READ(vma, vm_end));
	event_end(event);
}

static __always_inline int promotion_exit(u64 result)
{
	u64 nanoseconds, reason;
	struct call call;
	bool still_lazy;

	if (!call_ends(CALLED_PROMOTION, &call, &nanoseconds))
		return 0;
	if (call.lost_race)
		return 0;
	still_lazy = is_lazy(call.object);
	judge_promotion(&call, !still_lazy);
	if (call.flags & CALL_NOT_LAZY)
		return 0;
	if (still_lazy) {
		count(COUNT_PROMOTIONS_FAILED, 1);
		promotion_event(EVENT_PROMOTION_FAILED, &call, nanoseconds);
		return 0;
	}
	reason = call.detail & (REASON_COUNT - 1);
	count(COUNT_PROMOTIONS, 1);
	count_total(TOTAL_PROMOTIONS_BY_REASON + reason, 1);
	observe(HISTOGRAM_PROMOTION_SECONDS, nanoseconds);
	promotion_event(EVENT_PROMOTION, &call, nanoseconds);
	return 0;
}
