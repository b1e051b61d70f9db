// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations of all kinds that change files or map them, by many
 * processes and threads at a time, with an oracle that tells what each private
 * mapping may show (torture_oracle.h). Or, with --model, by one thread, against
 * a copy of each file for each mapping, to the byte (torture_model.h).
 *
 * Not a test of its own: snap_torture.sh and scripts/soak run it. SNAP_FSTYPE
 * says what to mount (snapmapfs).
 */
#include "torture_oracle.h"

#include <getopt.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Private mappings may end behind the longest file. */
#define SPARE		4
#define MAX_MAPS	64
#define MOST_BLOCKS	(96 * BLOCKS)	/* of one operation */
#define DISK_SLOT	(64 * 1024)

static struct {
	uint64_t seed, ops, seconds;
	unsigned int threads, procs, files, pages, maps;
	const char *dir, *mount, *only, *without;
	unsigned int kill, cgroup, pressure, zram;
	bool model, hotplug, compact, drop_caches, trace;
} options = {
	.threads = 2, .procs = 2, .files = 3, .pages = 24,
	.maps = 12,
};

static char dir[256];

/* A page of a mapping: what is not the same for all who map the snapshot */
struct map_page {
	bool loose;			/* came back: its instant is not known */
	uint64_t own[WORDS / 64];	/* words stored through the mapping */
	uint64_t seen[WORDS / 64];	/* of a loose page */
	uint64_t *own_word;
	uint64_t *word;
};

struct map {
	pthread_rwlock_t lock;
	bool used;
	bool writable, hidden, locked;
	unsigned int shot;
	unsigned int first, end;	/* pages */
	char *addr;
	struct map_page *page[MAX_PAGES + SPARE];
};

struct worker {
	uint64_t rng;
	uint8_t op;
	int pipe[2];
	int memfd;
	int scratch;
	int disk;
	off_t disk_at;
	int mem;
	bool child;
	bool has_uring;
	struct io_uring uring;
	unsigned char *buf;
	unsigned int nr;	/* for names */
};

static struct map maps[MAX_MAPS];
static unsigned int shot_maps[MAX_SHOTS];	/* of this process */
static char *shared[MAX_FILES];
static pthread_rwlock_t shared_lock;
static int append_fd[MAX_FILES], direct_fd[MAX_FILES];

/* SIGBUS */
static __thread sigjmp_buf *bus_env;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	sigjmp_buf *env = bus_env;

	if (sig == SIGBUS && env)
		siglongjmp(*env, 1);
	if (failing()) {
		complain("  signal %d at %p\n", sig, info->si_addr);
		failed();
	}
	_exit(1);
}

static void catch_bus(sigjmp_buf *env)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	bus_env = env;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Copies words, each at once; returns how many before a SIGBUS. */
static unsigned int copy_words(uint64_t *to, const uint64_t *from, unsigned int n)
{
	static __thread unsigned int copied;
	sigjmp_buf env;
	unsigned int i;

	__atomic_store_n(&copied, 0, __ATOMIC_RELAXED);
	if (!sigsetjmp(env, 0)) {
		catch_bus(&env);
		for (i = 0; i < n; i++) {
			uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

			__atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
			__atomic_store_n(&copied, i + 1, __ATOMIC_RELAXED);
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		}
	}
	catch_bus(NULL);
	return __atomic_load_n(&copied, __ATOMIC_RELAXED);
}

/* Whether processes end without a word. */
static bool any_killed(void)
{
	return options.kill || options.cgroup || options.pressure;
}

/* Picking */
static bool one_in(struct worker *w, unsigned int n)
{
	return below(&w->rng, n) == 0;
}

static unsigned int pick_file(struct worker *w)
{
	return below(&w->rng, all->nr_files);
}

/* Some blocks: mostly few, sometimes many, often whole pages. */
static void pick_blocks(struct worker *w, uint32_t *from, uint32_t *to)
{
	uint32_t end = all->nr_pages * BLOCKS;
	uint32_t most = one_in(w, 16) ? MOST_BLOCKS : one_in(w, 3) ? 40 : 12;

	*from = below(&w->rng, end);
	*to = *from + 1 + below(&w->rng, most);
	if (one_in(w, 3)) {
		*from -= *from % BLOCKS;
		*to += BLOCKS - 1;
		*to -= *to % BLOCKS;
	}
	if (*to > end)
		*to = end;
}

