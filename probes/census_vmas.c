// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMAs of one process, one by one; states and chains as in census.c, and what each is of
 * (lazyobs/bpf/vma_names.py).
 */

struct listing {
	struct census_state counting;
	struct vma_row row;
};

BPF_TABLE("array", u32, u32, census_target, 1);
BPF_TABLE("array", u32, struct listing, listings, 1);

/* Before 6.2 the name that a program gives shares its place with the tree of a file's VMAs. */
static __always_inline u32 name_of(struct vm_area_struct *vma, struct mm_struct *mm,
				   struct vma_row *row)
{
	struct file *file = (struct file *)READ(vma, vm_file);
	struct anon_vma_name *given;
	struct dentry *dentry;

	row->name[0] = 0;
	if (file) {
		if (!HAVE_file_dentry || !HAVE_dentry_name)
			return VMA_OF_FILE;
		dentry = READ(file, dentry);
		bpf_probe_read_kernel_str(row->name, sizeof(row->name), READ(dentry, name));
		return VMA_OF_FILE;
	}
	if (READ(vma, vm_ops))
		return VMA_OF_SPECIAL;
	if (row->start < READ(mm, brk) && row->end > READ(mm, start_brk))
		return VMA_OF_HEAP;
	if (row->start <= READ(mm, start_stack) && row->end >= READ(mm, start_stack))
		return VMA_OF_STACK;
	if (!HAVE_vm_area_struct_anon_name || !HAVE_anon_vma_name_name)
		return VMA_OF_ANONYMOUS;
	given = READ(vma, anon_name);
	if (!given)
		return VMA_OF_ANONYMOUS;
	bpf_probe_read_kernel_str(row->name, sizeof(row->name), MEMBER(given, name));
	return VMA_OF_NAMED;
}

int census_vmas(struct bpf_iter__task_vma *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct census_state *counting;
	struct task_struct *leader;
	struct listing *listing;
	struct vma_row *row;
	u32 zero = 0, *target;

	target = census_target.lookup(&zero);
	listing = listings.lookup(&zero);
	if (!task || !vma || !target || !listing)
		return 0;
	row = &listing->row;
	counting = &listing->counting;
	row->tgid = READ(task, tgid);
	leader = READ(task, group_leader);
	if (row->tgid != *target || !is_counted(task, leader))
		return 0;
	row->start = READ(vma, vm_start);
	row->end = READ(vma, vm_end);
	row->flags = READ(vma, vm_flags);
	row->state =
		vma_state(vma, pool_of(task), &row->anon_vma, &counting->anon_vma, &counting->root);
	counting->chains = 0;
	counting->row.anon_vmas_held = 0;
	counting->row.chains_cut = 0;
	if (row->state != VMA_PLAIN && !COPY(&counting->vma, vma, vm_area_struct))
		count_chains(counting, vma);
	row->chains = counting->chains;
	row->anon_vmas = counting->row.anon_vmas_held;
	row->cut = counting->row.chains_cut;
	row->of = name_of(vma, READ(task, mm), row);
	bpf_seq_write(meta->seq, row, sizeof(*row));
	return 0;
}
