// SPDX-License-Identifier: GPL-2.0-only
/*
 * anon_vma_clone(): the chains of a VMA copied to another, and what for.
 *
 * A split also calls it for a VMA that has no chains to copy. A copy that ends for want of memory
 * is counted: its begin is seen, and nothing else.
 */

static __always_inline int clone_enter(u64 src, u64 operation)
{
	struct vm_area_struct *vma = (struct vm_area_struct *)src;
	struct tally tally;

	if (!READ(vma, anon_vma))
		return 0;
	find_tally(&tally);
	add(&tally, COUNT_CLONES, 1);
	add_total(&tally, TOTAL_CLONES_BY_CAUSE + CLONE_CAUSE_OF((u32)operation), 1);
	return 0;
}