static void fill(struct worker *w, const struct change *c, uint32_t from,
		 uint32_t to)
{
	uint64_t *p = (uint64_t *)w->buf;
	unsigned int i;

	for (i = from * BLOCK_WORDS; i < to * BLOCK_WORDS; i++)
		*p++ = encode(c->file, i, c->seq);
}

#include "torture_change.h"
#include "torture_map.h"

/* Threads */
static void open_resources(struct worker *w, bool child)
{
	static const char disk[] = "/dev/ram0";
	unsigned int slot = me * options.threads + w->nr;
	char path[300];

	w->child = child;
	if (pipe(w->pipe) || fcntl(w->pipe[1], F_SETPIPE_SZ, 65536) < 0)
		abort();
	w->memfd = memfd_create("torture", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s/scratch.%d.%u", dir, getpid(), w->nr);
	w->scratch = open(path, O_RDWR | O_CREAT, 0600);
	unlink(path);
	w->mem = open("/proc/self/mem", O_RDWR);
	w->buf = mmap(NULL, MOST_BLOCKS * BLOCK + 8 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->memfd < 0 || w->mem < 0 || w->buf == MAP_FAILED)
		abort();
	w->has_uring = !child && !io_uring_queue_init(4, &w->uring, 0);
	w->disk = child ? -1 : open(disk, O_RDWR | O_DIRECT);
	w->disk_at = (off_t)slot * DISK_SLOT;
	if (w->disk >= 0 && lseek(w->disk, 0, SEEK_END) < w->disk_at + DISK_SLOT) {
		close(w->disk);
		w->disk = -1;
	}
}

static bool op_fork(struct worker *w);

static const struct op {
	const char *name;
	bool (*run)(struct worker *w);
	unsigned int weight;
} ops[] = {
	{ "pwrite", op_pwrite, 12 },
	{ "pwritev", op_pwritev, 4 },
	{ "direct", op_direct, 3 },
	{ "append", op_append, 3 },
	{ "splice", op_splice, 3 },
	{ "sendfile", op_sendfile, 2 },
	{ "copy_range", op_copy_range, 2 },
	{ "uring_write", op_uring, 3 },
	{ "store", op_store_words, 24 },
	{ "store_vm", op_store_vm, 5 },
	{ "store_proc_mem", op_store_proc_mem, 3 },
	{ "store_read", op_store_read, 4 },
	{ "store_vmsplice", op_store_vmsplice, 2 },
	{ "store_disk", op_store_disk, 5 },
	{ "store_uring", op_store_uring, 4 },
	{ "punch", op_punch, 4 },
	{ "zero_keep", op_zero_keep, 3 },
	{ "zero_range", op_zero_range, 2 },
	{ "allocate", op_allocate, 2 },
	{ "allocate_keep", op_allocate_keep, 1 },
	{ "madv_remove", op_madv_remove, 3 },
	{ "truncate", op_truncate, 6 },
	{ "o_trunc", op_o_trunc, 1 },
	{ "read", op_read, 6 },
	{ "load", op_load, 6 },
	{ "sync", op_sync, 1 },
	{ "reshare", op_reshare, 2 },
	{ "names", op_names_of_file, 1 },
	{ "map", op_map, 18 },
	{ "look", op_look, 40 },
	{ "own_store", op_own_store, 8 },
	{ "dontneed", op_dontneed, 5 },
	{ "advise", op_advise, 5 },
	{ "mlock", op_mlock, 2 },
	{ "protect", op_protect, 4 },
	{ "unmap", op_unmap, 14 },
	{ "remap", op_remap, 6 },
	{ "own_file", op_own_file, 2 },
	{ "fork", op_fork, 1 },
};

#define NR_OPS (sizeof(ops) / sizeof(*ops))

static unsigned int weights[NR_OPS], all_weights;

static bool stopped(void)
{
	return __atomic_load_n(&all->stop, __ATOMIC_RELAXED);
}

static void one_op(struct worker *w)
{
	unsigned int at = below(&w->rng, all_weights), i = 0;

	while (at >= weights[i])
		at -= weights[i++];
	w->op = i;
	if (!ops[i].run(w))
		return;
	__atomic_fetch_add(&all->done[i], 1, __ATOMIC_RELAXED);
	if (__atomic_fetch_sub(&all->quota, 1, __ATOMIC_RELAXED) == 1)
		__atomic_store_n(&all->stop, true, __ATOMIC_RELAXED);
}

static void init_locks(void)
{
	unsigned int i;

	pthread_rwlock_init(&shared_lock, NULL);
	for (i = 0; i < MAX_MAPS; i++)
		pthread_rwlock_init(&maps[i].lock, NULL);
}

/* A place has one owner, who passes it on or whose it is when he is dead. */
static bool pass_place(unsigned int i, pid_t from, pid_t to)
{
	return __atomic_compare_exchange_n(&all->process[i], &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static pid_t process_at(unsigned int i)
{
	return __atomic_load_n(&all->process[i], __ATOMIC_SEQ_CST);
}

static int take_process(void)
{
	unsigned int i;

	/* The last one is the parent of all. */
	for (i = options.procs; i < MAX_PROCS - 1 && i < options.procs * 3; i++) {
		/* Ours, should we be killed before the child is there. */
		if (pass_place(i, 0, getpid()))
			return i;
	}
	return -1;
}

static void drop_process(unsigned int i)
{
	unsigned int s;

	for (s = 0; s < MAX_SHOTS; s++)
		__atomic_fetch_and(&all->shot[s].users, ~(1ULL << i),
				   __ATOMIC_SEQ_CST);
	__atomic_store_n(&all->process[i], 0, __ATOMIC_SEQ_CST);
}

static void child(struct worker *w, unsigned int id, pid_t parent, struct map **kept,
		  unsigned int nr_kept)
{
	struct worker own = { .rng = w->rng ^ rnd(&w->rng), .nr = w->nr };
	unsigned int i, k, n;
	bool mine;

	me = id;
	/* If the parent is dead, the place may be another's by now. */
	if (!pass_place(id, parent, getpid()))
		_exit(0);
	prctl(PR_SET_PDEATHSIG, 0);
	/* The other threads, who may hold locks and be amid a change, are not here. */
	init_locks();
	pthread_mutex_init(&shot_maps_lock, NULL);
	memset(shot_maps, 0, sizeof(shot_maps));
	for (i = 0; i < options.maps; i++) {
		for (mine = false, k = 0; k < nr_kept; k++)
			mine |= kept[k] == &maps[i];
		maps[i].used = mine;
		if (mine)
			hold_shot(maps[i].shot);
	}
	open_resources(&own, true);
	n = 5 + below(&own.rng, one_in(&own, 4) ? 400 : 60);
	while (n-- && !stopped()) {
		if (one_in(&own, 20))
			usleep(below(&own.rng, 20000));
		one_op(&own);
	}
	for (i = 0; i < options.maps; i++)
		if (maps[i].used)
			for (k = maps[i].first; k < maps[i].end; k++)
				look(&own, &maps[i], k);
	will_end(id);
	drop_process(id);
	_exit(0);
}

static bool op_fork(struct worker *w)
{
	struct map *kept[4];
	unsigned int i, n = 0;
	pid_t pid, self = getpid();
	int id;

	if (w->child)
		return false;
	id = take_process();
	if (id < 0)
		return false;
	for (i = 0; i < 4; i++) {
		struct map *m = pick_map(w, true, true);

		if (!m)
			break;
		__atomic_fetch_or(&all->shot[m->shot].users, 1ULL << id,
				  __ATOMIC_SEQ_CST);
		kept[n++] = m;
	}
	/* The child wants the shared mappings as they should be. */
	pthread_rwlock_rdlock(&shared_lock);
	pid = fork();
	if (!pid)
		child(w, id, self, kept, n);
	pthread_rwlock_unlock(&shared_lock);
	if (pid < 0)
		drop_process(id);
	for (i = 0; i < n; i++)
		put_map(kept[i]);
	count(C_FORKS, pid > 0);
	return pid > 0;
}

static void *thread(void *arg)
{
	struct worker *w = arg;

	while (!stopped())
		one_op(w);
	return NULL;
}

static void worker_process(unsigned int id, uint64_t seed)
{
	pthread_t threads[64];
	struct worker *w = calloc(options.threads, sizeof(*w));
	char path[64];
	unsigned int i;

	me = id;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	init_locks();
	for (i = 0; i < all->nr_files; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", all->file[i].fd);
		append_fd[i] = open(path, O_RDWR | O_APPEND);
		direct_fd[i] = open(path, O_RDWR | O_DIRECT);
		shared[i] = mmap(NULL, all->nr_pages * PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, all->file[i].fd, 0);
		if (append_fd[i] < 0 || direct_fd[i] < 0 || shared[i] == MAP_FAILED)
			abort();
	}
	for (i = 0; i < options.threads; i++) {
		w[i].rng = seed + i * 0x1234567;
		w[i].nr = i;
		open_resources(&w[i], false);
		if (pthread_create(&threads[i], NULL, thread, &w[i]))
			abort();
	}
	for (i = 0; i < options.threads; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < options.maps; i++) {
		unsigned int k;

		for (k = maps[i].first; maps[i].used && k < maps[i].end; k++)
			look(&w[0], &maps[i], k);
	}
	/* A child may go on a little. */
	will_end(id);
	_exit(0);
}

/* Surroundings */
static bool put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static long get_file(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return atol(text);
}

/* The number behind @key in a file of keys and numbers. */
static long get_key(const char *path, const char *key)
{
	char line[128];
	size_t len = strlen(key);
	long n = -1;
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len) && line[len] == ' ')
			n = atol(line + len);
	if (file)
		fclose(file);
	return n;
}

static pid_t helpers[8];
static unsigned int nr_helpers;

static bool helper(void)
{
	pid_t pid = fork();

	if (pid) {
		helpers[nr_helpers++] = pid;
		return false;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return true;
}

static void start_helpers(void)
{
	uint64_t rng = options.seed;
	size_t i, len = (size_t)options.pressure << 20;
	int full[2];

	len += (size_t)get_key("/proc/meminfo", "MemAvailable:") << 10;

	if (options.hotplug && helper())
		for (;;) {
			count(C_GONE, put_file("/sys/devices/system/cpu/cpu1/online", "0"));
			usleep(50000 + below(&rng, 300000));
			put_file("/sys/devices/system/cpu/cpu1/online", "1");
			usleep(50000 + below(&rng, 600000));
		}
	if (options.compact && helper())
		for (;;) {
			put_file("/proc/sys/vm/compact_memory", "1");
			usleep(20000 + below(&rng, 200000));
		}
	if (options.drop_caches && helper())
		for (;;) {
			put_file("/proc/sys/vm/drop_caches", below(&rng, 2) ? "1" : "3");
			usleep(50000 + below(&rng, 300000));
		}
	if (options.pressure && pipe(full))
		abort();
	if (options.pressure && helper()) {
		char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		put_file("/proc/self/oom_score_adj", "1000");
		for (i = 0; i < len; i += PAGE)
			__atomic_store_n(&p[i], 1, __ATOMIC_RELAXED);
		close(full[1]);
		for (;;)
			for (i = 0; i < len; i += PAGE) {
				__atomic_store_n(&p[i], i / PAGE, __ATOMIC_RELAXED);
				if (i % (4096 * PAGE) == 0)
					usleep(1000);
			}
	}
	if (options.pressure) {
		char byte;

		/* Before there is pressure all of its memory has to be in use. */
		close(full[1]);
		if (read(full[0], &byte, 1))
			abort();
		close(full[0]);
	}
}

static void stop_helpers(void)
{
	while (nr_helpers) {
		kill(helpers[--nr_helpers], SIGKILL);
		waitpid(helpers[nr_helpers], NULL, 0);
	}
	if (options.hotplug)
		put_file("/sys/devices/system/cpu/cpu1/online", "1");
}

static int run(const char *command)
{
	int ret = system(command);

	if (ret)
		fprintf(stderr, "torture: `%s`: %d\n", command, ret);
	return ret;
}

static char cgroup[128];
static long swapped;

static int set_up(void)
{
	char text[256];

	if (options.zram) {
		snprintf(text, sizeof(text), "%uM", options.zram);
		run("modprobe zram");
		if (!put_file("/sys/block/zram0/disksize", text) ||
		    run("mkswap /dev/zram0 >/dev/null") ||
		    swapon("/dev/zram0", 0)) {
			fprintf(stderr, "torture: no swap on /dev/zram0\n");
			return -1;
		}
		swapped = get_key("/proc/vmstat", "pswpout");
	}
	if (options.cgroup) {
		snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup/torture.%d", getpid());
		snprintf(text, sizeof(text), "%s/memory.max", cgroup);
		mkdir(cgroup, 0755);
		if (access(text, W_OK)) {
			fprintf(stderr, "torture: no memory cgroups\n");
			return -1;
		}
		char limit[32];

		snprintf(limit, sizeof(limit), "%uM", options.cgroup);
		put_file(text, limit);
	}
	if (access("/dev/ram0", F_OK))
		run("modprobe brd rd_nr=1 rd_size=16384 2>/dev/null");
	return 0;
}

static pid_t start_worker(unsigned int id, unsigned int turn)
{
	char path[160], pid[16];
	pid_t p;

	p = fork();
	if (p) {
		/* Without memory there will be one later. */
		all->process[id] = p > 0 ? p : 0;
		return p;
	}
	/* Every second one lives in the cgroup. */
	if (options.cgroup && id % 2) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		snprintf(pid, sizeof(pid), "%d", getpid());
		put_file(path, pid);
	}
	worker_process(id, options.seed + id * 1000003 + turn * 7919);
	_exit(0);
}

/* Files that exist from the beginning to the end, and what is known of them. */
static int create_files(void)
{
	unsigned int i, p, b;
	char path[300];

	for (i = 0; i < all->nr_files; i++) {
		struct file *f = &all->file[i];

		snprintf(path, sizeof(path), "%s/file%u", dir, i);
		f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (f->fd < 0) {
			perror(path);
			return -1;
		}
		lock_init(&f->mutex);
		lock_init(&f->sizes_lock);
		f->nr_sizes = 1;
		f->sizes[0] = (struct size_entry) { .begin = 1, .end = 2 };
		for (p = 0; p < all->nr_pages; p++) {
			lock_init(&f->page[p].lock);
			for (b = 0; b < BLOCKS; b++)
				f->page[p].block[b].ring[0] = (struct entry) {
					.begin = 1, .end = 2, .state = SURE,
					.zero = true, .owner = MAX_PROCS - 1,
				};
		}
	}
	return 0;
}

static int share_memory(void)
{
	unsigned int i, pages = options.pages + SPARE;
	unsigned int shots = options.procs * options.maps * 3;
	struct shot_page *page;

	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shots > MAX_SHOTS)
		shots = MAX_SHOTS;
	page = mmap(NULL, sizeof(*page) * pages * shots, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED || page == MAP_FAILED) {
		perror("torture: mmap");
		return -1;
	}
	for (i = 0; i < shots; i++) {
		all->shot[i].page = page + (size_t)i * pages;
		lock_init(&all->shot[i].lock);
	}
	lock_init(&all->report);
	all->ticket = 3;
	all->seed = options.seed;
	all->nr_files = options.files;
	all->nr_pages = options.pages;
	all->quota = options.ops ?: FOREVER;
	all->tight = options.cgroup;
	all->limited = options.mount && strstr(options.mount, "size=");
	all->segments = options.mount && strstr(options.mount, "segment=");
	return 0;
}

