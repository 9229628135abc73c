// SPDX-License-Identifier: MIT
/*
 * kinds KIND N: a process that comes to N VMAs in one of the ways below, says "ok", and stays until
 * its input ends. Children stay, too, unless KIND reaps them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static long page;
static long count;
static char **arguments;

static void must(int fine, const char *what)
{
	if (!fine) {
		perror(what);
		_exit(3);
	}
}

/* N one-page VMAs that never were neighbours, each touched. */
static char *islands(long number)
{
	char *base =
		mmap(NULL, (2 * number + 1) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(base != MAP_FAILED, "mmap");
	for (long i = 0; i < number; i++) {
		must(!mprotect(base + (2 * i + 1) * page, page, PROT_READ | PROT_WRITE),
		     "mprotect");
		base[(2 * i + 1) * page] = 1;
	}
	return base;
}

static pid_t child(void (*work)(void))
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (work)
			work();
		for (;;)
			pause();
	}
	return pid;
}

/* Data segments of libraries: written, then half of each made read-only. */
static void relro(void)
{
	FILE *file = tmpfile();

	must(file && !ftruncate(fileno(file), 4 * page), "tmpfile");
	for (long i = 0; i < count; i++) {
		char *data =
			mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);

		must(data != MAP_FAILED, "mmap");
		for (int at = 0; at < 4; at++)
			data[at * page] = 1;
		must(!mprotect(data, 2 * page, PROT_READ), "mprotect");
	}
}

static void forked_and_reaped(void)
{
	islands(count);
	for (int i = 0; i < 3; i++) {
		pid_t pid = child(NULL);

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void few(void)
{
	islands(23);
}

static void fork_server(void)
{
	islands(count);
	for (int i = 0; i < 5; i++)
		child(few);
	usleep(300000); /* until the children have touched theirs */
}

static pthread_barrier_t started;

static void *thread(void *unused)
{
	char stack[8192];

	memset(stack, 1, sizeof(stack));
	free(malloc(100)); /* an arena of its own */
	pthread_barrier_wait(&started);
	for (;;)
		pause();
	return unused;
}

static void threads(void)
{
	pthread_attr_t attributes;
	pthread_t id;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 1 << 16);
	pthread_barrier_init(&started, NULL, count + 1);
	for (long i = 0; i < count; i++)
		must(!pthread_create(&id, &attributes, thread, NULL), "pthread_create");
	pthread_barrier_wait(&started);
}

/* A reservation, of which regions are committed, grown, and one in seven given back. */
static void arena(void)
{
	long region = 16 * page;
	char *base = mmap(NULL, count * region, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(base != MAP_FAILED, "mmap");
	for (long i = 0; i < count; i++)
		for (int at = 0; at < 8; at += 4) {
			must(!mprotect(base + i * region + at * page, 4 * page,
				       PROT_READ | PROT_WRITE),
			     "mprotect");
			base[i * region + at * page] = 1;
		}
	for (long i = 0; i < count; i += 7)
		must(!mprotect(base + i * region, 8 * page, PROT_NONE) &&
			     !madvise(base + i * region, 8 * page, MADV_DONTNEED),
		     "mprotect");
}

static void heap(void)
{
	for (long i = 0; i < count; i++) {
		char *at = sbrk(page);

		must(at != (void *)-1, "sbrk");
		*at = 1;
	}
}

static int deep(long depth)
{
	volatile char here[4096];

	here[0] = here[4095] = (char)depth;
	return depth ? deep(depth - 1) + here[0] : here[4095];
}

static void stack(void)
{
	deep(count);
}

static void shared(void)
{
	FILE *file = tmpfile();

	must(file && !ftruncate(fileno(file), page), "tmpfile");
	for (long i = 0; i < count; i++) {
		char *ours = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
		char *own = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
		char *nobodys =
			mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		must(ours != MAP_FAILED && own != MAP_FAILED && nobodys != MAP_FAILED, "mmap");
		ours[0] = own[0] = nobodys[0] = 1;
	}
	islands(count / 2);
}

/* Forks and executes itself: after each exec everything is new. */
static void exec_chain(void)
{
	const char *left = getenv("LEFT");
	char next[24];

	islands(count);
	snprintf(next, sizeof(next), "%ld", left ? atol(left) - 1 : 5);
	if (next[0] == '-' || next[0] == '0')
		return;
	setenv("LEFT", next, 1);
	waitpid(child(few), NULL, WNOHANG);
	execv("/proc/self/exe", arguments);
	must(0, "execv");
}

/* Not of the ten: each VMA is cut, moved or forked and shows nothing of it. */
static void cut(void)
{
	for (long i = 0; i < count; i++) {
		char *base = mmap(NULL, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(base != MAP_FAILED && !mprotect(base + page, 2 * page, PROT_READ | PROT_WRITE),
		     "mmap");
		base[page] = base[2 * page] = 1;
		must(!munmap(base + 2 * page, 2 * page), "munmap");
	}
}

static const struct {
	const char *name;
	void (*work)(void);
} kinds[] = {
	{ "relro", relro },
	{ "forked_and_reaped", forked_and_reaped },
	{ "fork_server", fork_server },
	{ "threads", threads },
	{ "arena", arena },
	{ "brk", heap },
	{ "stack", stack },
	{ "shared", shared },
	{ "exec_chain", exec_chain },
	{ "cut", cut },
};

int main(int argc, char **argv)
{
	char line[16];

	page = sysconf(_SC_PAGESIZE);
	arguments = argv;
	if (argc != 3)
		return 2;
	count = atol(argv[2]);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]))
			continue;
		kinds[i].work();
		must(write(1, "ok\n", 3) == 3, "write");
		while (read(0, line, sizeof(line)) > 0)
			;
		return 0;
	}
	return 2;
}
