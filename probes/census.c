// SPDX-License-Identifier: GPL-2.0-only
/*
 * The census: every process's VMAs by what they keep for anonymous reverse mapping (iter/task_vma).
 *
 * The iterator visits every VMA of every thread. Rows are summed up here, one per process, and a
 * row is written when the next task begins. If its output does not fit, the call is repeated:
 * bpf_seq_write() comes before any change of state.
 */

struct census_state {
	u64 task;
	u64 counted; /* 0: a thread; its leader is counted */
	u64 pool;    /* the mm's shared anon_vma, where the design has one */
	/* The previous VMA, if the design gives it no anon_vma of its own. */
	u64 end;
	u64 end_pgoff;
	u64 file;
	u64 flags;
	struct census_row row;
};

BPF_TABLE("array", u32, struct census_state, census_states, 1);

/*
 * The anon_vma serves this VMA alone: it is its own root, one VMA is attached, and it has no
 * children. Newer kernels count a root among its own children; older ones have one count for both
 * (degree).
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

static __always_inline u32 vma_state(struct vm_area_struct *vma, u64 pool, u64 *tree)
{
	if (bpf_probe_read_kernel(tree, sizeof(*tree), &vma->anon_vma) || !*tree)
		return VMA_PLAIN;
	if (vma_is_lazy(vma, *tree))
		return VMA_LAZY;
#if ANON_VMA_TAG_SHARED
	if ((*tree & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_SHARED)
		return VMA_SHARED;
#endif
	if (*tree == pool)
		return VMA_SHARED;
	if (serves_one_vma((struct anon_vma *)(*tree & ~ANON_VMA_TAG_MASK)))
		return VMA_PRIVATE;
	return VMA_SHARED;
}

/* Threads share their leader's VMAs; a leader that has exited leaves them to its threads. */
static __always_inline bool is_counted(struct task_struct *task, struct task_struct *leader)
{
	return task == leader || !READ(leader->mm);
}

/* The anon_vma that a lazy design keeps for each mm; 0 where there is none. */
static __always_inline u64 pool_of(struct task_struct *task)
{
#if HAVE_mm_struct_pool
	struct mm_struct *mm = READ(task->mm);

	return READ(mm->pool);
#else
	return 0;
#endif
}

static __always_inline void begin_row(struct census_state *state, struct task_struct *task)
{
	struct task_struct *leader = READ(task->group_leader);
	struct task_struct *parent = READ(leader->real_parent);
	struct cred *cred = READ(task->cred);
	struct census_row *row = &state->row;

	state->task = (u64)task;
	state->counted = is_counted(task, leader);
	if (!state->counted)
		return;
	__builtin_memset(row, 0, sizeof(*row));
	row->tgid = READ(task->tgid);
	row->ppid = READ(parent->tgid);
	row->uid = READ(cred->uid);
	row->start_boottime = READ(leader->start_boottime);
	row->mm = (u64)READ(task->mm);
	state->pool = pool_of(task);
	state->end = 0;
	row->anon_vmas_held = state->pool != 0;
#if HAVE_css_set_dfl_cgrp
	struct css_set *css = READ(task->cgroups);
	struct cgroup *cgroup = READ(css->dfl_cgrp);
	struct kernfs_node *node = READ(cgroup->kn);

	row->cgroup = READ(node->id);
#endif
	bpf_probe_read_kernel(row->comm, sizeof(row->comm), &leader->comm);
}

/*
 * Every chain is on the list of one VMA, so counting the lists counts the chains. An anon_vma can
 * be in the chains of many VMAs, and is counted at one of them: the leftmost in its interval tree.
 * Another process can change that tree meanwhile; the pool of a lazy design is counted with its mm
 * (begin_row).
 */
#define CHAINS_OF_A_VMA 512

static __always_inline bool is_live_pool(struct anon_vma *anon_vma)
{
#if HAVE_anon_vma_pool_live
	return READ(anon_vma->pool_live);
#else
	return false;
#endif
}

static __always_inline void count_chains(struct census_row *row, struct vm_area_struct *vma)
{
	u64 head = (u64)&vma->first_chain, next = READ(vma->first_chain);
	struct anon_vma_chain *chain;
	struct anon_vma *anon_vma;

#pragma clang loop unroll(disable)
	for (int count = 0; count < CHAINS_OF_A_VMA; count++) {
		if (next == head || !next)
			return;
		chain = (struct anon_vma_chain *)(next - __builtin_offsetof(struct anon_vma_chain,
									    next_chain));
		anon_vma = (struct anon_vma *)READ(chain->anon_vma);
		row->chains_held++;
		if (READ(anon_vma->leftmost) == (u64)&chain->node && !is_live_pool(anon_vma))
			row->anon_vmas_held++;
		next = READ(chain->next_chain);
	}
	row->chains_cut++;
}

#if LAZY_DESIGN
/*
 * Mainline lets a VMA reuse the anon_vma of a neighbour that differs in access rights only
 * (anon_vma_compatible() in mm/vma.c; memory policies are not compared here): the segments of a
 * library, or the parts of a mapping that mprotect() split, share one.
 */
#define ACCESS_FLAGS 0x08000007ULL /* VM_READ | VM_WRITE | VM_EXEC | VM_SOFTDIRTY */

static __always_inline void count_classic(struct census_state *state, struct vm_area_struct *vma)
{
	u64 start = READ(vma->vm_start), end = READ(vma->vm_end), pgoff = READ(vma->vm_pgoff);
	u64 flags = READ(vma->vm_flags) & ~ACCESS_FLAGS, file = READ(vma->vm_file);

	if (start != state->end || pgoff != state->end_pgoff || file != state->file ||
	    flags != state->flags)
		state->row.classic_anon_vmas++;
	state->end = end;
	state->end_pgoff = pgoff + ((end - start) / PAGE_SIZE);
	state->file = file;
	state->flags = flags;
}
#else
static __always_inline void count_classic(struct census_state *state, struct vm_area_struct *vma)
{
}
#endif

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
	/* An abandoned pass leaves a row behind. */
	if (task && meta->seq_num == 0)
		state->task = 0;
	if ((u64)task != state->task) {
		if (state->task && state->counted &&
		    bpf_seq_write(meta->seq, &state->row, sizeof(state->row)))
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
	switch (vma_state(vma, state->pool, &tree)) {
	case VMA_PLAIN:
		return 0;
	case VMA_LAZY:
		state->row.vmas_lazy++;
		count_classic(state, vma);
		break;
	case VMA_PRIVATE:
		state->row.vmas_private++;
		break;
	case VMA_SHARED:
		state->row.vmas_shared++;
		if (tree == state->pool)
			count_classic(state, vma);
		break;
	}
	state->row.vmas_anon++;
	count_chains(&state->row, vma);
	return 0;
}
