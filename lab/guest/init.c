// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first process of a lab guest: loads the modules that came along, mounts the host's root,
 * runs one command for the host and passes its output and exit status back.
 *
 * Everything goes through one virtio port in frames (a type byte, a 32-bit little-endian length,
 * the payload), because one ordered stream is the only way to know that all the output is out
 * before the machine goes away:
 *   host -> guest  R request (NUL-ended strings: cwd, number of arguments, arguments, K=V...),
 *                  I stdin (empty: end of file)
 *   guest -> host  U up (ready for the request), O stdout, E stderr, X exit status (decimal),
 *                  F could not do it (text)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 16384

static int port = -1;

static void write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		at += n;
		len -= n;
	}
}

static void send_frame(char type, const void *data, uint32_t len)
{
	char frame[5 + CHUNK];

	frame[0] = type;
	memcpy(frame + 1, &len, 4);
	memcpy(frame + 5, data, len);
	write_all(port, frame, 5 + len);
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void fail(const char *format, ...)
{
	char text[512];
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (port >= 0)
		send_frame('F', text, len);
	fprintf(stderr, "lab: init: %s\n", text);
	power_off();
}

static void read_all(int fd, void *data, size_t len)
{
	char *at = data;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			fail("the host closed the port");
		at += n;
		len -= n;
	}
}

/*
 * /modules.list names the modules in the order in which they have to be loaded; those behind a '-'
 * are tried and forgotten (another CPU's, or what no guest needs to come up).
 */
static void load_modules(void)
{
	FILE *list = fopen("/modules.list", "r");
	char line[256];

	if (!list)
		return;
	while (fgets(line, sizeof(line), list)) {
		const char *name = line + (*line == '-');
		int fd, refused;

		line[strcspn(line, "\n")] = 0;
		fd = open(name, O_RDONLY | O_CLOEXEC);
		refused = fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST);
		if (refused && *line != '-')
			fail("cannot load module %s: %s", name, strerror(errno));
		close(fd);
	}
	fclose(list);
}

/* Whether the kernel's command line has that word. */
static int has_word(const char *word)
{
	char text[4096] = "", *rest = text, *found;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		fail("cannot read /proc/cmdline: %s", strerror(errno));
	close(fd);
	while ((found = strsep(&rest, " \n")))
		if (!strcmp(found, word))
			return 1;
	return 0;
}

/* Opens the agent's port; the driver makes it some time after its module is in. */
static void open_port(void)
{
	const char *dir = "/sys/class/virtio-ports";

	for (int tries = 0; tries < 1000; tries++, usleep(10000)) {
		DIR *ports = opendir(dir);
		struct dirent *entry;

		while (ports && (entry = readdir(ports))) {
			char path[300], name[64] = "";
			int fd;

			snprintf(path, sizeof(path), "%s/%s/name", dir, entry->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (read(fd, name, sizeof(name) - 1) < 0)
				name[0] = 0;
			close(fd);
			if (strncmp(name, "lazyobs.agent", 13))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			port = open(path, O_RDWR | O_CLOEXEC);
		}
		if (ports)
			closedir(ports);
		if (port >= 0)
			return;
	}
	fail("no virtio port named lazyobs.agent appeared in 10 s");
}

/* A mount the guest can do without is tried and forgotten: an old kernel may not know it. */
static int try_mount(const char *type, const char *target, const char *options)
{
	mkdir(target, 0755);
	return mount(type, target, type, 0, options);
}

/* lab.disks: what else comes by 9p is an ext4 on a disk, for kernels without 9p. */
static int disks;
/* lab.userland: the root is another release's, without the host's files. */
static int userland;

static const char *const NINE_P = "trans=virtio,version=9p2000.L,msize=524288,cache=";

/* Mounts what the host offers as ``tag``, or on ``disk``; a disk appears some time after its
 * driver. */
static void mount_from_host(const char *tag, const char *disk, const char *target,
			    unsigned long flags)
{
	char options[128];

	for (int tries = 0; disks && access(disk, F_OK) && tries < 1000; tries++)
		usleep(10000);
	snprintf(options, sizeof(options), "%s%s", NINE_P, flags & MS_RDONLY ? "loose" : "mmap");
	if (disks ? mount(disk, target, "ext4", flags, "") :
		    mount(tag, target, "9p", flags, options))
		fail("cannot mount the host's %s %s: %s", tag, disks ? "from its disk" : "over 9p",
		     strerror(errno));
}

static void make_path(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = copy + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		mkdir(copy, 0755);
	}
	mkdir(copy, 0755);
}