/* Accounts */
static long pages_used(void)
{
	struct statfs st;

	if (statfs(dir, &st))
		return -1;
	return (st.f_blocks - st.f_bfree) * st.f_bsize / PAGE;
}

static long statistic(const char *name)
{
	char path[160];
	struct stat st;

	if (stat(dir, &st))
		return -1;
	snprintf(path, sizeof(path), "/sys/fs/snapmapfs/%u:%u/%s",
		 major(st.st_dev), minor(st.st_dev), name);
	return get_file(path);
}

/* What the last mapping and the last reference have kept is freed soon. */
static void expect_zero(const char *what, long (*get)(const char *),
			const char *name, long zero)
{
	unsigned int tries;
	long found = 0;

	for (tries = 0; tries < 100; tries++) {
		found = get(name);
		if (found <= zero)
			return;
		usleep(50000);
	}
	if (failing()) {
		complain("  %s: %ld in the end, should be %ld\n", what, found, zero);
		failed();
	}
}

static long used(const char *name)
{
	return pages_used();
}

static long enter(void)
{
	const char *type = getenv("SNAP_FSTYPE") ?: "snapmapfs";

	if (options.dir) {
		snprintf(dir, sizeof(dir), "%s", options.dir);
		return pages_used();
	}
	snprintf(dir, sizeof(dir), "/tmp/torture.XXXXXX");
	if (!mkdtemp(dir) || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, type, 0, options.mount)) {
		perror("torture: mount");
		return -1;
	}
	return pages_used();
}

