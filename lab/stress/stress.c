// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does everything at once that creates, shares, moves or walks anonymous memory, and checks every
 * page's contents and the kernel's own counters.
 *
 *   stress [-t SECONDS] [-p PROCESSES] [-n THREADS] [-s SEED] [-x OPERATION] [-1 OPERATION] [-T]
 *
 * PROCESSES processes of THREADS threads each own some regions (anonymous, huge, private file) and
 * do random operations on them. What each page must hold is kept apart from it: a page is right
 * when its words are the page's own seed. -x leaves an operation out, -1 does only that one (and
 * touching), -T turns vm.anon_vma_lazy over every second, so that lazy and classic VMAs mix.
 *
 * Exit status 0: every page was right; 1: some were not; 2: could not start.
 */
#include "stress.h"

#include <getopt.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

struct shared *shared;
int file_fd = -1;

static int threads = 3;
static unsigned int chosen[64];
static int chosen_count;

static void *worker(void *argument)
{
	struct thread *self = argument;

	for (int i = 0; i < REGIONS; i++)
		region_make(self, &self->regions[i]);
	while (!shared->stop) {
		struct region *region = &self->regions[below(self, REGIONS)];
		unsigned int op = chosen[below(self, chosen_count)];

		operations[op].run(self, region);
		__atomic_add_fetch(&shared->done[op], 1, __ATOMIC_RELAXED);
	}
	for (int i = 0; i < REGIONS; i++) {
		region_check(self, &self->regions[i], "at the end");
		munmap(self->regions[i].base, self->regions[i].pages * PAGE);
	}
	reap(self, 1);
	return NULL;
}

static int process(unsigned long seed)
{
	pthread_t id[64];
	struct thread *all = calloc(threads, sizeof(*all));

	for (int i = 0; i < threads; i++) {
		all[i].random = seed * 1000 + i + 1;
		if (pthread_create(&id[i], NULL, worker, &all[i]))
			return 2;
	}
	for (int i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	return 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "stress: cannot write %s to %s: %s\n", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void set_up(void)
{
	put("/sys/block/zram0/disksize", "512M");
	if (system("mkswap /dev/zram0 >/dev/null && swapon /dev/zram0"))
		fprintf(stderr, "stress: no swap on zram: MADV_PAGEOUT will do nothing\n");
	put("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	put("/sys/kernel/mm/ksm/sleep_millisecs", "20");
	put("/sys/kernel/mm/ksm/run", "1");
	put("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");

	file_fd = open("/tmp/stress.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (int i = 0; i < REGION_PAGES; i++) {
		static uint64_t page[PAGE / 8];

		page_fill(page, FILE_SEED + i);
		if (file_fd < 0 || write(file_fd, page, PAGE) != PAGE) {
			perror("stress: /tmp/stress.file");
			exit(2);
		}
	}
}

/* The counters that tell whether walks found every VMA. */
static const char *const watched[] = {
	"pgmigrate_success", "pgmigrate_fail",	      "thp_migration_success", "thp_migration_fail",
	"thp_split_page",    "thp_split_page_failed", "thp_collapse_alloc",    "pswpin",
	"pswpout",	     "compact_success",	      "compact_fail",	       "cow_ksm",
	"ksm_swpin_copy",    "anon_vma_lazy_",
};

static void counters(const char *when)
{
	FILE *vmstat = fopen("/proc/vmstat", "r");
	char line[128];

	while (vmstat && fgets(line, sizeof(line), vmstat))
		for (size_t i = 0; i < sizeof(watched) / sizeof(*watched); i++)
			if (!strncmp(line, watched[i], strlen(watched[i])))
				printf("%s %s", when, line);
	if (vmstat)
		fclose(vmstat);
}

static void choose(const char *only, const char *without)
{
	for (unsigned int i = 0; i < operation_count; i++) {
		const char *name = operations[i].name;

		if (without && strstr(without, name))
			continue;
		if (only && !strstr(only, name) && strcmp(name, "touch"))
			continue;
		chosen[chosen_count++] = i;
	}
}

int main(int argc, char **argv)
{
	int seconds = 30, processes = 2, toggle = 0, option, status, failed = 0;
	unsigned long seed = time(NULL);
	const char *only = NULL, *without = NULL;

	while ((option = getopt(argc, argv, "t:p:n:s:x:1:T")) != -1) {
		switch (option) {
		case 't':
			seconds = atoi(optarg);
			break;
		case 'p':
			processes = atoi(optarg);
			break;
		case 'n':
			threads = atoi(optarg);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'x':
			without = optarg;
			break;
		case '1':
			only = optarg;
			break;
		case 'T':
			toggle = 1;
			break;
		default:
			return 2;
		}
	}
	if (threads < 1 || threads > 64)
		return 2;
	choose(only, without);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	set_up();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %lu\n", seed);
	counters("before");

	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (!pid)
			exit(process(seed + i));
	}
	/* By the clock: a compaction may take longer than the second between two. */
	for (int i = 0, end = time(NULL) + seconds; time(NULL) < end && !shared->bad; i++) {
		sleep(1);
		if (i % 3 == 0)
			put("/proc/sys/vm/compact_memory", "1");
		if (toggle)
			put("/proc/sys/vm/anon_vma_lazy", i % 2 ? "1" : "0");
	}
	shared->stop = 1;
	while (wait(&status) > 0)
		failed |= status;

	put("/sys/kernel/mm/ksm/run", "2");
	counters("after");
	for (unsigned int i = 0; i < operation_count; i++)
		printf("operation %s %lu\n", operations[i].name, shared->done[i]);
	printf("move_pages asked %lu not_moved %lu\n", shared->move_asked, shared->move_failed);
	printf("pages checked %lu wrong %lu\n", shared->checked, shared->bad);
	return shared->bad || failed ? 1 : 0;
}
