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
	u64 end_anon_pgoff;
	u64 file;
	u64 flags;
	u64 pass; /* of all since attach */
	/* Of the VMA. In memory, for the verifier would follow the rest for each of its values. */
	u32 kind;
	u64 chains;
	u64 orphans; /* roots among the chains' anon_vmas that are orphans */
	u64 root;    /* of its anon_vma; 0: not known */
	/* Copies of what is looked at: one read each is cheaper than one for each member. */
	struct copied_vm_area_struct vma;
	struct copied_anon_vma anon_vma;
	struct copied_anon_vma_chain chain;
	struct copied_anon_vma of_chain; /* the chain's anon_vma */
	struct census_row row;
};

BPF_TABLE("array", u32, struct census_state, census_states, 1);

/* VMAs attached to the anon_vma, and whether it is the parent of others. Newer kernels count a root
 * among its own children; older ones have one count for both (degree).
 */
static __always_inline u64 active_vmas(struct anon_vma *anon_vma, struct copied_anon_vma *copy)
{
	if (HAVE_anon_vma_num_active_vmas)
		return COPIED(copy, anon_vma, num_active_vmas);
	return READ(anon_vma, degree);
}

static __always_inline bool has_children(struct copied_anon_vma *copy)
{
	if (HAVE_anon_vma_num_active_vmas)
		return COPIED(copy, anon_vma, num_children) > 1;
	return false;
}

/* The anon_vma serves this VMA alone: it is its own root, one VMA is attached, and it has no
 * children.
 */
static __always_inline bool serves_one_vma(struct anon_vma *anon_vma, u64 root,
					   struct copied_anon_vma *copy)
{
	return root == (u64)anon_vma && active_vmas(anon_vma, copy) <= 1 && !has_children(copy);
}

/* ``copy`` and ``root`` are filled in for a regular VMA; the root of another, and of one that
 * cannot be read, is 0.
 */
static __always_inline u32 vma_state(struct vm_area_struct *vma, u64 pool, u64 *tree,
				     struct copied_anon_vma *copy, u64 *root)
{
	struct anon_vma *anon_vma;

	*root = 0;
	*tree = READ(vma, anon_vma);
	if (!*tree)
		return VMA_PLAIN;
	if (vma_is_lazy(vma, *tree))
		return VMA_LAZY;
	if (ANON_VMA_TAG_SHARED && (*tree & ANON_VMA_TAG_MASK) == ANON_VMA_TAG_SHARED)
		return VMA_SHARED;
	if (*tree == pool)
		return VMA_SHARED;
	anon_vma = (struct anon_vma *)(*tree & ~ANON_VMA_TAG_MASK);
	if (COPY(copy, anon_vma, anon_vma))
		return VMA_SHARED;
	*root = COPIED(copy, anon_vma, root);
	if (serves_one_vma(anon_vma, *root, copy))
		return VMA_PRIVATE;
	return VMA_SHARED;
}

/* Threads share their leader's VMAs; a leader that has exited leaves them to its threads. */
static __always_inline bool is_counted(struct task_struct *task, struct task_struct *leader)
{
	return task == leader || !READ(leader, mm);
}

/* How often a fork copied a VMA of this mm, of whatever process it is the parent: copy_page_range()
 * raises the sequence by two for each, and nothing else does.
 */
static __always_inline u32 fork_copies_of(struct mm_struct *mm)
{
	if (HAVE_mm_struct_fork_sequence)
		return READ(mm, fork_sequence) >> 1;
	return FORK_COPIES_UNKNOWN;
}

/* The anon_vma that a lazy design keeps for each mm; 0 where there is none. */
static __always_inline u64 pool_of(struct task_struct *task)
{
	struct mm_struct *mm;

	if (!HAVE_mm_struct_pool)
		return 0;
	mm = READ(task, mm);
	return READ(mm, pool);
}

