// SPDX-License-Identifier: GPL-2.0-only
/* The VMAs of one process, one by one; states as in census.c. */

BPF_TABLE("array", u32, u32, census_target, 1);

int census_vmas(struct bpf_iter__task_vma *ctx)
{
	struct bpf_iter_meta *meta = ctx->meta;
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct task_struct *leader;
	struct vma_row row = {};
	struct copied_anon_vma copy;
	u32 zero = 0, *target;
	u64 root;

	target = census_target.lookup(&zero);
	if (!task || !vma || !target)
		return 0;
	row.tgid = READ(task, tgid);
	leader = READ(task, group_leader);
	if (row.tgid != *target || !is_counted(task, leader))
		return 0;
	row.start = READ(vma, vm_start);
	row.end = READ(vma, vm_end);
	row.flags = READ(vma, vm_flags);
	row.state = vma_state(vma, pool_of(task), &row.anon_vma, &copy, &root);
	bpf_seq_write(meta->seq, &row, sizeof(row));
	return 0;
}
