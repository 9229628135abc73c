/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by every probe: reading kernel memory, the maps, and counting.
 *
 * Generated text precedes this file: the members of kernel structs (lazyobs/bpf/structs.py), the
 * indices of the counters (COUNT_*, TOTAL_*) from lazyobs/bpf/counts.py, and the structs that user
 * space reads, struct process among them, from lazyobs/bpf/layouts.py.
 */

#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))

/*
 * All additions are atomic. Tracepoint programs run with preemption disabled on most kernels,
 * function probes do not, so two of them can update the same count of the same CPU.
 *
 * A process has one entry shared by all CPUs. A per-CPU hash would multiply the memory by the
 * number of CPUs (half a gigabyte at 256) for counts whose own code paths already share locks.
 */

/* Everything since attach, by CPU; never reset, and not lost when a process ends. */
struct totals {
	u64 counts[TOTAL_COUNTS];
};

/* The part of totals that belongs to ended processes. */
struct exited {
	u64 counts[PROCESS_COUNTS];
};

struct histogram {
	u64 sum;
	u64 buckets[HISTOGRAM_BUCKETS];
};

/*
 * Processes and tasks are looked up in a direct-mapped cache before the hash: an array slot indexed
 * by the low bits of the tgid or tid. Comparing the slot's owner costs a tenth of a hash lookup. On
 * a collision the entry goes to the hash, so a slot affects speed only. Slots are taken and
 * released by compare-and-swap; kernels before 5.12 lack it in BPF, and use the hash alone.
 *
 * A process can be in both for a while (two of its threads were first at the same time, and one
 * found the slot taken): its counts are the sum of both.
 *
 * A process that ends marks its slot SLOT_ENDED until another process takes it, so that the frees
 * of its mm are attributed to an ended process. They come before sched_process_exit, or after it
 * since 6.16. The mark is cleared when the tgid is reused (process_fork).
 */
#define SLOT_FREE 0ULL
#define SLOT_OPEN(number) (1ULL << 32 | (number))
#define SLOT_CHANGING(number) (2ULL << 32 | (number))
#define SLOT_ENDED(number) (4ULL << 32 | (number))

#define MMAPABLE 1024 /* BPF_F_MMAPABLE */

/* A fork in progress in a task: from the allocation of the child's mm_struct to sched_process_fork.
 */
struct fork_window {
	u64 mm;
	u64 since;
	u64 chains;
	u64 nanoseconds;  /* in anon_vma_fork() */
	u64 page_tables;  /* ns in copy_page_range() */
	u64 anon_since;	  /* when anon_vma_fork() began; 0 outside of it */
	u64 copies_since; /* copy_page_range() */
	u64 waits;	  /* for the lock of a root anon_vma (lock.c) */
	u64 waited;
};

struct fork_slot {
	u64 owner;
	struct fork_window window;
};

/* The slots of an array are one value: an index into it is an addition, a lookup ten instructions.
 */
struct fork_slots {
	struct fork_slot slots[FORK_SLOTS];
};

struct process_slots {
	struct process_slot slots[PROCESS_SLOTS];
};

/* Addresses of slab caches, 0 until seen. They are created at boot and never destroyed, so an
 * address identifies one. */
struct known_caches {
	u64 anon_vma;
	u64 mm;
};

BPF_TABLE("hash", u32, struct process, processes, PROCESS_ENTRIES);
BPF_TABLE("hash", u32, struct fork_window, fork_windows, TASK_ENTRIES);
BPF_TABLE("array", u32, struct fork_slots, fork_slots, 1);
BPF_TABLE("array", u32, struct known_caches, known_caches, 1);
BPF_F_TABLE("array", u32, struct process_slots, process_slots, 1, MMAPABLE);
BPF_TABLE("percpu_array", u32, struct totals, totals, 1);
BPF_TABLE("percpu_array", u32, struct exited, exited, 1);
BPF_TABLE("percpu_array", u32, struct histogram, histograms, HISTOGRAM_COUNT);
/* The loader makes room for every pid where a command is followed (lazyobs/bpf/followed.py). */
BPF_TABLE("array", u32, u64, followed, 1);
BPF_TABLE("percpu_array", u32, struct totals, command_totals, FOLLOWED_STATES);