static void show_stuck(void)
{
	char command[160];
	unsigned int i;

	for (i = 0; i < MAX_PROCS; i++) {
		if (!process_at(i))
			continue;
		snprintf(command, sizeof(command),
			 "for t in /proc/%d/task/*; do echo $t; cat $t/wchan $t/stack $t/syscall; done >&2",
			 process_at(i));
		run(command);
	}
}

/* Ends what a process that is dead has left behind. */
static void bury(unsigned int id)
{
	close_changes(id);
	drop_process(id);
}

static void bury_children(void)
{
	unsigned int i;

	for (i = options.procs; i < MAX_PROCS - 1; i++) {
		pid_t pid = process_at(i);

		/* Unless it has passed on meanwhile. */
		if (pid && kill(pid, 0) && errno == ESRCH && pass_place(i, pid, getpid()))
			bury(i);
	}
}

static bool any_process(void)
{
	unsigned int i;

	for (i = 0; i < MAX_PROCS - 1; i++)
		if (process_at(i))
			return true;
	return false;
}

/* Waits for the dead; new ones take their place until the end. */
static void reap(unsigned int *turn)
{
	unsigned int id;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (id = 0; id < options.procs; id++)
			if (process_at(id) == pid)
				break;
		if (id == options.procs)
			continue;
		bury(id);
		if (WIFSIGNALED(status)) {
			if (WTERMSIG(status) == SIGKILL) {
				count(all->tight ? C_OOM : C_KILLED, 1);
			} else if (failing()) {
				complain("  a process died of signal %d\n",
					 WTERMSIG(status));
				failed();
			}
		}
	}
	for (id = 0; id < options.procs && !stopped(); id++)
		if (!process_at(id))
			start_worker(id, ++*turn);
	bury_children();
}

