// SPDX-License-Identifier: GPL-2.0-only
/*
 * rmap_walk_anon() and rmap_walk_ksm(): from an anonymous folio to every VMA that may map it.
 *
 * The callback (rwc->rmap_one) identifies the purpose of a walk; each of its runs is a VMA visited.
 * Walks are counted for the task that walks (kswapd, ksmd, khugepaged, ...), not for the owner of
 * the pages.
 */

/* Low bits of folio->mapping: anonymous, and both for KSM (include/linux/page-flags.h). */
#define FOLIO_MAPPING_FLAGS 3
#define FOLIO_MAPPING_KSM 3

static __always_inline int rmap_walk_enter(u64 at, u64 rwc)
{
	struct folio *folio = (struct folio *)at;
	u64 kind = READ(folio, mapping) & FOLIO_MAPPING_FLAGS;
	struct copied_rmap_walk_control control = {};
	u32 walker = WALKER_KSM;

	COPY(&control, (void *)rwc, rmap_walk_control);
	if (kind != FOLIO_MAPPING_KSM)
		walker = WALKER_OF(COPIED(&control, rmap_walk_control, rmap_one));
	call_begins_with(CALLED_RMAP_WALK, at, walker, walk_flags(walker, &control));
	return 0;
}

static __always_inline int rmap_one_enter(void)
{
	struct call *call = find_call(CALLED_RMAP_WALK);

	if (call)
		call->vmas++;
	return 0;
}

/* Called for each VMA that the walk reaches: may it be skipped? */
static __always_inline int vma_offered_enter(void)
{
	struct call *call = find_call(CALLED_RMAP_WALK);

	if (call && !call->offered++)
		call->mappings = folio_mappings(call->object);
	return 0;
}

static __always_inline int callback_exit(u64 result)
{
	struct call *call = find_call(CALLED_RMAP_WALK);

	if (!call)
		return 0;
	call->ended++;
	if (!(u8)result)
		call->flags |= CALL_REFUSED;
	return 0;
}

static __always_inline int rmap_walk_exit(u64 result)
{
	u64 nanoseconds, walker;
	struct event *event;
	struct tally tally;
	struct call call;

	if (!call_ends(CALLED_RMAP_WALK, &call, &nanoseconds))
		return 0;
	walker = call.detail & (WALKER_COUNT - 1);
	judge_walk(&call, walker);
	find_tally(&tally);
	add(&tally, COUNT_RMAP_WALKS, 1);
	add_total(&tally, TOTAL_RMAP_WALKS_BY_WALKER + walker, 1);
	observe(HISTOGRAM_RMAP_WALK_SECONDS_BY_WALKER + walker, nanoseconds);
	add(&tally, COUNT_RMAP_WALK_VMAS, call.vmas);
	add_total(&tally, TOTAL_RMAP_WALK_VMAS_BY_WALKER + walker, call.vmas);
	observe(HISTOGRAM_RMAP_WALK_VMAS_BY_WALKER + walker, call.vmas);
	event = event_begin(EVENT_RMAP_WALK, walker, nanoseconds);
	if (event) {
		event->objects = event_number(EVENT_KNOWS_VMAS, call.vmas);
		event_end(event);
	}
	return 0;
}
