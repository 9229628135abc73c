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
	u64 pass; /* of all since attach */
	/* Of the VMA. In memory, for the verifier would follow the rest for each of its values. */
	u32 kind;
	u64 chains;
	u64 orphans; /* roots among the chains' anon_vmas that are orphans */
	/* Copies of what is looked at: one read each is cheaper than one for each member. */
	struct vm_area_struct vma;
	struct anon_vma anon_vma;
	struct anon_vma_chain chain;
	struct anon_vma of_chain; /* the chain's anon_vma */
	struct census_row row;
};

BPF_TABLE("array", u32, struct census_state, census_states, 1);

/* VMAs attached to the anon_vma, and whether it is the parent of others. Newer kernels count a root
 * among its own children; older ones have one count for both (degree).
 */
static __always_inline u64 active_vmas(struct anon_vma *copy)
{
#if HAVE_anon_vma_num_active_vmas
	return copy->num_active_vmas;
#else
	return copy->degree;
#endif
}

static __always_inline bool has_children(struct anon_vma *copy)
{
#if HAVE_anon_vma_num_active_vmas
	return copy->num_children > 1;
#else
	return false;
#endif
}

/* The anon_vma serves this VMA alone: it is its own root, one VMA is attached, and it has no
 * children.
 */
static __always_inline bool serves_one_vma(struct anon_vma *anon_vma, struct anon_vma *copy)
{
	return copy->root == anon_vma && active_vmas(copy) <= 1 && !has_children(copy);
}

/* ``copy`` is filled in for a regular VMA. */
static __always_inline u32 vma_state(struct vm_area_struct *vma, u64 pool, u64 *tree,
				     struct anon_vma *copy)
{
	struct anon_vma *anon_vma;

	copy->root = NULL;
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
	anon_vma = (struct anon_vma *)(*tree & ~ANON_VMA_TAG_MASK);
	if (bpf_probe_read_kernel(copy, sizeof(*copy), anon_vma))
		copy->root = NULL;
	else if (serves_one_vma(anon_vma, copy))
		return VMA_PRIVATE;
	return VMA_SHARED;
}

/* Threads share their leader's VMAs; a leader that has exited leaves them to its threads. */
static __always_inline bool is_counted(struct task_struct *task, struct task_struct *leader)
{
	return task == leader || !READ(leader->mm);
}

/* How often a fork copied a VMA of this mm, of whatever process it is the parent: copy_page_range()
 * raises the sequence by two for each, and nothing else does.
 */
static __always_inline u32 fork_copies_of(struct mm_struct *mm)
{
#if HAVE_mm_struct_fork_sequence
	return READ(mm->fork_sequence) >> 1;
#else
	return FORK_COPIES_UNKNOWN;
#endif
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
	struct kernfs_node *node = cgroup_of(task);
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
	row->fork_copies = fork_copies_of((struct mm_struct *)row->mm);
	state->pool = pool_of(task);
	state->end = 0;
	row->anon_vmas_held = state->pool != 0;
	if (node)
		row->cgroup = READ(node->id);
	bpf_probe_read_kernel(row->comm, sizeof(row->comm), &leader->comm);
}

/*
 * Every chain is on the list of one VMA, so counting the lists counts the chains. An anon_vma can
 * be in the chains of many VMAs, and is counted at one of them: the leftmost in its interval tree.
 * Another process can change that tree meanwhile; the pool of a lazy design is counted with its mm
 * (begin_row).
 */
#define CHAINS_OF_A_VMA 128 /* generations of forks; each costs the verifier 70 instructions */

/*
 * 1 if they are equal, without a branch, into which the compiler would turn a comparison: each one
 * in the loop below would have the verifier follow two ways for each chain.
 */
static __always_inline u64 equal(u64 one, u64 other)
{
	u64 different = one ^ other, negative = -different;

	asm volatile(""
		     : "+r"(different)); /* the compiler must not see that they belong together */
	return ((different | negative) >> 63) ^ 1;
}

static __always_inline u64 is_live_pool(struct anon_vma *copy)
{
#if HAVE_anon_vma_pool_live
	return !equal(copy->pool_live, 0);
#else
	return 0;
#endif
}

#define VM_HUGETLB 0x00400000ULL
#define VM_MERGEABLE 0x80000000ULL

/* A root that no VMA is attached to: of a parent that has ended, and held by the child's chains. */
static __always_inline u64 is_orphan(struct anon_vma *anon_vma, struct anon_vma *copy)
{
#if HAVE_anon_vma_num_active_vmas
	return equal((u64)copy->root, (u64)anon_vma) & equal(copy->num_active_vmas, 0);
#else
	return 0;
#endif
}

/*
 * Counts the chains of the VMA whose copy ``state`` has. The counts are in memory, not in
 * registers: the verifier would follow what comes after the loop for each number that a register
 * can have. What cannot be read is zeros: such a chain is not counted, and the VMA counts as cut.
 */