static uint64_t total(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < NR_OPS; i++)
		sum += all->done[i];
	return sum;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void supervise(void)
{
	double start = now(), last_progress = start, kill_at, stop_at = 0;
	uint64_t rng = options.seed ^ 0x5eed, last = 0;
	unsigned int turn = 0;

	kill_at = start + options.kill / 1000.0;
	for (;;) {
		double t = now();

		usleep(20000);
		reap(&turn);
		if (total() != last) {
			last = total();
			last_progress = t;
		}
		if (options.seconds && t - start > options.seconds)
			all->stop = true;
		if (stopped() && !stop_at)
			stop_at = t;
		if (stopped() && !any_process())
			return;
		if (t - (stop_at > last_progress ? stop_at : last_progress) > 180) {
			if (failing()) {
				complain("  no progress for three minutes\n");
				failed();
			}
			show_stuck();
			for (unsigned int i = 0; i < MAX_PROCS; i++)
				if (process_at(i))
					kill(process_at(i), SIGKILL);
			return;
		}
		if (options.kill && t > kill_at && !stopped()) {
			unsigned int id = below(&rng, options.procs * 3);
			pid_t pid = id < MAX_PROCS - 1 ? process_at(id) : 0;

			if (pid)
				kill(pid, SIGKILL);
			kill_at = t + below(&rng, options.kill * 2) / 1000.0;
		}
	}
}

