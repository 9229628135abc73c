/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The event stream: one struct event for each rare event, through a ring buffer written in program
 * order.
 *
 * struct event, struct event_filter, struct event_counts, EVENT_RING_PAGES and EVENT_WAKE_EVERY are
 * generated from lazyobs/bpf/event.py. An event that was not asked for costs one lookup; one that
 * does not fit is counted as lost, and nothing waits.
 */

/* An unknown duration passes the filter: it may have been long. */
#define EVENT_NO_DURATION (~0ULL)

static __always_inline void event_range(struct event *event, u64 start, u64 end)
{
	u64 pages = (end - start) >> PAGE_SHIFT;

	event->address = start;
	event->pages = pages < EVENT_UNKNOWN ? pages : EVENT_UNKNOWN;
}

#if EVENTS
BPF_RINGBUF_OUTPUT(events, EVENT_RING_PAGES);
BPF_TABLE("array", u32, struct event_filter, event_filter, 1);
BPF_TABLE("hash", u32, u32, event_processes, EVENT_PROCESSES);
BPF_TABLE("percpu_array", u32, struct event_counts, event_counts, 1);

static __always_inline bool event_wanted(u32 kind, u64 nanoseconds)
{
	u32 zero = 0, tgid;
	struct event_filter *filter = event_filter.lookup(&zero);
	u64 comm[2] = {};

	if (!filter || kind >= EVENT_KINDS || !(filter->kinds & 1U << kind))
		return false;
	if (nanoseconds < filter->min_nanoseconds[kind])
		return false;
	if (filter->by_process) {
		tgid = bpf_get_current_pid_tgid() >> 32;
		if (!event_processes.lookup(&tgid))
			return false;
	}
	if (filter->by_comm) {
		bpf_get_current_comm(comm, sizeof(comm));
		if (comm[0] != filter->comm[0] || comm[1] != filter->comm[1])
			return false;
	}
	return true;
}

/*
 * A record to be filled in and passed to event_end(); NULL where the event is not wanted, or there
 * is no room, which is counted. Atomically: an interrupt, or another task on a preemptible kernel,
 * can come in between.
 */
static __always_inline struct event *event_begin(u32 kind, u32 detail, u64 nanoseconds)
{
	struct task_struct *task, *leader;
	struct event_counts *counts;
	struct event *event;
	u32 zero = 0;
	u64 id;

	if (!event_wanted(kind, nanoseconds))
		return 0;
	counts = event_counts.lookup(&zero);
	if (!counts)
		return 0;
	event = events.ringbuf_reserve(sizeof(struct event));
	if (!event) {
		__sync_fetch_and_add(&counts->lost, 1);
		return 0;
	}
	__sync_fetch_and_add(&counts->sent, 1);
	task = (struct task_struct *)bpf_get_current_task();
	leader = READ(task, group_leader);
	id = bpf_get_current_pid_tgid();
	event->stamp = bpf_ktime_get_boot_ns();
	event->start = READ(leader, start_boottime);
	event->address = 0;
	if (nanoseconds == EVENT_NO_DURATION)
		event->duration = EVENT_UNKNOWN;
	else
		event->duration = nanoseconds < EVENT_UNKNOWN ? nanoseconds : EVENT_UNKNOWN - 1;
	event->pages = 0;
	event->objects = EVENT_UNKNOWN;
	event->tgid = id >> 32;
	event->tid = id;
	event->cpu = bpf_get_smp_processor_id();
	event->kind = kind;
	event->detail = detail;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	return event;
}

static __always_inline u32 event_number(u32 knows, u64 number)
{
	u32 zero = 0;
	struct event_filter *filter = event_filter.lookup(&zero);

	return filter && filter->knows & knows ? number : EVENT_UNKNOWN;
}

/*
 * Wakes the reader after every EVENT_WAKE_EVERY records of a CPU, few enough that the ring cannot
 * fill between two wake-ups; below that rate the reader polls. (BCC cannot pass a ring to
 * bpf_ringbuf_query(), which returns how full it is.)
 */
static __always_inline void event_end(struct event *event)
{
	u32 zero = 0;
	struct event_counts *counts = event_counts.lookup(&zero);

	if (counts && counts->sent % EVENT_WAKE_EVERY == 0)
		events.ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	else
		events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}
#else
/* This image has no event stream: the calls compile to nothing. */
static __always_inline struct event *event_begin(u32 kind, u32 detail, u64 nanoseconds)
{
	return 0;
}

static __always_inline u32 event_number(u32 knows, u64 number)
{
	return EVENT_UNKNOWN;
}

static __always_inline void event_end(struct event *event)
{
}
#endif
