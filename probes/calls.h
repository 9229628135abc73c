/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry and exit of a kernel function, paired by task: the functions sleep and migrate between
 * CPUs.
 *
 * A task can be in several functions at once (reclaim walks the reverse map below a prepare), so
 * the key also names the function. Bodies are written once; the fentry, fexit, kprobe and kretprobe
 * programs that call them are generated, with the arguments that the function has on this kernel.
 */

enum called {
	CALLED_PREPARE,
	CALLED_LAZY_PREPARE,
	CALLED_PROMOTION,
	CALLED_RMAP_WALK,
	CALLED_CLONE,
	CALLED_UNLINK,
	CALLED_COW,
	CALLED_FIRST_FAULT,
	CALLED_RETRIED_FAULT, /* not a function: from giving a fault up to its next try */
	CALLED_LOCK_WAIT,     /* not a function: from contention_begin to contention_end */
	CALLED_COUNT,
};

struct call {
	u64 start;
	u64 object; /* a pointer from the entry, for the exit */
	u64 vmas;
	u32 detail;    /* reason, walker or path */
	u32 lost_race; /* another task was first: nothing was done */
	u32 flags;     /* CALL_*, what invariants.h judges by */
	u32 chains;    /* made by a promotion */
	u32 offered;   /* VMAs a migrating walk came to, and callbacks that ended */
	u32 ended;
	s64 mappings; /* of the folio, when the walk came to its first VMA */
};

/* A direct-mapped cache as for processes (lazyobs.h), by function and tid. Only the task itself
 * uses its slot. */
struct call_slot {
	u64 owner;
	struct call call;
};

struct call_slots {
	struct call_slot slots[CALLED_COUNT * CALL_SLOTS];
};

BPF_TABLE("hash", u64, struct call, calls, TASK_ENTRIES);
BPF_TABLE("array", u32, struct call_slots, call_slots, 1);

/* Calls in the hash since attach: where there was none it need not be searched. */
BPF_TABLE("array", u32, u64, hashed_calls, CALLED_COUNT);

static __always_inline void note_hashed(enum called called)
{
	u32 index = called;
	u64 *hashed = hashed_calls.lookup(&index);

	if (hashed)
		__sync_fetch_and_add(hashed, 1);
}

static __always_inline u64 call_key(enum called called, u32 tid)
{
	return (u64)called << 32 | tid;
}

static __always_inline struct call_slot *call_slot_of(enum called called, u32 tid)
{
	struct call_slots *all = ONLY(call_slots, call_slots);

	return &all->slots[called * CALL_SLOTS + (tid & (CALL_SLOTS - 1))];
}

/* The call that the current task is in, or NULL. */
static __always_inline struct call *find_call(enum called called)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct call_slot *slot = call_slot_of(called, tid);
	u64 key = call_key(called, tid);

	if (slot->owner == SLOT_OPEN(tid))
		return &slot->call;
	return calls.lookup(&key);
}

static __always_inline void return_missed(enum called called)
{
	if (called != CALLED_LOCK_WAIT && called != CALLED_RETRIED_FAULT) /* not functions */
		count_total(TOTAL_RETURNS_MISSED, 1);
}

/* Member by member: a struct that is assigned is built on the stack first. */
static __always_inline void describe_call(struct call *call, u64 start, u64 object, u32 detail,
					  u32 flags)
{
	call->start = start;
	call->object = object;
	call->vmas = 0;
	call->detail = detail;
	call->lost_race = 0;
	call->flags = flags;
	call->chains = 0;
	call->offered = 0;
	call->ended = 0;
	call->mappings = 0;
}

static __always_inline void call_began(enum called called, u64 start, u64 object, u32 detail,
				       u32 flags)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct call_slot *slot = call_slot_of(called, tid);
	u64 key = call_key(called, tid);

	/*
	 * Its own slot or entry can still be there: the probe at the last exit was skipped. A
	 * kretprobe without a free instance is, which the kernel tells nobody before 6.7.
	 */
	if (slot->owner == SLOT_OPEN(tid)) {
		describe_call(&slot->call, start, object, detail, flags);
		return_missed(called);
	} else if (slot_changes(&slot->owner, SLOT_FREE, SLOT_OPEN(tid))) {
		describe_call(&slot->call, start, object, detail, flags);
	} else {
		struct call call;

		describe_call(&call, start, object, detail, flags);
		if (calls.lookup(&key))
			return_missed(called);
		note_hashed(called);
		if (calls.update(&key, &call))
			count_total(TOTAL_TASK_MAP_FULL, 1);
	}
}

static __always_inline void call_begins_with(enum called called, u64 object, u32 detail, u32 flags)
{
	call_began(called, bpf_ktime_get_ns(), object, detail, flags);
}

static __always_inline void call_begins(enum called called, u64 object, u32 detail)
{
	call_begins_with(called, object, detail, 0);
}

static __always_inline void call_lost_race(enum called called)
{
	struct call *call = find_call(called);

	if (call)
		call->lost_race = 1;
}

/* False where the task is in no such call, for less than call_ends() takes to find that out. */
static __always_inline bool call_may_be_open(enum called called)
{
	u32 tid = bpf_get_current_pid_tgid(), index = called;
	struct call_slot *slot = call_slot_of(called, tid);
	u64 *hashed = hashed_calls.lookup(&index);

	return slot->owner == SLOT_OPEN(tid) || !hashed || *hashed;
}

/* False when the entry was not seen: the probe was attached during the call, or the map was full.
 */
static __always_inline bool call_ends(enum called called, struct call *call, u64 *nanoseconds)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct call_slot *slot = call_slot_of(called, tid);
	u64 key = call_key(called, tid);
	struct call *found;

	if (slot->owner == SLOT_OPEN(tid)) {
		*call = slot->call;
		slot_changes(&slot->owner, SLOT_OPEN(tid), SLOT_FREE);
	} else {
		found = calls.lookup(&key);
		if (!found)
			return false;
		*call = *found;
		calls.delete(&key);
	}
	*nanoseconds = bpf_ktime_get_ns() - call->start;
	return true;
}