static void results(double seconds)
{
	static const char * const names[NR_COUNTERS] = {
		[C_MAPS] = "private mappings",
		[C_LOOKS] = "pages looked at",
		[C_WORDS] = "words judged",
		[C_AGAIN] = "words seen again",
		[C_OWN] = "own words",
		[C_LIVE] = "live blocks judged",
		[C_BLOCKS] = "blocks judged",
		[C_UNKNOWN] = "blocks of which too little was known",
		[C_UNKNOWN_SIZE] = "mappings of whose size too little was known",
		[C_GROWN] = "pages brought by mremap",
		[C_BUS] = "SIGBUS",
		[C_ENOSPC] = "ENOSPC",
		[C_FORKS] = "children",
		[C_KILLED] = "killed",
		[C_OOM] = "killed at the cgroup's limit",
		[C_GONE] = "times a processor gone",
		[C_TORN] = "halves of words",
	};
	unsigned int i;

	printf("torture: operations:");
	for (i = 0; i < NR_OPS; i++)
		printf(" %s %llu", ops[i].name, (unsigned long long)all->done[i]);
	printf("\ntorture:");
	for (i = 0; i < NR_COUNTERS; i++)
		if (all->counter[i])
			printf(" %llu %s,", (unsigned long long)all->counter[i],
			       names[i]);
	printf(" %llu tickets\n", (unsigned long long)all->ticket);
	printf("torture: %llu operations in %.1f s, %d failures, seed %llu\n",
	       (unsigned long long)total(), seconds, all->failures,
	       (unsigned long long)options.seed);
}

