// SPDX-License-Identifier: GPL-2.0-only
/*
 * anon_vma and anon_vma_chain objects, counted where the slab allocator hands them out.
 *
 * The caller's address (call_site) tells the path: nothing else of an allocation is looked at unless
 * it comes from one of the few functions of interest, so unrelated allocations cost two comparisons.
 * Cache names cannot tell the objects apart: anon_vma_chain is merged with whatever has its size.
 */

/* anon_vma has a constructor and is never merged, so the size of its cache's objects is exact. */
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
#else /* only the cache's name, which merging makes useless */
	return IN_PUT_ANON_VMA(site);
#endif
}

/* Copied to and from user space in part (usercopy region), hence never merged: its name holds. */
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
	if (name[0] != 'm' || name[1] != 'm' || name[2] != '_' || name[3] != 's' || name[4] != 't' ||
	    name[5] != 'r' || name[6] != 'u' || name[7] != 'c' || name[8] != 't')
		return false;
	known->mm = (u64)cache;
	return true;
}

/* The mm_struct of a fork is the one object copy_process() (or dup_mm()) takes of its size. */
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

	/* Without a window the clone serves a split, merge or mremap. */
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
		add(&tally, SLOT_ANON_VMA_ALLOCS, 1);
		return 0;
	}
	add(&tally, SLOT_CHAIN_ALLOCS, 1);
	if (IN_ANON_VMA_PREPARE(site)) {
		add(&tally, SLOT_PREPARES_BY_SITE, 1);
		event = event_begin(EVENT_PREPARE_BY_SITE, 0, EVENT_NO_DURATION);
		if (event) {
			event->kind = EVENT_PREPARE;
			event_end(event);
		}
	} else if (IN_ANON_VMA_CLONE(site)) {
		chain_cloned(tally.tid);
	} else if (IN_LAZY(site)) {
		promotion_makes_chain();
	}
	return 0;
}

static __always_inline void close_failed_fork(u64 *ctx)
{
	u32 tid = bpf_get_current_pid_tgid();
	struct fork_window *window = find_fork_window(tid);

	/* A fork that fails gives its mm_struct back before it returns. */
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
		add(&tally, SLOT_ANON_VMA_FREES, 1);
		return 0;
	}
	add(&tally, SLOT_CHAIN_FREES, 1);
	/* Lost the race for the VMA, or no memory for the anon_vma: what was begun was not done. */
	if (IN_ANON_VMA_PREPARE(site)) {
		add(&tally, SLOT_PREPARES_BY_SITE, -1);
		call_is_in_vain(CALLED_PREPARE);
	} else if (IN_LAZY(site)) {
		call_is_in_vain(CALLED_PROMOTION);
	}
	return 0;
}
