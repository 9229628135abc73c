// SPDX-License-Identifier: GPL-2.0-only
/*
 * anon_vma and anon_vma_chain objects, counted as the slab allocator hands them out.
 *
 * The address of the caller (call_site) identifies the path. Nothing else of an allocation is read
 * unless it comes from one of the few functions of interest, so that unrelated allocations cost two
 * comparisons. Cache names cannot identify the objects: anon_vma_chain is merged with other caches
 * of its object size.
 */

/* anon_vma has a constructor and is never merged, so its object size identifies the cache. */
static __always_inline bool is_anon_vma_cache(u64 at)
{
	struct kmem_cache *cache = (struct kmem_cache *)at;
	struct known_caches *known = ONLY(known_caches, known_caches);

	if (known->anon_vma)
		return at == known->anon_vma;
	if (READ(cache, object_size) != SIZEOF_ANON_VMA)
		return false;
	known->anon_vma = at;
	return true;
}

static __always_inline bool allocates_anon_vma(u64 *ctx)
{
	u64 identity = LOAD_AT(ctx, NUMBER_SLAB_ALLOC_IDENTITY);

	if (SLAB_ALLOC_TELLS == CACHE)
		return is_anon_vma_cache(identity);
	return identity == SIZEOF_ANON_VMA;
}

static __always_inline bool frees_anon_vma(u64 *ctx, u64 site)
{
	if (SLAB_FREE_TELLS == CACHE)
		return is_anon_vma_cache(LOAD_AT(ctx, NUMBER_SLAB_FREE_IDENTITY));
	/* The tracepoint has the name of the cache only, which merging makes useless. */
	return site & SITE_PUT_ANON_VMA;
}

/* mm_struct has a usercopy region and is never merged, so the name identifies the cache. */
static __always_inline bool is_mm_cache(struct kmem_cache *cache)
{
	char name[sizeof("mm_struct")];
	struct known_caches *known = ONLY(known_caches, known_caches);
	char *text;

	if (known->mm)
		return (u64)cache == known->mm;
	text = READ(cache, name);
	if (bpf_probe_read_kernel_str(name, sizeof(name), text) != sizeof(name))
		return false;
	if (name[0] != 'm' || name[1] != 'm' || name[2] != '_' || name[3] != 's' ||
	    name[4] != 't' || name[5] != 'r' || name[6] != 'u' || name[7] != 'c' || name[8] != 't')
		return false;
	known->mm = (u64)cache;
	return true;
}

/* In copy_process() (or dup_mm()) only the mm_struct has its size. */
static __always_inline bool is_mm(u64 *ctx)
{
	u64 identity = LOAD_AT(ctx, NUMBER_SLAB_ALLOC_IDENTITY);

	if (SLAB_ALLOC_TELLS == CACHE)
		return is_mm_cache((struct kmem_cache *)identity);
	return identity >= SIZEOF_MM;
}

static __always_inline void chain_cloned(u32 tid)
{
	struct fork_window *window = find_fork_window(tid);

	/* Without a window the clone is part of a split, merge or mremap. */
	if (window)
		window->chains++;
}

int slab_alloc(u64 *ctx)
{
	struct event *event;
	struct tally tally;
	u64 site = ALLOC_SITE(ctx[0]);

	if (!site)
		return 0;
	if (site == SITE_COPY_PROCESS) {
		if (is_mm(ctx))
			open_fork_window(bpf_get_current_pid_tgid(), ctx[1]);
		return 0;
	}
	if (!ctx[1]) /* the allocation failed */
		return 0;
	find_tally(&tally);
	if (!(site & SITE_ANON_VMA_CLONE) && allocates_anon_vma(ctx)) {
		add(&tally, COUNT_ANON_VMA_ALLOCS, 1);
		return 0;
	}
	add(&tally, COUNT_CHAIN_ALLOCS, 1);
	if (site & SITE_ANON_VMA_PREPARE) {
		add(&tally, COUNT_PREPARES_BY_SITE, 1);
		event = event_begin(EVENT_PREPARE_BY_SITE, 0, EVENT_NO_DURATION);
		if (event) {
			event->kind = EVENT_PREPARE;
			event_end(event);
		}
	} else if (site & SITE_ANON_VMA_CLONE) {
		chain_cloned(tally.tid);
	} else if (site & SITE_PROMOTION) {
		promotion_makes_chain();
	} else if (site & SITE_ANON_VMA_FORK) {
		add(&tally, COUNT_FORK_ANON_VMAS, 1);
	}
	return 0;
}

static __always_inline void close_failed_fork(u64 *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window = find_fork_window(tid);

	/* A failing fork frees its mm_struct before it returns. */
	if (window && window->mm == ctx[1])
		close_fork_window(tid);
}

int slab_free(u64 *ctx)
{
	struct tally tally;
	u64 site = FREE_SITE(ctx[0]);

	if (!site)
		return 0;
	if (site == SITE_MMDROP) {
		close_failed_fork(ctx);
		return 0;
	}
	find_tally(&tally);
	if (frees_anon_vma(ctx, site)) {
		add(&tally, COUNT_ANON_VMA_FREES, 1);
		family_ends(ctx[1]);
		return 0;
	}
	add(&tally, COUNT_CHAIN_FREES, 1);
	/* The race for the VMA was lost, or there was no memory for the anon_vma: undo the count.
	 */
	if (site & SITE_ANON_VMA_PREPARE) {
		add(&tally, COUNT_PREPARES_BY_SITE, -1);
		call_lost_race(CALLED_PREPARE);
	} else if (site & SITE_PROMOTION) {
		call_lost_race(CALLED_PROMOTION);
	} else if (site & SITE_ANON_VMA_FORK) {
		/* From 7.0 on the anon_vma and its chain are made before anon_vma_clone() finds
		 * one to reuse, or no memory.
		 */
		add(&tally, COUNT_FORK_ANON_UNUSED, 1);
	}
	return 0;
}