/* What is followed of the process: 0, or FOLLOWED_*. */
static __always_inline u32 followed_as(u32 tgid)
{
	u32 index = tgid / FOLLOWED_A_WORD;
	u64 *word = followed.lookup(&index);

	if (!word)
		return 0;
	return *word >> tgid % FOLLOWED_A_WORD * FOLLOWED_BITS & FOLLOWED_MASK;
}

/*
 * By addition, which every kernel has in BPF, because a word belongs to many pids. The bits of one
 * pid change in its birth and its exec only, and never at the same time.
 */
static __always_inline void follow_as(u32 tgid, u64 before, u64 now)
{
	u32 index = tgid / FOLLOWED_A_WORD;
	u64 *word = followed.lookup(&index);

	if (word && before != now)
		__sync_fetch_and_add(word, (now - before)
						   << tgid % FOLLOWED_A_WORD * FOLLOWED_BITS);
}

/* Where an event of the process is counted besides: NULL unless it is of the command. */
static __always_inline struct totals *command_totals_of(u32 tgid)
{
	u32 state;

	if (!FOLLOWS)
		return NULL;
	state = followed_as(tgid);
	if (!state)
		return NULL;
	state--;
	return command_totals.lookup(&state);
}

static __always_inline void count_total(u32 index, u64 by)
{
	struct totals *command = command_totals_of(bpf_get_current_pid_tgid() >> 32);
	u32 zero = 0;
	struct totals *all = totals.lookup(&zero);

	if (all && index < TOTAL_COUNTS)
		__sync_fetch_and_add(&all->counts[index], by);
	if (command && index < TOTAL_COUNTS)
		__sync_fetch_and_add(&command->counts[index], by);
}

/* True for the caller that made the change. What a kernel without it refuses is taken out at load.
 */
static __always_inline bool slot_changes(u64 *owner, u64 from, u64 to)
{
	if (!HAVE_COMPARE_AND_SWAP)
		return false;
	return __sync_val_compare_and_swap(owner, from, to) == from;
}

static __always_inline struct process_slot *process_slot_of(u32 tgid)
{
	return &ONLY(process_slots, process_slots)->slots[tgid & (PROCESS_SLOTS - 1)];
}

static __always_inline bool slot_is_available(u64 owner)
{
	return owner == SLOT_FREE || owner & SLOT_ENDED(0);
}

static __always_inline struct process *find_process(u32 tgid)
{
	struct process_slot *slot = process_slot_of(tgid);

	if (slot->owner == SLOT_OPEN(tgid))
		return &slot->process;
	return processes.lookup(&tgid);
}

static __always_inline bool group_is_dead(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);

	return READ(signal, live) == 0;
}

/*
 * The last thread of a process drops signal->live before the mm is torn down, so the frees of exit
 * follow. They are counted for the process as long as its entry exists (process_exit folds it), and
 * in "exited" afterwards.
 */
static __always_inline struct process *new_process(u32 tgid, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct cred *cred = READ(task, cred);
	struct process_slot *slot = process_slot_of(tgid);
	u64 owner = slot->owner;
	struct process fresh = {};

	fresh.start_boottime = READ(leader, start_boottime);
	fresh.uid = READ(cred, uid);
	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	if (slot_is_available(owner) && slot_changes(&slot->owner, owner, SLOT_CHANGING(tgid))) {
		slot->process.start_boottime = fresh.start_boottime;
		slot->process.uid = fresh.uid;
		__builtin_memcpy(slot->process.comm, fresh.comm, sizeof(fresh.comm));
		slot_changes(&slot->owner, SLOT_CHANGING(tgid), SLOT_OPEN(tgid));
		return &slot->process;
	}
	/* -EEXIST: another thread of the process inserted it first. */
	processes.insert(&tgid, &fresh);
	return processes.lookup(&tgid);
}

/* Where an event of the current task is counted: totals, and either its process or "exited". */
struct tally {
	struct totals *all;
	struct totals *command;
	struct process *process;
	struct exited *gone;
	u32 tid;
};