/* Which operations there are: --only and --without name some of them. */
static bool named(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *p;

	for (p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	}
	return false;
}

static void choose_ops(void)
{
	unsigned int i;

	for (i = 0; i < NR_OPS; i++) {
		op_names[i] = ops[i].name;
		weights[i] = ops[i].weight;
		if (options.only && !named(options.only, ops[i].name))
			weights[i] = 0;
		if (options.without && named(options.without, ops[i].name))
			weights[i] = 0;
		all_weights += weights[i];
	}
}

/* Whether what was to make life hard did so, if there was time. */
static void judge_surroundings(double seconds)
{
	char path[160];
	long n;

	if (options.cgroup) {
		snprintf(path, sizeof(path), "%s/memory.events", cgroup);
		n = get_key(path, "max");
		printf("torture: %ld times at the cgroup's limit\n", n);
		if (seconds > 20 && n <= 0 && failing()) {
			complain("  the limit of the cgroup was never reached\n");
			failed();
		}
	}
	if (options.zram && options.pressure) {
		n = get_key("/proc/vmstat", "pswpout") - swapped;
		printf("torture: %ld pages swapped out\n", n);
		if (seconds > 20 && n <= 0 && failing()) {
			complain("  nothing was swapped out\n");
			failed();
		}
	}
	if (options.hotplug && seconds > 20 && !all->counter[C_GONE] && failing()) {
		complain("  no processor was ever gone\n");
		failed();
	}
}

static int torture(void)
{
	long before;
	double start;
	unsigned int i;

	choose_ops();
	if (!all_weights || share_memory())
		return 2;
	me = MAX_PROCS - 1;
	if (set_up())
		return 2;
	before = enter();
	if (before < 0 || create_files())
		return 2;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	start = now();
	start_helpers();
	for (i = 0; i < options.procs; i++)
		start_worker(i, 0);
	supervise();
	stop_helpers();
	judge_surroundings(now() - start);

	/* All mappings are gone. */
	if (statistic("snapshots") >= 0) {
		expect_zero("snapshots", statistic, "snapshots", 0);
		expect_zero("preserved_pages", statistic, "preserved_pages", 0);
	}
	for (i = 0; i < all->nr_files; i++) {
		char path[300];

		snprintf(path, sizeof(path), "%s/file%u", dir, i);
		close(all->file[i].fd);
		/* Who was killed may have been about to give it this name back. */
		if (unlink(path) && (errno != ENOENT || !any_killed()) && failing()) {
			complain("  %s: %s\n", path, strerror(errno));
			failed();
		}
	}
	/* Those who were killed leave names behind. */
	if (any_killed()) {
		char command[320];

		snprintf(command, sizeof(command), "rm -f %s/*", dir);
		run(command);
	}
	expect_zero("pages in use", used, NULL, before);
	if (!options.dir) {
		umount2(dir, MNT_DETACH);
		rmdir(dir);
	}
	if (options.cgroup)
		rmdir(cgroup);
	if (options.zram)
		swapoff("/dev/zram0");
	results(now() - start);
	return all->failures ? 1 : 0;
}

