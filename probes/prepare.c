// SPDX-License-Identifier: GPL-2.0-only
/* __anon_vma_prepare(): an anon_vma and a chain for a VMA, on its first anonymous fault. */

static __always_inline int prepare_enter(void)
{
	call_begins(CALLED_PREPARE, 0, 0);
	return 0;
}

static __always_inline int prepare_exit(u64 result)
{
	struct event *event;
	u64 nanoseconds;
	struct call call;

	if (!call_ends(CALLED_PREPARE, &call, &nanoseconds))
		return 0;
	observe(HISTOGRAM_PREPARE_SECONDS, nanoseconds);
	if (call.lost_race || (int)result)
		return 0;
	count(COUNT_PREPARES, 1);
	event = event_begin(EVENT_PREPARE, 0, nanoseconds);
	if (event)
		event_end(event);
	return 0;
}