static __always_inline void count_chains(struct census_state *state, struct vm_area_struct *vma)
{
	u64 head = (u64)&vma->first_chain, next = state->vma.first_chain;
	struct anon_vma_chain *chain;
	struct anon_vma *anon_vma;
	u64 failed, first, foreign;

	state->chains = 0;
	state->orphans = 0;
	if (!next)
		return;
#pragma clang loop unroll(disable)
	for (u32 count = 0; count < CHAINS_OF_A_VMA && next != head; count++) {
		chain = (struct anon_vma_chain *)(next - __builtin_offsetof(struct anon_vma_chain,
									    next_chain));
		failed = bpf_probe_read_kernel(&state->chain, sizeof(state->chain), chain);
		anon_vma = (struct anon_vma *)state->chain.anon_vma;
		bpf_probe_read_kernel(&state->of_chain, sizeof(state->of_chain), anon_vma);
		first = equal((u64)state->of_chain.leftmost, (u64)&chain->node) &
			!is_live_pool(&state->of_chain);
		foreign = equal(state->chain.anon_vma, (u64)state->vma.anon_vma) ^ 1;
		state->chains += equal(failed, 0);
		state->row.anon_vmas_held += first;
		state->orphans += first & foreign & is_orphan(anon_vma, &state->of_chain);
		next = state->chain.next_chain;
	}
	state->row.chains_held += state->chains;
	if (next != head) {
		state->row.chains_cut++;
		return;
	}
	/* Two chains: its own, and one of the parent's own. */
	state->row.orphan_roots += state->orphans;
	if (state->chains == 2 && !(state->vma.vm_flags & VM_HUGETLB))
		state->row.parent_orphans += state->orphans;
}

/*
 * What laziness would save depends on how the VMA came by its anon_vma
 * (lazyobs/sources/savings.py). One that this mm made is its own root, and the VMA has no other
 * chain; what a fork copied has the parent's chains, too. Parts of a split VMA and neighbours share
 * an anon_vma: each gets its share. hugetlb VMAs are left out: no design that is known makes them
 * lazy.
 */
static __always_inline void count_savable(struct census_state *state, u64 anon_vma)
{
	struct census_row *row = &state->row;
	u64 active = active_vmas(&state->anon_vma), share;
	bool joint, forked;

	if (state->vma.vm_flags & VM_HUGETLB)
		return;
	if ((u64)state->anon_vma.root != anon_vma || state->chains != 1) {
		row->inherited++;
		return;
	}
	joint = active > 1;
	forked = !joint && has_children(&state->anon_vma);
	share = ROOT_SHARE / (joint ? active : 1);
	if (state->vma.vm_file) {
		row->file_roots += share;
		row->own_file++;
		row->joint_file += joint;
		row->forked_file += forked;
	} else {
		row->anon_roots += share;
		row->own_anon++;
		row->joint_anon += joint;
		row->forked_anon += forked;
	}
	row->mergeable += (state->vma.vm_flags & VM_MERGEABLE) != 0;
}

static __always_inline void begin_members(struct census_state *state)
{
	u32 zero = 0;
	struct family_state *families_state = family_states.lookup(&zero);

	if (families_state)
		state->pass = ++families_state->pass;
}

/* The VMA belongs to a family that a task has waited in. All its chains lead to the same root. */
static __always_inline void count_member(struct census_state *state, u64 anon_vma)
{
	struct census_row *row = &state->row;
	u64 root = (u64)state->anon_vma.root;
	struct family *family;

	/* A child that has no anon_vma of its own (lazy designs): its chains are its ancestors'. */
	if (!root && state->chains)
		root = (u64)READ(((struct anon_vma *)state->chain.anon_vma)->root);
	family = find_family(root);
	if (!family)
		return;
	if (family->pass != state->pass) {
		family->pass = state->pass;
		family->owns = family->owner = family->last = 0;
		family->processes = family->vmas = family->chains = 0;
	}
	family->vmas++;
	family->chains += state->chains;
	if (family->last != row->tgid)
		family->processes++;
	family->last = row->tgid;
	if (family->owner && (family->owns || root != anon_vma))
		return;
	family->owns = root == anon_vma;
	family->owner = row->tgid;
	family->owner_start = row->start_boottime;
	__builtin_memcpy(family->comm, row->comm, sizeof(family->comm));
}

#if LAZY_DESIGN
/*
 * Mainline lets a VMA reuse the anon_vma of a neighbour that differs in access rights only
 * (anon_vma_compatible() in mm/vma.c; memory policies are not compared here): the segments of a
 * library, or the parts of a mapping that mprotect() split, share one.
 */
#define ACCESS_FLAGS 0x08000007ULL /* VM_READ | VM_WRITE | VM_EXEC | VM_SOFTDIRTY */

static __always_inline void count_classic(struct census_state *state)
{
	u64 start = state->vma.vm_start, end = state->vma.vm_end, pgoff = state->vma.vm_pgoff;
	u64 flags = state->vma.vm_flags & ~ACCESS_FLAGS, file = state->vma.vm_file;

	if (start != state->end || pgoff != state->end_pgoff || file != state->file ||
	    flags != state->flags)
		state->row.classic_anon_vmas++;
	state->end = end;
	state->end_pgoff = pgoff + ((end - start) / PAGE_SIZE);
	state->file = file;
	state->flags = flags;
}
#else
static __always_inline void count_classic(struct census_state *state)
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
	if (task && meta->seq_num == 0) {
		state->task = 0;
		begin_members(state);
	}
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
	state->kind = vma_state(vma, state->pool, &tree, &state->anon_vma);
	if (state->kind == VMA_PLAIN || bpf_probe_read_kernel(&state->vma, sizeof(state->vma), vma))
		return 0;
	state->row.vmas_anon++;
	count_chains(state, vma);
	count_member(state, tree & ~ANON_VMA_TAG_MASK);
	if (state->kind == VMA_LAZY) {
		state->row.vmas_lazy++;
		count_classic(state);
		return 0;
	}
	if (state->kind == VMA_PRIVATE)
		state->row.vmas_private++;
	else
		state->row.vmas_shared++;
	if (tree == state->pool)
		count_classic(state);
	else
		count_savable(state, tree & ~ANON_VMA_TAG_MASK);
	return 0;
}
