// SPDX-License-Identifier: GPL-2.0-only
/* The operations of the stress program, and what its pages must hold. */
#include "stress.h"

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef UFFDIO_MOVE /* 6.8; Debian 12's headers are older */
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

unsigned long below(struct thread *self, unsigned long limit)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;
	return self->random % limit;
}

/* Every 64th word: a page's contents are whole or gone, seldom half. */
void page_fill(uint64_t *page, uint64_t seed)
{
	for (unsigned long i = 0; i < PAGE / 8; i += 64)
		page[i] = seed ? seed * 0x9e3779b97f4a7c15UL + i : 0;
}

static void page_check(const struct region *region, unsigned int number, const char *after)
{
	volatile uint64_t *page = (uint64_t *)(region->base + number * PAGE);
	uint64_t seed = region->seed[number];

	__atomic_add_fetch(&shared->checked, 1, __ATOMIC_RELAXED);
	for (unsigned long i = 0; i < PAGE / 8; i += 64) {
		uint64_t want = seed ? seed * 0x9e3779b97f4a7c15UL + i : 0;

		if (page[i] == want)
			continue;
		fprintf(stderr,
			"stress: pid %d %s: page %u of a region of kind %d at %p: word %lu is %lx, not %lx\n",
			getpid(), after, number, region->kind, region->base, i, page[i], want);
		__atomic_add_fetch(&shared->bad, 1, __ATOMIC_RELAXED);
		return;
	}
}

void region_check(struct thread *self, struct region *region, const char *after)
{
	/* A sample, so that operations come often; which pages changes every time. */
	unsigned int step = region->pages > 64 ? 1 + below(self, 32) : 1 + below(self, 4);

	for (unsigned int i = below(self, step); i < region->pages; i += step)
		page_check(region, i, after);
}

static void page_write(struct region *region, unsigned int number, uint64_t seed)
{
	page_fill((uint64_t *)(region->base + number * PAGE), seed);
	region->seed[number] = seed;
}

/* Held while a region has a hole for a moment: no other thread may map something into it. */
static pthread_mutex_t holes = PTHREAD_MUTEX_INITIALIZER;

static char *map_anywhere(size_t bytes, int protection)
{
	char *at;

	pthread_mutex_lock(&holes);
	at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_mutex_unlock(&holes);
	if (at == MAP_FAILED) {
		perror("stress: mmap");
		exit(2);
	}
	return at;
}

/* Address space nobody else uses, to make or move a region into; aligned for a huge page. */
static char *reserve(size_t bytes)
{
	size_t align = HUGE_PAGES * PAGE;
	char *at = map_anywhere(bytes + align, PROT_NONE);
	char *base;

	base = (char *)(((uintptr_t)at + align - 1) & ~(align - 1));
	if (base > at)
		munmap(at, base - at);
	if (base + bytes < at + bytes + align)
		munmap(base + bytes, at + align - base);
	return base;
}

void region_make(struct thread *self, struct region *region)
{
	int flags = MAP_PRIVATE | MAP_FIXED;

	region->kind = below(self, 3);
	region->pages = region->kind == HUGE ? HUGE_PAGES : 8 + below(self, 56);
	region->base = reserve(region->pages * PAGE);
	if (region->kind != FILE_PRIVATE)
		flags |= MAP_ANONYMOUS;
	if (mmap(region->base, region->pages * PAGE, PROT_READ | PROT_WRITE, flags,
		 region->kind == FILE_PRIVATE ? file_fd : -1, 0) == MAP_FAILED) {
		perror("stress: mmap");
		exit(2);
	}
	for (unsigned int i = 0; i < region->pages; i++)
		region->seed[i] = region->kind == FILE_PRIVATE ? FILE_SEED + i : 0;
	if (region->kind == HUGE)
		madvise(region->base, region->pages * PAGE, MADV_HUGEPAGE);
}

/* A random part: first page and number of pages. */
static void part(struct thread *self, struct region *region, unsigned int *first,
		 unsigned int *count)
{
	*first = below(self, region->pages);
	*count = 1 + below(self, region->pages - *first);
}

static void op_touch(struct thread *self, struct region *region)
{
	unsigned int first, count;

	part(self, region, &first, &count);
	if (count > 16)
		count = 16;
	for (unsigned int i = first; i < first + count; i++) {
		page_check(region, i, "before writing");
		page_write(region, i, below(self, 1UL << 30) + 8);
	}
}

static void op_verify(struct thread *self, struct region *region)
{
	region_check(self, region, "verify");
}

static void op_renew(struct thread *self, struct region *region)
{
	region_check(self, region, "before munmap");
	munmap(region->base, region->pages * PAGE);
	region_make(self, region);
}