static __always_inline void begin_row(struct census_state *state, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct task_struct *parent = READ(leader, real_parent);
	struct kernfs_node *node = cgroup_of(task);
	struct cred *cred = READ(task, cred);
	struct census_row *row = &state->row;

	state->task = (u64)task;
	state->counted = is_counted(task, leader);
	if (!state->counted)
		return;
	__builtin_memset(row, 0, sizeof(*row));
	row->tgid = READ(task, tgid);
	row->ppid = READ(parent, tgid);
	row->uid = READ(cred, uid);
	row->start_boottime = READ(leader, start_boottime);
	row->mm = (u64)READ(task, mm);
	row->fork_copies = fork_copies_of((struct mm_struct *)row->mm);
	state->pool = pool_of(task);
	state->end = 0;
	row->anon_vmas_held = state->pool != 0;
	if (node)
		row->cgroup = READ(node, id);
	bpf_probe_read_kernel(row->comm, sizeof(row->comm), MEMBER(leader, comm));
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

static __always_inline u64 is_live_pool(struct copied_anon_vma *copy)
{
	if (!HAVE_anon_vma_pool_live)
		return 0;
	return !equal((u8)COPIED(copy, anon_vma, pool_live), 0);
}

#define VM_HUGETLB 0x00400000ULL
#define VM_MERGEABLE 0x80000000ULL

/* A root that no VMA is attached to: of a parent that has ended, and held by the child's chains. */
static __always_inline u64 is_orphan(u64 anon_vma, struct copied_anon_vma *copy)
{
	if (!HAVE_anon_vma_num_active_vmas)
		return 0;
	return equal(COPIED(copy, anon_vma, root), anon_vma) &
	       equal(COPIED(copy, anon_vma, num_active_vmas), 0);
}

/*
 * Counts the chains of the VMA whose copy ``state`` has. The counts are in memory, not in
 * registers: the verifier would follow what comes after the loop for each number that a register
 * can have. What cannot be read is zeros: such a chain is not counted, and the VMA counts as cut.
 */
static __always_inline void count_chains(struct census_state *state, struct vm_area_struct *vma)
{
	u64 own = COPIED(&state->vma, vm_area_struct, anon_vma);
	u64 next = COPIED(&state->vma, vm_area_struct, first_chain);
	u64 head = (u64)MEMBER(vma, first_chain), first, foreign, anon_vma;
	struct anon_vma_chain *chain;

	state->chains = 0;
	state->orphans = 0;
	if (!next)
		return;
#pragma clang loop unroll(disable)
	for (u32 count = 0; count < CHAINS_OF_A_VMA && next != head; count++) {
		chain = STRUCT_AROUND(next, struct anon_vma_chain, next_chain);
		COPY(&state->chain, chain, anon_vma_chain);
		anon_vma = COPIED(&state->chain, anon_vma_chain, anon_vma);
		COPY(&state->of_chain, (void *)anon_vma, anon_vma);
		first = equal(COPIED(&state->of_chain, anon_vma, leftmost),
			      (u64)MEMBER(chain, node)) &
			!is_live_pool(&state->of_chain);
		foreign = equal(anon_vma, own) ^ 1;
		state->chains += equal(anon_vma, 0) ^ 1;
		state->row.anon_vmas_held += first;
		state->orphans += first & foreign & is_orphan(anon_vma, &state->of_chain);
		next = COPIED(&state->chain, anon_vma_chain, next_chain);
	}
	state->row.chains_held += state->chains;
	if (next != head) {
		state->row.chains_cut++;
		return;
	}
	/* Two chains: its own, and one of the parent's own. */
	state->row.orphan_roots += state->orphans;
	if (state->chains == 2 && !(COPIED(&state->vma, vm_area_struct, vm_flags) & VM_HUGETLB))
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
	u64 flags = COPIED(&state->vma, vm_area_struct, vm_flags), active, share;
	bool joint, forked;

	if (flags & VM_HUGETLB)
		return;
	if (state->root != anon_vma || state->chains != 1) {
		row->inherited++;
		return;
	}
	active = active_vmas((struct anon_vma *)anon_vma, &state->anon_vma);
	joint = active > 1;
	forked = !joint && has_children(&state->anon_vma);
	share = ROOT_SHARE / (joint ? active : 1);
	if (COPIED(&state->vma, vm_area_struct, vm_file)) {
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
	row->mergeable += (flags & VM_MERGEABLE) != 0;
}

static __always_inline void begin_members(struct census_state *state)
{
	state->pass = ++ONLY(family_state, family_states)->pass;
}

/* The VMA belongs to a family that a task has waited in. All its chains lead to the same root. */
static __always_inline void count_member(struct census_state *state, u64 anon_vma)
{
	struct census_row *row = &state->row;
	u64 root = state->root;
	struct family *family;

	/* A child that has no anon_vma of its own (lazy designs): its chains are its ancestors'. */
	if (!root && state->chains)
		root = COPIED(&state->of_chain, anon_vma, root);
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

/*
 * Mainline lets a VMA reuse the anon_vma of a neighbour that differs in access rights only
 * (anon_vma_compatible() in mm/vma.c; memory policies are not compared here): the segments of a
 * library, or the parts of a mapping that mprotect() split, share one. From 7.3 on the anonymous
 * page offsets have to align as well; those of a private file mapping are not the file's.
 */
#define ACCESS_FLAGS 0x08000007ULL /* VM_READ | VM_WRITE | VM_EXEC | VM_SOFTDIRTY */

static __always_inline u64 anon_pgoff(struct census_state *state)
{
	u64 pgoff = 0;

	if (HAVE_vm_area_struct_anon_pgoff_low)
		pgoff = (u32)COPIED(&state->vma, vm_area_struct, anon_pgoff_low);
	if (HAVE_vm_area_struct_anon_pgoff_high)
		pgoff |= COPIED(&state->vma, vm_area_struct, anon_pgoff_high) << 32;
	return pgoff;
}

static __always_inline void count_classic(struct census_state *state)
{
	u64 start, end, pgoff, anon, flags, file;

	if (!LAZY_DESIGN)
		return;
	start = COPIED(&state->vma, vm_area_struct, vm_start);
	end = COPIED(&state->vma, vm_area_struct, vm_end);
	pgoff = COPIED(&state->vma, vm_area_struct, vm_pgoff);
	anon = anon_pgoff(state);
	flags = COPIED(&state->vma, vm_area_struct, vm_flags) & ~ACCESS_FLAGS;
	file = COPIED(&state->vma, vm_area_struct, vm_file);
	if (start != state->end || pgoff != state->end_pgoff || file != state->file ||
	    flags != state->flags ||
	    (HAVE_vm_area_struct_anon_pgoff_low && anon != state->end_anon_pgoff))
		state->row.classic_anon_vmas++;
	state->end = end;
	state->end_pgoff = pgoff + ((end - start) >> PAGE_SHIFT);
	state->end_anon_pgoff = anon + ((end - start) >> PAGE_SHIFT);
	state->file = file;
	state->flags = flags;
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
	state->kind = vma_state(vma, state->pool, &tree, &state->anon_vma, &state->root);
	if (state->kind == VMA_PLAIN || COPY(&state->vma, vma, vm_area_struct))
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