/* The host's folders that a tmpfs of the guest covers, kept open to be seen again. */
static struct {
	const char *path;
	int fd;
} covered[] = { { "/tmp", -1 }, { "/run", -1 }, { "/mnt", -1 } };

#define COVERED (sizeof(covered) / sizeof(*covered))

/* A command's folder that lies in one of them is bound to where it is on the host. */
static void uncover(const char *cwd)
{
	char source[PATH_MAX + 32];

	for (size_t i = 0; i < COVERED; i++) {
		size_t length = strlen(covered[i].path);

		if (strncmp(cwd, covered[i].path, length) || cwd[length] != '/' ||
		    strlen(cwd) >= PATH_MAX)
			continue;
		make_path(cwd);
		snprintf(source, sizeof(source), "/proc/self/fd/%d%s", covered[i].fd, cwd + length);
		if (mount(source, cwd, NULL, MS_BIND, NULL))
			fail("cannot bind %s: %s", cwd, strerror(errno));
	}
}

/*
 * A root on a tmpfs, with the folders of a userland bound into it: the checkout can then be mounted
 * where it is on the host, although the userland is read-only and has no such folder.
 */
static void assemble(const char *from, const char *to)
{
	static const char *const bound[] = { "usr", "etc", "var", "opt" };
	DIR *folder = opendir(from);
	struct dirent *entry;

	if (!folder || mount("tmpfs", to, "tmpfs", 0, "mode=755"))
		fail("cannot make a root of %s: %s", from, strerror(errno));
	while ((entry = readdir(folder))) {
		char source[PATH_MAX], target[PATH_MAX], link[PATH_MAX];
		ssize_t length;

		if (*entry->d_name == '.')
			continue;
		snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
		snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
		length = readlink(source, link, sizeof(link) - 1);
		if (length >= 0) {
			link[length] = 0;
			if (symlink(link, target))
				fail("cannot link %s: %s", target, strerror(errno));
			continue;
		}
		mkdir(target, 0755);
		for (size_t i = 0; i < sizeof(bound) / sizeof(*bound); i++)
			if (!strcmp(entry->d_name, bound[i]) &&
			    mount(source, target, NULL, MS_BIND, NULL))
				fail("cannot bind %s: %s", target, strerror(errno));
	}
	closedir(folder);
}