/* A hole of another protection, and back: two splits, two merges. */
static void op_split(struct thread *self, struct region *region)
{
	unsigned int first, count;
	char *at;

	part(self, region, &first, &count);
	at = region->base + first * PAGE;
	if (mprotect(at, count * PAGE, PROT_READ))
		return;
	page_check(region, first, "split");
	if (mprotect(at, count * PAGE, PROT_READ | PROT_WRITE)) {
		perror("stress: mprotect");
		exit(2);
	}
	page_write(region, first, below(self, 1000) + 8);
}

static void op_discard(struct thread *self, struct region *region)
{
	unsigned int first, count;

	part(self, region, &first, &count);
	if (madvise(region->base + first * PAGE, count * PAGE, MADV_DONTNEED))
		return;
	for (unsigned int i = first; i < first + count; i++)
		region->seed[i] = region->kind == FILE_PRIVATE ? FILE_SEED + i : 0;
}

static void op_move(struct thread *self, struct region *region)
{
	char *to = reserve(region->pages * PAGE);
	size_t bytes = region->pages * PAGE;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (below(self, 4) == 0 && region->kind == ANON)
		flags |= MREMAP_DONTUNMAP;
	if (mremap(region->base, bytes, bytes, flags, to) == MAP_FAILED) {
		munmap(to, bytes);
		return;
	}
	if (flags & MREMAP_DONTUNMAP)
		munmap(region->base, bytes);
	region->base = to;
	region_check(self, region, "mremap");
}

