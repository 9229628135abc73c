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
static __always_inline bool is_anon_vma_cache(u64 cache)
{
	struct known_caches *known;
	u32 zero = 0;

	known = known_caches.lookup(&zero);
	if (!known)
		return false;
	if (known->anon_vma)
		return cache == known->anon_vma;
	if (READ(((struct kmem_cache *)cache)->object_size) != SIZEOF_ANON_VMA)
		return false;
	known->anon_vma = cache;
	return true;
}

static __always_inline bool allocates_anon_vma(u64 *ctx)
{
#if SLAB_ALLOC_TELLS == CACHE
	return is_anon_vma_cache(ctx[SLAB_ALLOC_ARGUMENT]);
#else /* SIZE */
	return ctx[SLAB_ALLOC_ARGUMENT] == SIZEOF_ANON_VMA;
#endif
}

static __always_inline bool frees_anon_vma(u64 *ctx, u64 site)
{
#if SLAB_FREE_TELLS == CACHE
	return is_anon_vma_cache(ctx[SLAB_FREE_ARGUMENT]);
#else /* the tracepoint has the name of the cache only, which merging makes useless */
	return IN_PUT_ANON_VMA(site);
#endif
}

/* mm_struct has a usercopy region and is never merged, so the name identifies the cache. */
static __always_inline bool is_mm_cache(struct kmem_cache *cache)
{
	char name[sizeof("mm_struct")];
	struct known_caches *known;
	char *text;
	u32 zero = 0;

	known = known_caches.lookup(&zero);
	if (!known)
		return false;
	if (known->mm)
		return (u64)cache == known->mm;
	text = READ(cache->name);
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
#if SLAB_ALLOC_TELLS == CACHE
	return is_mm_cache((struct kmem_cache *)ctx[SLAB_ALLOC_ARGUMENT]);
#else /* SIZE */
	return ctx[SLAB_ALLOC_ARGUMENT] >= SIZEOF_MM;
#endif
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
	u64 site = ctx[0];

	if (!IN_ALLOC_SITES(site)) {
		if (IN_COPY_PROCESS(site) && is_mm(ctx))
			open_fork_window(bpf_get_current_pid_tgid(), ctx[1]);
		return 0;
	}
	if (!ctx[1]) /* the allocation failed */
		return 0;
	find_tally(&tally);
	if (!IN_ANON_VMA_CLONE(site) && allocates_anon_vma(ctx)) {
		add(&tally, COUNT_ANON_VMA_ALLOCS, 1);
		return 0;
	}
	add(&tally, COUNT_CHAIN_ALLOCS, 1);
	if (IN_ANON_VMA_PREPARE(site)) {
		add(&tally, COUNT_PREPARES_BY_SITE, 1);
		event = event_begin(EVENT_PREPARE_BY_SITE, 0, EVENT_NO_DURATION);
		if (event) {
			event->kind = EVENT_PREPARE;
			event_end(event);
		}
	} else if (IN_ANON_VMA_CLONE(site)) {
		chain_cloned(tally.tid);
	} else if (IN_PROMOTION(site)) {
		promotion_makes_chain();
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
	u64 site = ctx[0];

	if (!IN_FREE_SITES(site)) {
		if (IN_MMDROP(site))
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
	if (IN_ANON_VMA_PREPARE(site)) {
		add(&tally, COUNT_PREPARES_BY_SITE, -1);
		call_lost_race(CALLED_PREPARE);
	} else if (IN_PROMOTION(site)) {
		call_lost_race(CALLED_PROMOTION);
	}
	return 0;
}
