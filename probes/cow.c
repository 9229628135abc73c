// SPDX-License-Identifier: GPL-2.0-only
/*
 * do_wp_page(): a write to a page that is mapped read-only. Of a page that a fork has shared it
 * makes a copy.
 *
 * It also makes a page writable again that is shared no more, and copies pages of files and the
 * zero page: what became of the page its entry in the page table says, and the page itself whose it
 * was.
 */

/* include/linux/mm_types.h: VM_FAULT_OOM, _SIGBUS, _HWPOISON, _HWPOISON_LARGE, _SIGSEGV, _RETRY,
 * _COMPLETED */
#define FAULT_UNDONE 0x4473

/* Of folio->mapping, and bits that a design can set in vma->anon_vma. */
#define FOLIO_MAPPING_ANON 1
#define ANON_VMA_BITS 7

/* The page's number in an entry of the page table: no bit above these is part of it in both. */
#define PTE_PAGE ((1ULL << 48) - (1ULL << PAGE_SHIFT))

/* A tail page has the head's address and 1, since 7.2 a mask of the address and 1. */
static __always_inline struct folio *folio_of(u64 at)
{
	struct page *page = (struct page *)at;
	u64 word = 0;

	if (HAVE_page_compound_info)
		word = READ(page, compound_info);
	else if (HAVE_page_compound_head)
		word = READ(page, compound_head);
	if (!(word & 1))
		return (struct folio *)at;
	return (struct folio *)(word > at ? at & word : word - 1);
}

static __always_inline bool page_was_copied(struct vm_fault *fault)
{
	u64 at = READ(fault, pte), entry = 0;

	/* The page table stays until the fault's lock of the VMA is released. */
	if (!at || bpf_probe_read_kernel(&entry, sizeof(entry), (void *)at))
		return false;
	return ((entry ^ READ(fault, orig_pte)) & PTE_PAGE) != 0;
}

static __always_inline int cow_enter(u64 fault)
{
	call_begins(CALLED_COW, fault, 0);
	return 0;
}

static __always_inline int cow_exit(u64 result)
{
	u64 nanoseconds, page, mapping, side;
	struct vm_area_struct *vma;
	struct vm_fault *fault;
	struct folio *folio;
	struct call call;

	if (!call_ends(CALLED_COW, &call, &nanoseconds) || (u32)result & FAULT_UNDONE)
		return 0;
	fault = (struct vm_fault *)call.object;
	page = READ(fault, page);
	if (!page || !page_was_copied(fault))
		return 0;
	folio = folio_of(page);
	mapping = READ(folio, mapping);
	if ((mapping & FOLIO_MAPPING_FLAGS) != FOLIO_MAPPING_ANON)
		return 0;
	vma = READ(fault, vma);
	/* A child's page has the anon_vma of the process that touched it first. */
	side = COW_INHERITED;
	if ((READ(vma, anon_vma) ^ mapping) <= ANON_VMA_BITS)
		side = COW_OWN;
	count(COUNT_COW_COPIES, 1);
	count_total(TOTAL_COW_COPIES_BY_PAGE + side, 1);
	observe(HISTOGRAM_COW_SECONDS_BY_PAGE + side, nanoseconds);
	return 0;
}