/* A part goes away and comes back: the VMAs can merge again. */
static void op_move_part(struct thread *self, struct region *region)
{
	unsigned int first, count;
	char *at, *to;

	part(self, region, &first, &count);
	at = region->base + first * PAGE;
	to = reserve(count * PAGE);
	pthread_mutex_lock(&holes);
	if (mremap(at, count * PAGE, count * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
	    MAP_FAILED) {
		pthread_mutex_unlock(&holes);
		munmap(to, count * PAGE);
		return;
	}
	(void)*(volatile uint64_t *)to;
	if (mremap(to, count * PAGE, count * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) ==
	    MAP_FAILED) {
		perror("stress: mremap back");
		exit(2);
	}
	pthread_mutex_unlock(&holes);
	page_check(region, first, "mremap and back");
}

/*
 * Untouched, a hole, touched: filling the hole merges a VMA without an anon_vma with one that has.
 */
static void op_merge(struct thread *self, struct region *region)
{
	struct region tail = { .kind = ANON,
			       .pages = 1,
			       .base = map_anywhere(3 * PAGE, PROT_READ | PROT_WRITE) };
	char *base = tail.base;

	(void)region;
	tail.base = base + 2 * PAGE;
	if (!mprotect(base + PAGE, PAGE, PROT_NONE)) {
		page_write(&tail, 0, below(self, 1000) + 8);
		mprotect(base + PAGE, PAGE, PROT_READ | PROT_WRITE);
		if (below(self, 2))
			madvise(base, 3 * PAGE, MADV_PAGEOUT);
		page_check(&tail, 0, "merge");
	}
	munmap(base, 3 * PAGE);
}

static void op_pageout(struct thread *self, struct region *region)
{
	unsigned int first, count;

	part(self, region, &first, &count);
	madvise(region->base + first * PAGE, count * PAGE,
		below(self, 5) ? MADV_PAGEOUT : MADV_COLD);
	page_check(region, first, "pageout");
}

static void op_collapse(struct thread *self, struct region *region)
{
	if (region->kind != HUGE)
		return;
	madvise(region->base, region->pages * PAGE, MADV_COLLAPSE);
	region_check(self, region, "collapse");
}

static void op_ksm(struct thread *self, struct region *region)
{
	unsigned int first, count;

	part(self, region, &first, &count);
	madvise(region->base, region->pages * PAGE, MADV_MERGEABLE);
	for (unsigned int i = first; i < first + count && i < first + 8; i++)
		page_write(region, i, SAME_SEED);
	if (below(self, 8) == 0)
		madvise(region->base, region->pages * PAGE, MADV_UNMERGEABLE);
}

static void op_migrate(struct thread *self, struct region *region)
{
	void *pages[16];
	int nodes[16], status[16];
	unsigned int first, count, moved = 0;

	part(self, region, &first, &count);
	if (count > 16)
		count = 16;
	for (unsigned int i = 0; i < count; i++) {
		pages[i] = region->base + (first + i) * PAGE;
		page_check(region, first + i, "before move_pages");
		nodes[i] = below(self, 2);
	}
	if (syscall(SYS_move_pages, 0, count, pages, nodes, status, 4 /* MPOL_MF_MOVE_ALL */) < 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		moved += status[i] == nodes[i];
	__atomic_add_fetch(&shared->move_asked, count, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shared->move_failed, count - moved, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < count; i++)
		page_check(region, first + i, "move_pages");
}

/* Costs a page of memory for good: seldom. */
static void op_offline(struct thread *self, struct region *region)
{
	unsigned int number = below(self, region->pages);

	if (below(self, 200))
		return;
	page_check(region, number, "before soft offline");
	if (region->seed[number] >= FILE_SEED || !region->seed[number])
		return;
	madvise(region->base + number * PAGE, PAGE, MADV_SOFT_OFFLINE);
	page_check(region, number, "soft offline");
}

/* One page goes to another VMA by userfaultfd; what arrives must be it. */
static void op_uffd_move(struct thread *self, struct region *region)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	unsigned int number = below(self, region->pages);
	struct uffdio_register range;
	struct uffdio_move move;
	char *to;
	int fd;

	if (region->kind != ANON || !region->seed[number])
		return;
	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	to = map_anywhere(PAGE, PROT_READ | PROT_WRITE);
	range = (struct uffdio_register){ .range = { (uintptr_t)to, PAGE },
					  .mode = UFFDIO_REGISTER_MODE_MISSING };
	move = (struct uffdio_move){ .dst = (uintptr_t)to,
				     .src = (uintptr_t)region->base + number * PAGE,
				     .len = PAGE };
	if (!ioctl(fd, UFFDIO_REGISTER, &range) && !ioctl(fd, UFFDIO_MOVE, &move)) {
		struct region moved = {
			.kind = ANON, .base = to, .pages = 1, .seed = { region->seed[number] }
		};

		if (below(self, 2))
			madvise(to, PAGE, MADV_PAGEOUT);
		page_check(&moved, 0, "UFFDIO_MOVE");
		region->seed[number] = 0;
		page_check(region, number, "after UFFDIO_MOVE");
	}
	close(fd);
	munmap(to, PAGE);
}

/* Only in a child: what another thread maps into the gap would stop the growth with SIGSEGV. */
static void op_grow_down(struct thread *self, struct region *region)
{
	char *guard = reserve(512 * PAGE); /* the kernel wants a gap of 256 pages below */
	char *hole = guard + 480 * PAGE, *top = guard + 511 * PAGE;
	unsigned int depth = below(self, 24);

	(void)region;
	munmap(hole, 32 * PAGE);
	if (mmap(top, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0) == top)
		for (unsigned int i = 0; i <= depth; i++)
			page_fill((uint64_t *)(top - i * PAGE), i + 8);
	munmap(guard, 512 * PAGE);
}

void reap(struct thread *self, int all)
{
	for (int i = 0; i < CHILDREN; i++) {
		int status = 0;

		if (self->child[i] <= 0)
			continue;
		if (!waitpid(self->child[i], &status, all ? 0 : WNOHANG))
			continue;
		self->child[i] = 0;
		if (status) {
			fprintf(stderr, "stress: a child ended with status %x\n", status);
			__atomic_add_fetch(&shared->bad, 1, __ATOMIC_RELAXED);
		}
	}
}

static void in_child(struct thread *self, int depth);

static pid_t have_child(struct thread *self, int depth)
{
	pid_t pid = fork();

	if (pid == 0) {
		self->random += getpid();
		pthread_mutex_init(&holes, NULL); /* another thread, not here, may hold it */
		memset(self->child, 0, sizeof(self->child));
		in_child(self, depth);
		_exit(0);
	}
	return pid;
}

/* Only this thread is here: its regions are its own, and nothing that locks may be called. */
static void in_child(struct thread *self, int depth)
{
	static void (*const some[])(struct thread *, struct region *) = {
		op_touch,   op_verify, op_pageout,   op_split, op_discard,
		op_migrate, op_move,   op_move_part, op_ksm,   op_grow_down,
	};
	int rounds = below(self, 40);
	pid_t pid = 0;

	for (int i = 0; i < rounds; i++)
		some[below(self, sizeof(some) / sizeof(*some))](
			self, &self->regions[below(self, REGIONS)]);
	if (depth < 2 && below(self, 3) == 0)
		pid = have_child(self, depth + 1);
	for (int i = 0; i < REGIONS; i++)
		region_check(self, &self->regions[i], "in a child");
	if (pid > 0) {
		int status;

		if (waitpid(pid, &status, 0) == pid && status)
			_exit(1);
	}
}

static void op_fork(struct thread *self, struct region *region)
{
	(void)region;
	reap(self, 0);
	for (int i = 0; i < CHILDREN; i++)
		if (!self->child[i]) {
			self->child[i] = have_child(self, 0);
			return;
		}
}

const struct operation operations[] = {
	{ "touch", op_touch },
	{ "verify", op_verify },
	{ "renew", op_renew },
	{ "split", op_split },
	{ "discard", op_discard },
	{ "mremap", op_move },
	{ "mremap-part", op_move_part },
	{ "pageout", op_pageout },
	{ "collapse", op_collapse },
	{ "ksm", op_ksm },
	{ "migrate", op_migrate },
	{ "offline", op_offline },
	{ "merge", op_merge },
	{ "uffd", op_uffd_move },
	{ "fork", op_fork },
};
const unsigned int operation_count = sizeof(operations) / sizeof(*operations);