static __always_inline void find_tally(struct tally *tally)
{
	u64 id = bpf_get_current_pid_tgid();
	struct task_struct *task;
	u32 tgid = id >> 32, zero = 0;
	struct process_slot *slot = process_slot_of(tgid);
	u64 owner = slot->owner;

	tally->tid = id;
	tally->all = totals.lookup(&zero);
	tally->command = command_totals_of(tgid);
	tally->gone = NULL;
	tally->process = NULL;
	if (owner == SLOT_OPEN(tgid)) {
		tally->process = &slot->process;
		return;
	}
	if (owner == SLOT_ENDED(tgid)) {
		tally->gone = exited.lookup(&zero);
		return;
	}
	tally->process = processes.lookup(&tgid);
	if (tally->process)
		return;
	task = (struct task_struct *)bpf_get_current_task();
	if (group_is_dead(task)) {
		if (slot_is_available(owner))
			slot_changes(&slot->owner, owner, SLOT_ENDED(tgid));
		tally->gone = exited.lookup(&zero);
		return;
	}
	tally->process = new_process(tgid, task);
	if (!tally->process)
		count_total(TOTAL_PROCESS_MAP_FULL, 1);
}

/* To a total that processes have no part of. */
static __always_inline void add_total(struct tally *tally, u32 index, u64 by)
{
	if (tally->all && index < TOTAL_COUNTS)
		__sync_fetch_and_add(&tally->all->counts[index], by);
	if (FOLLOWS && tally->command && index < TOTAL_COUNTS)
		__sync_fetch_and_add(&tally->command->counts[index], by);
}

static __always_inline void add(struct tally *tally, u32 index, u64 by)
{
	add_total(tally, index, by);
	if (tally->process)
		__sync_fetch_and_add(&tally->process->counts[index], by);
	else if (tally->gone)
		__sync_fetch_and_add(&tally->gone->counts[index], by);
}

static __always_inline void count(u32 index, u64 by)
{
	struct tally tally;

	find_tally(&tally);
	add(&tally, index, by);
}

/*
 * Bucket i of a histogram counts values <= 2^i. The verifier of 6.1 needs the mask to see the
 * bound; the asm keeps the compiler from optimising it away.
 */
static __always_inline void observe(u32 histogram, u64 value)
{
	struct histogram *into = histograms.lookup(&histogram);
	u64 bucket = value > 1 ? bpf_log2l(value - 1) : 0;

	if (!into)
		return;
	__sync_fetch_and_add(&into->sum, value);
	asm volatile("" : "+r"(bucket));
	__sync_fetch_and_add(&into->buckets[bucket & (HISTOGRAM_BUCKETS - 1)], 1);
}

static __always_inline struct fork_slot *fork_slot_of(u32 tid)
{
	return &ONLY(fork_slots, fork_slots)->slots[tid & (FORK_SLOTS - 1)];
}

static __always_inline struct fork_window *find_fork_window(u32 tid)
{
	struct fork_slot *slot = fork_slot_of(tid);

	if (slot->owner == SLOT_OPEN(tid))
		return &slot->window;
	return fork_windows.lookup(&tid);
}

/* Only the task itself opens, uses and closes its window. */
static __always_inline void open_fork_window(u32 tid, u64 mm)
{
	struct fork_window window = { .mm = mm, .since = bpf_ktime_get_ns() };
	struct fork_slot *slot = fork_slot_of(tid);

	if (slot->owner == SLOT_OPEN(tid) || slot_changes(&slot->owner, SLOT_FREE, SLOT_OPEN(tid)))
		slot->window = window;
	else if (fork_windows.update(&tid, &window))
		count_total(TOTAL_FORK_MAP_FULL, 1);
}

static __always_inline void close_fork_window(u32 tid)
{
	struct fork_slot *slot = fork_slot_of(tid);

	if (!slot_changes(&slot->owner, SLOT_OPEN(tid), SLOT_FREE))
		fork_windows.delete(&tid);
}

/* ``tree`` is its word vma->anon_vma. */
static __always_inline bool vma_is_lazy(struct vm_area_struct *vma, u64 tree)
{
	if (LAZY_BY_TAG)
		return (tree & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_LAZY;
	if (HAVE_vm_area_struct_lazy_mark)
		return READ(vma, lazy_mark) != 0;
	return false;
}
