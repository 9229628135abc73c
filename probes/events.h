/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stream: one struct event a rare happening, through a ring buffer that is written in program order.
 *
 * Before this file comes struct event, generated from the table in lazyobs/bpf/event.py, and
 * EVENT_RING_PAGES and EVENT_WAKE_EVERY. What nobody asked for costs one lookup; what does not fit is counted, never waited for.
 */

/* What the reader wants; all zero, as at the start, means nothing. */
struct event_filter {
	u64 min_nanoseconds[EVENT_KINDS];
	u64 comm[2];
	u32 kinds; /* one bit each */
	u32 by_comm;
	u32 by_process;
	u32 knows; /* which numbers the attached probes can give, EVENT_KNOWS_* */
};

struct event_counts {
	u64 sent;
	u64 lost;
};

/* A duration that is not known passes the filter: nobody can say that it was short. */
#define EVENT_NO_DURATION (~0ULL)

static __always_inline void event_range(struct event *event, u64 start, u64 end)
{
	u64 pages = (end - start) / PAGE_SIZE;

	event->address = start;
	event->pages = pages < EVENT_UNKNOWN ? pages : EVENT_UNKNOWN;
}

enum { EVENT_KNOWS_VMAS = 1, EVENT_KNOWS_CHAINS = 2 };

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
 * A record to be filled in and given to event_end(), or nothing: not wanted, or no room, which is
 * counted. Added atomically: an interrupt, or on a preemptible kernel another task, can come in between.
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
	leader = READ(task->group_leader);
	id = bpf_get_current_pid_tgid();
	event->stamp = bpf_ktime_get_boot_ns();
	event->start = READ(leader->start_boottime);
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
 * Wakes the reader at every so many records of a CPU, chosen so that the ring cannot fill between two
 * wake-ups; for less than that the reader looks in by itself. (BCC cannot name a ring to
 * bpf_ringbuf_query(), which would tell how full it is.)
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
/* Nobody reads events in this image: what would make one compiles to nothing. */
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
