// SPDX-License-Identifier: GPL-2.0-only
/*
 * The census: every process's VMAs by what they keep for anonymous reverse mapping (iter/task_vma).
 *
 * The iterator visits every thread and, of each, every VMA. Rows are summed up here, one a process:
 * a row is written when the next task begins. seq_write() is the last thing that can fail in a call
 * and nothing is changed before it succeeds, because a call whose output did not fit is made again.
 */

struct census_row {
	u32 tgid;
	u32 uid;
	u64 start_boottime;
	u64 mm;
	u64 cgroup;
	u32 vmas;
	u32 vmas_anon;
	u32 vmas_lazy;
	u32 vmas_private;
	u32 vmas_shared;
	u32 unused;
	char comm[16];
};

struct census_state {
	u64 task;
	u64 counted; /* 0: a thread whose leader is counted */
	struct census_row row;
};

struct vma_row {
	u64 start;
	u64 end;
	u64 flags;
	u64 anon_vma;
	u32 tgid;
	u32 state;
};

BPF_TABLE("array", u32, struct census_state, census_states, 1);
BPF_TABLE("array", u32, u32, census_target, 1);

enum vma_state { VMA_PLAIN, VMA_LAZY, VMA_PRIVATE, VMA_SHARED };

/*
 * The anon_vma serves this VMA alone: it is its own root, one VMA is attached, and it has no children.
 * Newer kernels count an own root among its children; older ones keep one count of both (degree).
 */
static __always_inline bool serves_one_vma(struct anon_vma *anon_vma)
{
	struct anon_vma copy;

	if (bpf_probe_read_kernel(&copy, sizeof(copy), anon_vma))
		return false;
#if HAVE_anon_vma_num_active_vmas
	return copy.root == anon_vma && copy.num_active_vmas == 1 && copy.num_children <= 1;
#else
	return copy.root == anon_vma && copy.degree <= 1;
#endif
}

static __always_inline enum vma_state vma_state(struct vm_area_struct *vma, u64 *tree)
{
	if (bpf_probe_read_kernel(tree, sizeof(*tree), &vma->anon_vma) || !*tree)
		return VMA_PLAIN;
	if (vma_is_lazy(vma, *tree))
		return VMA_LAZY;
#if ANON_VMA_TAG_SHARED
	if ((*tree & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_SHARED)
		return VMA_SHARED;
#endif
	if (serves_one_vma((struct anon_vma *)(*tree & ~ANON_VMA_TAG_MASK)))
		return VMA_PRIVATE;
	return VMA_SHARED;
}

/* A thread's VMAs are its leader's, unless the leader has gone and left its threads behind. */
static __always_inline bool is_counted(struct task_struct *task, struct task_struct *leader)
{
	return task == leader || !READ(leader->mm);
}

static __always_inline void begin_row(struct census_state *state, struct task_struct *task)
{
	struct task_struct *leader = READ(task->group_leader);
	const struct cred *cred = READ(task->cred);
	struct census_row *row = &state->row;

	state->task = (u64)task;
	state->counted = is_counted(task, leader);
	if (!state->counted)
		return;
	__builtin_memset(row, 0, sizeof(*row));
	row->tgid = READ(task->tgid);
	row->uid = READ(cred->uid);
	row->start_boottime = READ(leader->start_boottime);
	row->mm = (u64)READ(task->mm);
#if HAVE_css_set_dfl_cgrp
	struct css_set *css = READ(task->cgroups);
	struct cgroup *cgroup = READ(css->dfl_cgrp);
	struct kernfs_node *node = READ(cgroup->kn);

	row->cgroup = READ(node->id);
#endif
	bpf_probe_read_kernel(row->comm, sizeof(row->comm), &leader->comm);
}

int census(struct bpf_iter__task_vma *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct census_state *state;
	u32 zero = 0;
	u64 tree;

	state = census_states.lookup(&zero);
	if (!state)
		return 0;
	/* A pass that was given up half-way leaves a row behind. */
	if (task && meta->seq_num == 0)
		state->task = 0;
	if ((u64)task != state->task) {
		if (state->task && state->counted && bpf_seq_write(meta->seq, &state->row, sizeof(state->row)))
			return 0;
		if (!task || !vma) {
			state->task = 0;
			return 0;
		}
		begin_row(state, task);
	}
	if (!task || !vma || !state->counted)
		return 0;
	state->row.vmas++;
	switch (vma_state(vma, &tree)) {
	case VMA_PLAIN:
		return 0;
	case VMA_LAZY:
		state->row.vmas_lazy++;
		break;
	case VMA_PRIVATE:
		state->row.vmas_private++;
		break;
	case VMA_SHARED:
		state->row.vmas_shared++;
		break;
	}
	state->row.vmas_anon++;
	return 0;
}

/* Every VMA of one process, for a person who wants to see them. */
int census_vmas(struct bpf_iter__task_vma *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct task_struct *leader;
	struct vma_row row = {};
	u32 zero = 0, *target;

	target = census_target.lookup(&zero);
	if (!task || !vma || !target)
		return 0;
	row.tgid = READ(task->tgid);
	leader = READ(task->group_leader);
	if (row.tgid != *target || !is_counted(task, leader))
		return 0;
	row.start = READ(vma->vm_start);
	row.end = READ(vma->vm_end);
	row.flags = READ(vma->vm_flags);
	row.state = vma_state(vma, &row.anon_vma);
	bpf_seq_write(meta->seq, &row, sizeof(row));
	return 0;
}
