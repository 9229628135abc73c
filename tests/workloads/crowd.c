// SPDX-License-Identifier: MIT
/*
 * Workloads that get in each other's way:
 *   crowd threads N T   T threads touch N islands of one process between them, each hopping from
 *                       CPU to CPU every few islands; then "ok", and the end when stdin ends
 *   crowd churn K N     K children one after the other on alternating CPUs: each touches N islands
 *                       with two threads, which end the process at the same time; then "ok", and
 *                       the end
 *   crowd run P ARG..   runs ARG.. as the process P, a pid that must be free
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L

struct part {
	char *base;
	long first, last;
	int cpu;
};

static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *touch(void *argument)
{
	struct part *part = argument;

	for (long i = part->first; i < part->last; i++) {
		if (i % 7 == 0)
			go_to(part->cpu++);
		part->base[(2 * i + 1) * PAGE] = 1;
	}
	return NULL;
}

static void touch_with_threads(long count, long threads)
{
	char *base =
		mmap(NULL, (2 * count + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct part parts[threads];
	pthread_t others[threads];

	madvise(base, (2 * count + 1) * PAGE, MADV_NOHUGEPAGE);
	for (long i = 0; i < count; i++)
		mprotect(base + (2 * i + 1) * PAGE, PAGE, PROT_READ | PROT_WRITE);
	for (long i = 0; i < threads; i++)
		parts[i] = (struct part){ base, count * i / threads, count * (i + 1) / threads,
					  (int)i };
	for (long i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, touch, &parts[i]))
			exit(1);
	touch(&parts[0]);
	for (long i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
}

static void *end_process(void *unused)
{
	_exit(0);
}

static void churn(long children, long count)
{
	for (long i = 0; i < children; i++) {
		pid_t child;

		go_to((int)i);
		child = fork();
		if (!child) {
			pthread_t other;

			touch_with_threads(count, 2);
			pthread_create(&other, NULL, end_process, NULL);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

static int run_as(pid_t pid, char **arguments)
{
	struct clone_args how = { .exit_signal = SIGCHLD,
				  .set_tid = (unsigned long)&pid,
				  .set_tid_size = 1 };
	long child = syscall(SYS_clone3, &how, sizeof(how));

	if (!child) {
		execv(arguments[0], arguments);
		_exit(127);
	}
	if (child < 0) {
		perror("clone3");
		return 1;
	}
	waitpid((pid_t)child, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	char end;

	if (argc > 3 && !strcmp(argv[1], "run"))
		return run_as(atoi(argv[2]), argv + 3);
	if (argc == 4 && !strcmp(argv[1], "threads"))
		touch_with_threads(atol(argv[2]), atol(argv[3]));
	else if (argc == 4 && !strcmp(argv[1], "churn"))
		churn(atol(argv[2]), atol(argv[3]));
	else
		return 2;
	puts("ok");
	fflush(stdout);
	while (read(0, &end, 1) > 0)
		;
	return 0;
}
