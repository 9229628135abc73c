/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every probe shares: reading kernel memory, the maps, and counting.
 *
 * Before this file comes text generated for the running kernel: struct layouts from BTF, the slots of
 * the counters (enum slot, enum total), HISTOGRAM_SLOTS and the call-site ranges.
 */

#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))

/* One explicit read: BCC rewrites some dereferences and misses others, so none are left to it. */
#define READ(source)                                                            \
	({                                                                      \
		typeof(source) value_;                                          \
		bpf_probe_read_kernel(&value_, sizeof(value_), &(source));      \
		value_;                                                         \
	})

/*
 * Every count is added to atomically. Tracepoint programs run with preemption off on most kernels, those at
 * functions do not, and two of them can add to one count of one CPU in turn.
 *
 * Per process: one shared entry. A per-CPU hash would take the number of CPUs times the memory (256 CPUs:
 * over half a gigabyte) for counts whose own code paths already share locks.
 */
struct process {
	u64 start_boottime;
	u32 uid;
	u32 unused;
	char comm[16];
	u64 counts[PROCESS_SLOTS];
};

/* Everything, whatever becomes of the process: per CPU, never lost, never reset. */
struct totals {
	u64 counts[TOTAL_SLOTS];
};

/* The part of totals that belongs to ended processes. */
struct exited {
	u64 counts[PROCESS_SLOTS];
};

struct histogram {
	u64 sum;
	u64 slots[HISTOGRAM_SLOTS];
};

/*
 * A seat is where a number, a tgid or a tid, is looked for before the hash is: the one entry of an array that
 * the number points to. To compare its owner costs a tenth of a hash lookup. Who finds the seat taken goes
 * to the hash, so that a seat is a matter of speed alone. It is taken and given up by compare-and-swap;
 * kernels before 5.12 have none, and there everybody is in the hash.
 *
 * What belongs to a process can be in both for a while (two threads had its first events at once, and one
 * found the seat taken): its counts are the sum of both.
 *
 * A process that ends leaves its mark on its seat until somebody else takes it, so that the frees of its mm
 * are known for those of an ended process. They come before sched_process_exit or, since 6.16, after it. The
 * mark goes when its tgid is given to a new process (process_fork).
 */
#define SEATS 4096
#define FORK_SEATS 256
#define SEAT_FREE 0ULL
#define SEAT_OPEN(number) (1ULL << 32 | (number))
#define SEAT_CHANGING(number) (2ULL << 32 | (number))
#define SEAT_ENDED(number) (4ULL << 32 | (number))

struct seat {
	u64 owner;
	struct process process; /* of a free seat: its counts are zero */
};

#define MMAPABLE 1024 /* BPF_F_MMAPABLE */

/* A fork under way in a task: from the allocation of the child's mm_struct to sched_process_fork. */
struct fork_window {
	u64 mm;
	u64 chains;
	u64 nanoseconds;
};

struct fork_seat {
	u64 owner;
	struct fork_window window;
};

/* Caches by address, 0 until they are seen. Made at boot and never destroyed, so to compare is enough then. */
struct known_caches {
	u64 anon_vma;
	u64 mm;
};


BPF_TABLE("hash", u32, struct process, processes, PROCESS_ENTRIES);
BPF_TABLE("hash", u32, struct fork_window, fork_windows, TASK_ENTRIES);
BPF_TABLE("array", u32, struct fork_seat, fork_seats, FORK_SEATS);
BPF_TABLE("array", u32, struct known_caches, known_caches, 1);
BPF_F_TABLE("array", u32, struct seat, seats, SEATS, MMAPABLE);
BPF_TABLE("percpu_array", u32, struct totals, totals, 1);
BPF_TABLE("percpu_array", u32, struct exited, exited, 1);
BPF_TABLE("percpu_array", u32, struct histogram, histograms, HISTOGRAM_COUNT);

static __always_inline void count_total(u32 slot, u64 by)
{
	u32 zero = 0;
	struct totals *all = totals.lookup(&zero);

	if (all && slot < TOTAL_SLOTS)
		__sync_fetch_and_add(&all->counts[slot], by);
}

/* True for whoever made the change; the others find it made. */
static __always_inline bool seat_changes(u64 *owner, u64 from, u64 to)
{
#if HAVE_COMPARE_AND_SWAP
	return __sync_val_compare_and_swap(owner, from, to) == from;
#else
	return false;
#endif
}

static __always_inline struct seat *seat_of(u32 tgid)
{
	u32 index = tgid & (SEATS - 1);

	return seats.lookup(&index);
}

static __always_inline bool seat_is_to_be_had(u64 owner)
{
	return owner == SEAT_FREE || owner & SEAT_ENDED(0);
}

static __always_inline struct process *find_process(u32 tgid)
{
	struct seat *seat = seat_of(tgid);

	if (seat && seat->owner == SEAT_OPEN(tgid))
		return &seat->process;
	return processes.lookup(&tgid);
}