static void mount_root(void)
{
	static const char *const wanted[][3] = {
		{ "proc", "/proc", "" },	 { "sysfs", "/sys", "" },
		{ "devtmpfs", "/dev", "" },	 { "tmpfs", "/tmp", "mode=1777" },
		{ "tmpfs", "/run", "mode=755" }, { "tmpfs", "/mnt", "mode=755" },
	};
	static const char *const optional[][3] = {
		{ "devpts", "/dev/pts", "mode=620,ptmxmode=666" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
		{ "cgroup2", "/sys/fs/cgroup", "" },
		{ "debugfs", "/sys/kernel/debug", "" },
		{ "tracefs", "/sys/kernel/tracing", "" },
		{ "bpf", "/sys/fs/bpf", "mode=700" },
		{ "securityfs", "/sys/kernel/security", "" },
	};

	mkdir("/root", 0755);
	mkdir("/userland", 0755);
	mount_from_host("root", "/dev/vda", userland ? "/userland" : "/root", MS_RDONLY);
	if (userland)
		assemble("/userland", "/root");
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("cannot move to the host's root: %s", strerror(errno));
	for (size_t i = 0; i < COVERED; i++)
		covered[i].fd = open(covered[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (mount(wanted[i][0], wanted[i][1], wanted[i][0], 0, wanted[i][2]))
			fail("cannot mount %s: %s", wanted[i][1], strerror(errno));
	for (size_t i = 0; i < sizeof(optional) / sizeof(*optional); i++)
		try_mount(optional[i][0], optional[i][1], optional[i][2]);
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") || symlink("/proc/self/fd/2", "/dev/stderr"))
		perror("lab: init: /dev/fd");
	mkdir("/mnt/share", 0755);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &request);
		close(fd);
	}
}

struct request {
	const char *cwd;
	char **argv;
	char **env;
};

static struct request read_request(void)
{
	struct request request;
	char type, *text, *at, *end;
	uint32_t len;
	int argc, n = 0;

	read_all(port, &type, 1);
	read_all(port, &len, 4);
	text = malloc(len + 1);
	if (type != 'R' || !text)
		fail("a request was expected, not a frame of type '%c'", type);
	read_all(port, text, len);
	text[len] = 0;
	end = text + len;
	request.cwd = text;
	at = text + strlen(text) + 1;
	argc = at < end ? atoi(at) : 0;
	request.argv = calloc(argc + 1, sizeof(char *));
	request.env = calloc(len + 1, sizeof(char *));
	if (argc < 1 || !request.argv || !request.env)
		fail("the request names no command");
	for (int i = 0; i < argc; i++) {
		at += strlen(at) + 1;
		request.argv[i] = at;
	}
	for (at += strlen(at) + 1; at < end; at += strlen(at) + 1)
		request.env[n++] = at;
	return request;
}

/*
 * Folders for the checkout. A userland is read-only: where the checkout lies in one of its folders,
 * as in /opt or /var/tmp, a tmpfs takes the place of the last one that is there.
 */
static void make_room(const char *path)
{
	char copy[PATH_MAX];
	struct stat found;

	make_path(path);
	if (!stat(path, &found))
		return;
	snprintf(copy, sizeof(copy), "%s", path);
	while (strrchr(copy, '/') != copy && stat(copy, &found))
		*strrchr(copy, '/') = 0;
	if (!strcmp(copy, "/usr") || !strcmp(copy, "/etc") || !strcmp(copy, "/var"))
		fail("the checkout would cover the userland's %s; clone it to another folder",
		     copy);
	if (mount("tmpfs", copy, "tmpfs", 0, "mode=755"))
		fail("cannot make room for the checkout in %s: %s", copy, strerror(errno));
	make_path(path);
}

/* The checkout and the share are there only when the host says so in the request's variables. */
static void mount_requested(char **env)
{
	for (; *env; env++) {
		if (!strncmp(*env, "LAZYOBS_LAB_CHECKOUT=", 21)) {
			make_room(*env + 21);
			mount_from_host("checkout", "/dev/vdb", *env + 21, MS_RDONLY);
		} else if (!strncmp(*env, "LAZYOBS_LAB_SHARE=", 18)) {
			mount_from_host("share", "/dev/vdc", *env + 18, 0);
		}
	}
}

static pid_t start(const struct request *request, int in[2], int out[2], int err[2])
{
	pid_t pid = fork();

	if (pid)
		return pid;
	signal(SIGCHLD, SIG_DFL);
	setsid();
	dup2(in[0], 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	if (chdir(request->cwd)) {
		dprintf(2, "lab: cannot change to %s: %s\n", request->cwd, strerror(errno));
		_exit(125);
	}
	environ = request->env;
	execvpe(request->argv[0], request->argv, request->env);
	dprintf(2, "lab: cannot run %s: %s\n", request->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Passes on what a pipe holds; returns 0 at its end. */
static int relay(char type, int fd)
{
	char data[CHUNK];
	ssize_t n = read(fd, data, sizeof(data));

	if (n > 0)
		send_frame(type, data, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Standard input on its way: one frame at a time, the rest waits in the port. */
static struct {
	char data[CHUNK];
	uint32_t at, len;
} input;

static void take_input(int *to)
{
	char type;

	read_all(port, &type, 1);
	read_all(port, &input.len, 4);
	if (type != 'I' || input.len > sizeof(input.data))
		fail("standard input was expected, not a frame of type '%c'", type);
	read_all(port, input.data, input.len);
	input.at = 0;
	if (!input.len && *to >= 0) {
		close(*to);
		*to = -1;
	}
}

static void give_input(int *to)
{
	ssize_t n = write(*to, input.data + input.at, input.len - input.at);

	if (n > 0) {
		input.at += n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close(*to);
		*to = -1;
	}
}

static void on_child(int sig)
{
	(void)sig; /* ending ppoll() is all it is for */
}

/* Runs the command to its end, reaping whatever it leaves to init. */
static int run(const struct request *request)
{
	int in[2], out[2], err[2], status = 0, to, ended = 0, out_open = 1, err_open = 1;
	struct sigaction action = { .sa_handler = on_child };
	struct timespec *wait_for, none = { 0, 0 };
	sigset_t blocked, before;
	pid_t pid, child;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigaction(SIGCHLD, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("cannot make pipes: %s", strerror(errno));
	child = start(request, in, out, err);
	if (child < 0)
		fail("cannot fork: %s", strerror(errno));
	/* Only now: the command must not start with a blocked SIGCHLD. */
	sigprocmask(SIG_BLOCK, &blocked, &before);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	to = in[1];
	fcntl(to, F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);

	for (;;) {
		int waiting = to >= 0 && input.at < input.len;
		struct pollfd fds[4] = {
			{ .fd = out_open ? out[0] : -1, .events = POLLIN },
			{ .fd = err_open ? err[0] : -1, .events = POLLIN },
			{ .fd = waiting ? -1 : port, .events = POLLIN },
			{ .fd = waiting ? to : -1, .events = POLLOUT },
		};
		int ready;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child)
				ended = WIFEXITED(status) ? 256 + WEXITSTATUS(status) :
							    256 + 128 + WTERMSIG(status);
		/* A background process may keep the pipes open: take what is there and go. */
		wait_for = ended ? &none : NULL;
		ready = ppoll(fds, 4, wait_for, &before);
		if (ready < 0 && errno != EINTR)
			fail("ppoll: %s", strerror(errno));
		if (ready < 0)
			continue;
		if (fds[0].revents)
			out_open = relay('O', out[0]);
		if (fds[1].revents)
			err_open = relay('E', err[0]);
		if (ended && !fds[0].revents && !fds[1].revents)
			return ended - 256;
		if (fds[2].revents & POLLIN)
			take_input(&to);
		else if (fds[2].revents)
			fail("the host closed the port");
		if (fds[3].revents)
			give_input(&to);
	}
}

int main(void)
{
	struct rlimit files = { 65536, 65536 };
	struct request request;
	char status[16];

	try_mount("devtmpfs", "/dev", "");
	try_mount("proc", "/proc", "");
	try_mount("sysfs", "/sys", "");
	load_modules();
	disks = has_word("lab.disks");
	userland = has_word("lab.userland");
	open_port();
	mount_root();
	loopback_up();
	if (sethostname("lab", 3))
		perror("lab: init: sethostname");
	umask(022);
	setrlimit(RLIMIT_NOFILE, &files);
	send_frame('U', "", 0);
	request = read_request();
	mount_requested(request.env);
	if (!userland)
		uncover(request.cwd);
	snprintf(status, sizeof(status), "%d", run(&request));
	send_frame('X', status, strlen(status));
	power_off();
}
