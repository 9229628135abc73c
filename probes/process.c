// SPDX-License-Identifier: GPL-2.0-only
/* Births, new names and deaths of processes. */

int process_fork(u64 *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx[1];
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window = fork_windows.lookup(&tid);
	struct event *event;
	struct tally tally;
	u64 nanoseconds;

	if (READ(child->pid) == READ(child->tgid)) {
		find_tally(&tally);
		add(&tally, SLOT_FORKS, 1);
		if (window) {
			add(&tally, SLOT_FORK_CHAINS, window->chains);
			if (window->nanoseconds)
				observe(HISTOGRAM_FORK_SECONDS, window->nanoseconds);
		}
		nanoseconds = window ? window->nanoseconds : 0;
		event = event_begin(EVENT_FORK, 0, nanoseconds ? nanoseconds : EVENT_NO_DURATION);
		if (event) {
			event->objects = event_number(EVENT_KNOWS_CHAINS, window ? window->chains : 0);
			event_end(event);
		}
	}
	if (window)
		fork_windows.delete(&tid);
	return 0;
}

int process_exec(u64 *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process *process = processes.lookup(&tgid);

	if (process)
		bpf_get_current_comm(process->comm, sizeof(process->comm));
	return 0;
}

int process_exit(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	u64 counts[PROCESS_SLOTS];
	struct process *process;
	struct exited *gone;

	if (!group_is_dead(task))
		return 0;
	process = processes.lookup(&tgid);
	gone = exited.lookup(&zero);
	if (!process || !gone)
		return 0;
	/*
	 * Two last threads can both find the group dead. Whoever deletes the entry folds it, from a copy:
	 * a deleted entry may be given to another process at once.
	 */
	__builtin_memcpy(counts, process->counts, sizeof(counts));
	if (processes.delete(&tgid))
		return 0;
#pragma clang loop unroll(disable)
	for (int slot = 0; slot < PROCESS_SLOTS; slot++)
		gone->counts[slot] += counts[slot];
	return 0;
}