#include "torture_model.h"

static void help(void)
{
	printf("usage: torture [OPTION]...\n"
	       "  --seed N        of the random numbers (the time)\n"
	       "  --ops N         how many operations, and --seconds N, how long (10); 0: no limit\n"
	       "  --procs N --threads N      how many processes (2), each with how many threads (2)\n"
	       "                  (at most 16 processes, of 64 threads)\n"
	       "  --files N --pages N        how many files (3, at most 16), of how many pages (24, at most 256)\n"
	       "  --maps N        private mappings of each process (12, at most 64)\n"
	       "  --mount OPTS    options of the mount; with size= expect ENOSPC\n"
	       "  --dir DIR       do not mount, use DIR\n"
	       "  --only A,B --without A,B   operations\n"
	       "  --kill MS       kill a process about every MS milliseconds\n"
	       "  --cgroup MB     every second process is in a memory cgroup with that limit\n"
	       "  --pressure MB   another process uses so much more memory than there is; --zram MB: swap\n"
	       "  --hotplug --compact --drop-caches   what else goes on\n"
	       "  --model         one thread, against a model to the byte; --trace: say each step\n");
}

/* An option sets a number, a text or a flag. */
static const struct setting {
	const char *name;
	unsigned int *number;
	uint64_t *large;
	const char **text;
	bool *flag;
} settings[] = {
	{ "seed", .large = &options.seed },
	{ "ops", .large = &options.ops },
	{ "seconds", .large = &options.seconds },
	{ "threads", .number = &options.threads },
	{ "procs", .number = &options.procs },
	{ "files", .number = &options.files },
	{ "pages", .number = &options.pages },
	{ "maps", .number = &options.maps },
	{ "dir", .text = &options.dir },
	{ "mount", .text = &options.mount },
	{ "only", .text = &options.only },
	{ "without", .text = &options.without },
	{ "kill", .number = &options.kill },
	{ "cgroup", .number = &options.cgroup },
	{ "pressure", .number = &options.pressure },
	{ "zram", .number = &options.zram },
	{ "hotplug", .flag = &options.hotplug },
	{ "compact", .flag = &options.compact },
	{ "drop-caches", .flag = &options.drop_caches },
	{ "model", .flag = &options.model },
	{ "trace", .flag = &options.trace },
};

#define NR_SETTINGS (sizeof(settings) / sizeof(*settings))

static int parse(int argc, char **argv)
{
	struct option longs[NR_SETTINGS + 1] = {};
	unsigned int i;
	int c;

	for (i = 0; i < NR_SETTINGS; i++) {
		longs[i].name = settings[i].name;
		longs[i].has_arg = !settings[i].flag;
		longs[i].val = i + 1;
	}
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return -1;
	options.seed = time(NULL) * 1000003ULL + getpid();
	options.seconds = FOREVER;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) > 0) {
		const struct setting *s = &settings[c - 1];

		if (c > (int)NR_SETTINGS)
			return -1;
		if (s->flag)
			*s->flag = true;
		else if (s->text)
			*s->text = optarg;
		else if (s->large)
			*s->large = strtoull(optarg, NULL, 0);
		else
			*s->number = strtoul(optarg, NULL, 0);
	}
	if (options.seconds == FOREVER)
		options.seconds = options.ops ? 0 : 10;
	return c == -1 && optind == argc &&
	       options.threads >= 1 && options.threads <= 64 &&
	       options.procs >= 1 && options.procs <= MAX_PROCS / 4 &&
	       options.files >= 1 && options.files <= MAX_FILES &&
	       options.pages >= 1 && options.pages <= MAX_PAGES &&
	       options.maps >= 1 && options.maps <= MAX_MAPS ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	if (parse(argc, argv)) {
		help();
		return 2;
	}
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("torture: seed %llu\n", (unsigned long long)options.seed);
	return options.model ? run_model() : torture();
}