static __always_inline bool group_is_dead(struct task_struct *task)
{
	struct signal_struct *signal = READ(task->signal);

	return READ(signal->live) == 0;
}

/*
 * The last thread of a process drops signal->live before its mm is torn down, so the frees of exit
 * come after; they belong to the process while its entry is there (process_exit folds it), and
 * straight to "exited" when it is not.
 */
static __always_inline struct process *new_process(u32 tgid, struct task_struct *task)
{
	struct task_struct *leader = READ(task->group_leader);
	struct cred *cred = READ(task->cred);
	struct seat *seat = seat_of(tgid);
	u64 owner = seat ? seat->owner : 0;
	struct process fresh = {};

	fresh.start_boottime = READ(leader->start_boottime);
	fresh.uid = READ(cred->uid);
	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	if (seat && seat_is_to_be_had(owner) && seat_changes(&seat->owner, owner, SEAT_CHANGING(tgid))) {
		seat->process.start_boottime = fresh.start_boottime;
		seat->process.uid = fresh.uid;
		__builtin_memcpy(seat->process.comm, fresh.comm, sizeof(fresh.comm));
		seat_changes(&seat->owner, SEAT_CHANGING(tgid), SEAT_OPEN(tgid));
		return &seat->process;
	}
	/* -EEXIST: another thread of the process was first. */
	processes.insert(&tgid, &fresh);
	return processes.lookup(&tgid);
}

/* Where an event of the current task is counted: totals, and its process or "exited". */
struct tally {
	struct totals *all;
	struct process *process;
	struct exited *gone;
	u32 tid;
};

static __always_inline void find_tally(struct tally *tally)
{
	u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task;
	u32 tgid = id >> 32, zero = 0;
	struct seat *seat = seat_of(tgid);
	u64 owner = seat ? seat->owner : 0;

	tally->tid = id;
	tally->all = totals.lookup(&zero);
	tally->gone = NULL;
	tally->process = NULL;
	if (seat && owner == SEAT_OPEN(tgid)) {
		tally->process = &seat->process;
		return;
	}
	if (owner == SEAT_ENDED(tgid)) {
		tally->gone = exited.lookup(&zero);
		return;
	}
	tally->process = processes.lookup(&tgid);
	if (tally->process)
		return;
	task = (struct task_struct *)bpf_get_current_task();
	if (group_is_dead(task)) {
		if (seat && seat_is_to_be_had(owner))
			seat_changes(&seat->owner, owner, SEAT_ENDED(tgid));
		tally->gone = exited.lookup(&zero);
		return;
	}
	tally->process = new_process(tgid, task);
	if (!tally->process)
		count_total(TOTAL_PROCESS_MAP_FULL, 1);
}

static __always_inline void add(struct tally *tally, u32 slot, u64 by)
{
	if (tally->all)
		__sync_fetch_and_add(&tally->all->counts[slot], by);
	if (tally->process)
		__sync_fetch_and_add(&tally->process->counts[slot], by);
	else if (tally->gone)
		__sync_fetch_and_add(&tally->gone->counts[slot], by);
}

static __always_inline void count(u32 slot, u64 by)
{
	struct tally tally;

	find_tally(&tally);
	add(&tally, slot, by);
}

/*
 * Slot i of a histogram means "<= 2^i". The mask is what the verifier of 6.1 needs to see the bound;
 * the barrier keeps the compiler from proving it away.
 */
static __always_inline void observe(u32 histogram, u64 value)
{
	struct histogram *into = histograms.lookup(&histogram);
	u64 slot = value > 1 ? bpf_log2l(value - 1) : 0;

	if (!into)
		return;
	__sync_fetch_and_add(&into->sum, value);
	asm volatile("" : "+r"(slot));
	__sync_fetch_and_add(&into->slots[slot & (HISTOGRAM_SLOTS - 1)], 1);
}

static __always_inline struct fork_seat *fork_seat_of(u32 tid)
{
	u32 index = tid & (FORK_SEATS - 1);

	return fork_seats.lookup(&index);
}

static __always_inline struct fork_window *find_fork_window(u32 tid)
{
	struct fork_seat *seat = fork_seat_of(tid);

	if (seat && seat->owner == SEAT_OPEN(tid))
		return &seat->window;
	return fork_windows.lookup(&tid);
}

/* Only the task itself opens, uses and closes its window. */
static __always_inline void open_fork_window(u32 tid, u64 mm)
{
	struct fork_window window = {.mm = mm};
	struct fork_seat *seat = fork_seat_of(tid);

	if (seat && (seat->owner == SEAT_OPEN(tid) || seat_changes(&seat->owner, SEAT_FREE, SEAT_OPEN(tid))))
		seat->window = window;
	else if (fork_windows.update(&tid, &window))
		count_total(TOTAL_FORK_MAP_FULL, 1);
}

static __always_inline void close_fork_window(u32 tid)
{
	struct fork_seat *seat = fork_seat_of(tid);

	if (!seat || !seat_changes(&seat->owner, SEAT_OPEN(tid), SEAT_FREE))
		fork_windows.delete(&tid);
}
