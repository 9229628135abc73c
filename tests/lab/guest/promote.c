// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes lazy VMAs and promotes each of them once, one reason after the other, and prints what the
 * kernel's statistic counted meanwhile: one JSON object, {step: {counter: difference}}.
 *
 * Small and static on purpose: a process with few VMAs of its own, so that the counts are exact.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define N 23UL		  /* VMAs a step */
#define STRIDE (4 * PAGE) /* one island: up to three pages and a gap */

static char *counters(void)
{
	static char text[1 << 16];
	size_t at = 0;
	ssize_t n;
	int fd = open("/proc/vmstat", O_RDONLY);

	while ((n = read(fd, text + at, sizeof(text) - at - 1)) > 0)
		at += n;
	text[at] = 0;
	close(fd);
	return text;
}

static const char *const names[] = {
	"anon_vma_lazy_prepare",
	"anon_vma_lazy_promote_fork",
	"anon_vma_lazy_promote_split",
	"anon_vma_lazy_promote_merge",
	"anon_vma_lazy_promote_mremap",
	"anon_vma_lazy_promote_failed",
	"pgmigrate_success",
	"pgmigrate_fail",
	"pswpout",
};
#define NAMES (sizeof(names) / sizeof(*names))

static long values[NAMES];

static long value(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += !!line)
		if (!strncmp(line, name, length) && line[length] == ' ')
			return atol(line + length);
	return -1;
}

/* Prints what the counters gained since the last call. */
static void step(const char *name)
{
	static int steps;
	const char *text = counters(), *comma = "";

	if (name)
		printf("%s\"%s\": {", steps++ ? ", " : "", name);
	for (size_t i = 0; i < NAMES; i++) {
		long now = value(text, names[i]);

		if (name && now != values[i]) {
			printf("%s\"%s\": %ld", comma, names[i], now - values[i]);
			comma = ", ";
		}
		values[i] = now;
	}
	if (name)
		printf("}");
}

/* N islands of some pages, far enough apart never to be neighbours. */
static char *islands(unsigned long pages)
{
	char *base = mmap(NULL, N * STRIDE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);

	for (unsigned long i = 0; i < N; i++)
		if (mprotect(base + i * STRIDE, pages * PAGE, PROT_READ | PROT_WRITE))
			exit(3);
	return base;
}

static void touch(char *base, unsigned long page, int value)
{
	for (unsigned long i = 0; i < N; i++)
		memset(base + i * STRIDE + page * PAGE, value, PAGE);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(4);
	close(fd);
}

static void fork_once(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static long sysfs(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 ? atol(text) : 0;
}

static void merge_same(char *base)
{
	touch(base, 0, 'k');
	step("ksm-prepare");
	for (unsigned long i = 0; i < N; i++)
		madvise(base + i * STRIDE, PAGE, MADV_MERGEABLE);
	put("/sys/kernel/mm/ksm/pages_to_scan", "5000");
	put("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	put("/sys/kernel/mm/ksm/run", "1");
	for (int i = 0; i < 1000; i++, usleep(20000))
		if (sysfs("/sys/kernel/mm/ksm/pages_sharing") == N - 1)
			break;
	put("/sys/kernel/mm/ksm/run", "0");
	step("ksm");
}

/* move_pages of every island to the other node; all have to arrive. */
static long migrate(char *base)
{
	long moved = 0;

	for (unsigned long i = 0; i < N; i++) {
		void *page = base + i * STRIDE;
		int node = 0, status = -1, other;

		syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0);
		other = !status;
		node = other;
		syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, 2);
		moved += status == other;
	}
	return moved;
}

static volatile sig_atomic_t poison_code;

static void on_poison(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	poison_code = info->si_code;
}

/*
 * The kernel learns of a bad page below a lazy VMA; an early-kill process is told so before it
 * touches the page, but only when the walk from the page finds its VMA. Returns the signal's code.
 */
static int poison(char *page)
{
	struct sigaction action = { .sa_sigaction = on_poison, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
	madvise(page, PAGE, MADV_HWPOISON);
	for (int i = 0; i < 100 && !poison_code; i++)
		usleep(10000);
	return poison_code;
}

int main(void)
{
	char *base, *to;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	printf("{");
	fork_once(); /* from here on nothing this process had before is lazy */

	base = islands(1);
	step(NULL);
	touch(base, 0, 'f');
	step("prepare");
	printf(", \"moved\": %ld", migrate(base));
	step("migrate");
	fork_once();
	step("fork");
	fork_once();
	step("fork-again");

	base = islands(3);
	for (int page = 0; page < 3; page++)
		touch(base, page, 's');
	step("split-prepare");
	for (unsigned long i = 0; i < N; i++)
		mprotect(base + i * STRIDE + PAGE, PAGE, PROT_READ);
	step("split");

	/* Untouched, a hole, touched: filling the hole makes one VMA of the three. */
	base = islands(3);
	for (unsigned long i = 0; i < N; i++)
		mprotect(base + i * STRIDE + PAGE, PAGE, PROT_NONE);
	touch(base, 2, 'm');
	step("merge-prepare");
	for (unsigned long i = 0; i < N; i++)
		mprotect(base + i * STRIDE + PAGE, PAGE, PROT_READ | PROT_WRITE);
	step("merge");

	base = islands(1);
	to = mmap(NULL, N * STRIDE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	touch(base, 0, 'r');
	step("mremap-prepare");
	for (unsigned long i = 0; i < N; i++)
		mremap(base + i * STRIDE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       to + i * STRIDE);
	step("mremap");

	merge_same(islands(1));

	base = islands(1);
	touch(base, 0, 'p');
	step("poison-prepare");
	printf(", \"poison_code\": %d", poison(base));
	step("poison");
	printf("}\n");
	return 0;
}
