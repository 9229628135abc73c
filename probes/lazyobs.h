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
 * Per process: one shared entry with atomic adds. A per-CPU hash would take the number of CPUs times
 * the memory (256 CPUs: over half a gigabyte) for counts whose own code paths already share locks.
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

/* A fork under way in a task: from the allocation of the child's mm_struct to sched_process_fork. */
struct fork_window {
	u64 mm;
	u64 chains;
	u64 nanoseconds;
};

BPF_TABLE("hash", u32, struct process, processes, PROCESS_ENTRIES);
BPF_TABLE("hash", u32, struct fork_window, fork_windows, TASK_ENTRIES);
BPF_TABLE("percpu_array", u32, struct totals, totals, 1);
BPF_TABLE("percpu_array", u32, struct exited, exited, 1);
BPF_TABLE("percpu_array", u32, struct histogram, histograms, HISTOGRAM_COUNT);

static __always_inline void count_total(u32 slot, u64 by)
{
	u32 zero = 0;
	struct totals *all = totals.lookup(&zero);

	if (all && slot < TOTAL_SLOTS)
		all->counts[slot] += by;
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
	struct process fresh = {};

	fresh.start_boottime = READ(leader->start_boottime);
	fresh.uid = READ(cred->uid);
	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	/* -EEXIST: another thread of the process was first. */
	processes.insert(&tgid, &fresh);
	return processes.lookup(&tgid);
}

/* Where an event of the current task is counted: totals, and its process or "exited". */
struct tally {
	struct totals *all;
	struct process *process;
	struct exited *gone;
};

static __always_inline void find_tally(struct tally *tally)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct task_struct *task;

	tally->all = totals.lookup(&zero);
	tally->gone = NULL;
	tally->process = processes.lookup(&tgid);
	if (tally->process)
		return;
	task = (struct task_struct *)bpf_get_current_task();
	if (group_is_dead(task)) {
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
		tally->all->counts[slot] += by;
	if (tally->process)
		__sync_fetch_and_add(&tally->process->counts[slot], by);
	else if (tally->gone)
		tally->gone->counts[slot] += by;
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
	into->sum += value;
	asm volatile("" : "+r"(slot));
	into->slots[slot & (HISTOGRAM_SLOTS - 1)]++;
}
