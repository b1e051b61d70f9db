/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What torture knows of its files, and what it may see of them.
 *
 * Time is a counter of tickets that all processes share. Every operation that
 * changes a file takes a ticket before it begins and one after it has ended,
 * and enters both in the history of each block of 512 bytes that it changes.
 * Each word of eight bytes that it stores names the operation, and the file,
 * block and place it was stored for; zeros are the word of all operations that
 * clear. So it is known of a word from when to when it may have been there:
 * from the beginning of its operation to the end of the first one that began
 * after it had ended.
 *
 * A mapping has an instant T between the tickets before and after its mmap().
 * Each word in it, and each page that is there or is not, tells when T may have
 * been. If nothing is left of the interval, the mapping shows two instants (P3)
 * or what it must not show at all. What was seen once has to stay (P1).
 *
 * All of it is in shared memory, so that a child is held to what its parent
 * saw. Its locks are robust: processes are killed at any time.
 */
#ifndef TORTURE_ORACLE_H
#define TORTURE_ORACLE_H

#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096
#define BLOCK		512
#define BLOCKS		(PAGE / BLOCK)		/* of a page */
#define WORDS		(PAGE / 8)		/* of a page */
#define BLOCK_WORDS	(BLOCK / 8)
#define FOREVER		UINT64_MAX

#define MAX_FILES	16
#define MAX_PAGES	256
#define MAX_PROCS	64
#define MAX_SHOTS	512
#define RING		24
#define SIZES		48
#define CANDIDATES	10
#define RANGES		24
#define PIECES		12

enum state {
	NONE,		/* free, or failed: it changed nothing */
	RUNNING,
	MAYBE,		/* it may have changed the block, or a part of it */
	SURE,
};

struct entry {
	uint64_t begin;
	uint64_t end;
	uint8_t state;
	uint8_t zero;
	uint8_t op;
	uint8_t owner;
};

struct block_history {
	uint64_t forgotten;	/* when the last one that was dropped had ended */
	struct entry ring[RING];
};

struct page_history {
	pthread_mutex_t lock;
	struct block_history block[BLOCKS];
};

/* A change of the size, in blocks. The file's mutex is held from begin to end. */
struct size_entry {
	uint64_t begin;
	uint64_t end;
	uint32_t low, high;	/* while it runs */
	uint32_t size;		/* after it */
	uint8_t op;
};

struct file {
	int fd;
	pthread_mutex_t mutex;	/* around calls that depend on the size */
	uint32_t size;		/* in blocks: where stores may go */
	pthread_mutex_t sizes_lock;
	unsigned int nr_sizes;
	struct size_entry sizes[SIZES];
	struct page_history page[MAX_PAGES];
};

/* A set of tickets. */
struct range {
	uint64_t low, high;
};

struct ranges {
	unsigned int n;
	struct range at[RANGES];
};

/* When the size was what. */
struct piece {
	uint64_t low, high;
	uint32_t min, max;
};

struct pieces {
	bool unknown;
	unsigned int n;
	struct piece at[PIECES];
};

/* What a block may have held, and when. */
struct candidate {
	uint64_t low, high;
	uint64_t seq;		/* 0: zeros */
};

struct candidates {
	uint8_t n;
	bool unknown;
	struct candidate at[CANDIDATES];
};

enum { UNSEEN, THERE, BUS };

/* A page of a snapshot. */
struct shot_page {
	uint64_t first_touch;	/* of a page that mremap() brought */
	uint8_t there;
	bool dropped;		/* a page that mremap() brought was unmapped */
	uint64_t seen[WORDS / 64];
	uint64_t word[WORDS];
	struct candidates block[BLOCKS];
};

/* What is known of a snapshot, by all processes that map it. */
struct shot {
	uint64_t users;		/* a bit for each process */
	pthread_mutex_t lock;
	unsigned int file;
	unsigned int first, end;	/* the pages that were mapped */
	uint64_t before, after;
	struct pieces sizes;
	unsigned int now;
	struct ranges when[2];		/* when T may have been: when[now] */
	struct shot_page *page;		/* by page of the file */
};

enum counter {
	C_LOOKS, C_WORDS, C_AGAIN, C_OWN, C_LIVE, C_UNKNOWN, C_UNKNOWN_SIZE,
	C_BLOCKS, C_BUS, C_ENOSPC, C_FORKS, C_KILLED, C_MAPS, C_GROWN,
	C_OOM, C_GONE, C_TORN, NR_COUNTERS,
};

#define MAX_OPS 64

struct torture {
	uint64_t ticket;
	bool stop;
	int failures;
	pthread_mutex_t report;
	uint64_t seed;
	unsigned int nr_files, nr_pages;
	bool limited;		/* ENOSPC is expected */
	bool tight;		/* so is every sort of failure for want of memory */
	bool segments;		/* mappings may have copies of the file's pages */
	uint64_t done[MAX_OPS];
	uint64_t counter[NR_COUNTERS];
	uint64_t quota;		/* operations to do */
	pid_t process[MAX_PROCS];	/* 0 if the place is free */
	struct file file[MAX_FILES];
	struct shot shot[MAX_SHOTS];
};

static struct torture *all;
static const char *op_names[MAX_OPS];
static unsigned int me;		/* the index of this process */

static inline void count(enum counter which, uint64_t n)
{
	__atomic_fetch_add(&all->counter[which], n, __ATOMIC_RELAXED);
}

static inline uint64_t ticket(void)
{
	return __atomic_fetch_add(&all->ticket, 1, __ATOMIC_SEQ_CST);
}

/* Locks that outlive their holders */
static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
}

static bool is_dead(pid_t thread)
{
	char path[32], text[128] = "", *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	/* If it ends right now there is nothing to read. */
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	state = strrchr(text, ')');
	return !state || state[2] == 'Z' || state[2] == 'X';
}

/*
 * The kernel passes on what a thread held that dies, by a list in the memory of
 * that thread. Who is killed for want of memory loses it after two seconds
 * (queue_oom_reaper(), mm/oom_kill.c), and the list with it. So does what
 * exit_robust_list() would have done.
 */
static void pass_on(pthread_mutex_t *lock)
{
	int *word = &lock->__data.__lock;
	int old = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	if (old & FUTEX_TID_MASK && is_dead(old & FUTEX_TID_MASK))
		__atomic_compare_exchange_n(word, &old,
					    (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Whether the last one to hold it died. */
static bool lock(pthread_mutex_t *lock)
{
	int err = pthread_mutex_trylock(lock);
	struct timespec end;

	while (err == EBUSY || err == ETIMEDOUT) {
		if (err == ETIMEDOUT)
			pass_on(lock);
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += 2;
		err = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &end);
	}
	if (!err)
		return false;
	if (err != EOWNERDEAD || pthread_mutex_consistent(lock)) {
		fprintf(stderr, "torture: a robust mutex: %s\n", strerror(err));
		abort();
	}
	return true;
}

static void unlock(pthread_mutex_t *lock)
{
	pthread_mutex_unlock(lock);
}

/* Random numbers: splitmix64, so that any seed will do. */
static inline uint64_t rnd(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t *state, uint64_t n)
{
	return n ? rnd(state) % n : 0;
}

/* Words */
static inline uint32_t check_of(unsigned int file, unsigned int word,
				uint64_t seq)
{
	uint64_t h = (seq * 0x9e3779b97f4a7c15) ^
		     ((uint64_t)(file + 1) << 40 | word);

	h *= 0xd6e8feb86659fd93;
	return h >> 44;
}

/* The word that operation @seq stores at @word, counted from the file's start. */
static inline uint64_t encode(unsigned int file, unsigned int word, uint64_t seq)
{
	return seq << 20 | check_of(file, word, seq);
}

static inline bool decode(unsigned int file, unsigned int word, uint64_t value,
			  uint64_t *seq)
{
	*seq = value >> 20;
	return !value || (*seq && check_of(file, word, *seq) == (value & 0xfffff));
}

/* Sets of tickets */
static void add_range(struct ranges *set, uint64_t low, uint64_t high)
{
	unsigned int i, k;

	if (low > high)
		return;
	/* Swallow what it touches. */
	for (i = k = 0; i < set->n; i++) {
		struct range r = set->at[i];

		if (r.low <= high && low <= r.high) {
			low = r.low < low ? r.low : low;
			high = r.high > high ? r.high : high;
		} else {
			set->at[k++] = r;
		}
	}
	set->n = k;
	if (set->n == RANGES) {
		/* No room: allow more rather than less. */
		set->at[0].low = 0;
		set->at[0].high = FOREVER;
		set->n = 1;
		return;
	}
	set->at[set->n++] = (struct range) { low, high };
}

static void intersect(struct ranges *to, const struct ranges *a,
		      const struct ranges *b)
{
	unsigned int i, k;

	to->n = 0;
	for (i = 0; i < a->n; i++)
		for (k = 0; k < b->n; k++) {
			uint64_t low = a->at[i].low > b->at[k].low ?
				       a->at[i].low : b->at[k].low;
			uint64_t high = a->at[i].high < b->at[k].high ?
					a->at[i].high : b->at[k].high;

			add_range(to, low, high);
		}
}

/* Adds when the size may have been more than @size, or not more. */
static void add_sizes(struct ranges *set, const struct pieces *pieces,
		      uint32_t size, bool more)
{
	unsigned int i;

	if (pieces->unknown) {
		add_range(set, 0, FOREVER);
		return;
	}
	for (i = 0; i < pieces->n; i++) {
		const struct piece *p = &pieces->at[i];

		if (more ? p->max > size : p->min <= size)
			add_range(set, p->low, p->high);
	}
}

/* History: blocks */
struct change {
	unsigned int file;
	uint8_t op;
	uint64_t seq;
	unsigned int n;
	struct {
		uint32_t from, to;	/* blocks */
		bool zero;
	} part[2];
};

static void begin_change(struct change *c, unsigned int file, uint8_t op)
{
	*c = (struct change) { .file = file, .op = op, .seq = ticket() };
}

static struct entry *oldest(struct block_history *b)
{
	struct entry *found = NULL;
	unsigned int i;

	for (i = 0; i < RING; i++) {
		struct entry *e = &b->ring[i];

		if (e->state == NONE)
			return e;
		if (e->state != RUNNING && (!found || e->end < found->end))
			found = e;
	}
	return found;
}

/* Enters that blocks @from to before @to will change. */
static void will_change(struct change *c, uint32_t from, uint32_t to, bool zero)
{
	struct file *f = &all->file[c->file];
	uint32_t b;

	if (to > all->nr_pages * BLOCKS)
		to = all->nr_pages * BLOCKS;
	if (from >= to)
		return;
	c->part[c->n].from = from;
	c->part[c->n].to = to;
	c->part[c->n++].zero = zero;
	for (b = from; b < to;) {
		struct page_history *p = &f->page[b / BLOCKS];

		lock(&p->lock);
		do {
			struct block_history *h = &p->block[b % BLOCKS];
			struct entry *e = oldest(h);

			if (!e) {
				h->forgotten = FOREVER;
				e = &h->ring[0];
			} else if (e->state != NONE && e->end > h->forgotten) {
				h->forgotten = e->end;
			}
			/* Whole or absent, should we be killed here. */
			__atomic_store_n(&e->state, NONE, __ATOMIC_RELEASE);
			e->begin = c->seq;
			e->end = FOREVER;
			e->zero = zero;
			e->op = c->op;
			e->owner = me;
			__atomic_store_n(&e->state, RUNNING, __ATOMIC_RELEASE);
		} while (++b < to && b % BLOCKS);
		unlock(&p->lock);
	}
}

/* The change is over: for blocks before @done that is sure, for others @rest. */
static void changed(struct change *c, uint32_t done, enum state rest)
{
	struct file *f = &all->file[c->file];
	uint64_t end = ticket();
	unsigned int i, k;
	uint32_t b;

	for (i = 0; i < c->n; i++)
		for (b = c->part[i].from; b < c->part[i].to;) {
			struct page_history *p = &f->page[b / BLOCKS];

			lock(&p->lock);
			do {
				struct entry *e = p->block[b % BLOCKS].ring;

				for (k = 0; k < RING; k++, e++) {
					if (e->begin != c->seq ||
					    e->state != RUNNING)
						continue;
					e->end = end;
					e->state = b < done ? SURE : rest;
				}
			} while (++b < c->part[i].to && b % BLOCKS);
			unlock(&p->lock);
		}
}

/* Ends what process @owner, which is dead, has left. */
static void close_changes(unsigned int owner)
{
	uint64_t end = ticket();
	unsigned int f, p, b, k;

	for (f = 0; f < all->nr_files; f++)
		for (p = 0; p < all->nr_pages; p++) {
			struct page_history *h = &all->file[f].page[p];

			lock(&h->lock);
			for (b = 0; b < BLOCKS; b++)
				for (k = 0; k < RING; k++) {
					struct entry *e = &h->block[b].ring[k];

					if (e->state != RUNNING ||
					    e->owner != owner)
						continue;
					e->end = end;
					e->state = MAYBE;
				}
			unlock(&h->lock);
		}
}

/* What block @b may have held between @low and @high. Called soon after @high. */
static void find_candidates(unsigned int file, uint32_t b, uint64_t low,
			    uint64_t high, struct candidates *found)
{
	struct page_history *p = &all->file[file].page[b / BLOCKS];
	struct block_history *h = &p->block[b % BLOCKS];
	unsigned int i, k;

	found->n = 0;
	lock(&p->lock);
	/* What was dropped does not matter if it had been overwritten before. */
	found->unknown = h->forgotten != 0;
	for (i = 0; i < RING && found->unknown; i++) {
		struct entry *e = &h->ring[i];

		if (e->state == SURE && e->begin > h->forgotten && e->end <= low)
			found->unknown = false;
	}
	for (i = 0; i < RING; i++) {
		struct entry *e = &h->ring[i];
		uint64_t from = e->begin, to = FOREVER;

		if (e->state == NONE || from > high)
			continue;
		for (k = 0; k < RING && e->end != FOREVER; k++) {
			struct entry *next = &h->ring[k];

			if (next->state == SURE && next->begin > e->end &&
			    next->end < to)
				to = next->end;
		}
		from = from > low ? from : low;
		to = to < high ? to : high;
		if (from > to)
			continue;
		if (found->n == CANDIDATES) {
			found->unknown = true;
			break;
		}
		found->at[found->n++] = (struct candidate) {
			from, to, e->zero ? 0 : e->begin,
		};
	}
	unlock(&p->lock);
}

/* History: sizes */
static void begin_size(unsigned int file, uint64_t seq, uint8_t op,
		       uint32_t low, uint32_t high)
{
	struct file *f = &all->file[file];
	struct size_entry *e;

	lock(&f->sizes_lock);
	e = &f->sizes[f->nr_sizes % SIZES];
	*e = (struct size_entry) { seq, FOREVER, low, high, high, op };
	__atomic_store_n(&f->nr_sizes, f->nr_sizes + 1, __ATOMIC_RELEASE);
	unlock(&f->sizes_lock);
}

static void end_size(unsigned int file, uint32_t size)
{
	struct file *f = &all->file[file];
	struct size_entry *e;

	lock(&f->sizes_lock);
	e = &f->sizes[(f->nr_sizes - 1) % SIZES];
	e->size = size;
	e->end = ticket();
	unlock(&f->sizes_lock);
	__atomic_store_n(&f->size, size, __ATOMIC_SEQ_CST);
}

static uint32_t real_size(unsigned int file)
{
	struct stat st;

	if (fstat(all->file[file].fd, &st))
		abort();
	return st.st_size / BLOCK;
}

/* For calls that depend on the size, or change it. */
static void lock_size(unsigned int file)
{
	struct file *f = &all->file[file];

	if (!lock(&f->mutex))
		return;
	/* Who held it was killed. What he did to the size is over. */
	if (f->sizes[(f->nr_sizes - 1) % SIZES].end == FOREVER)
		end_size(file, real_size(file));
	else
		__atomic_store_n(&f->size, real_size(file), __ATOMIC_SEQ_CST);
}

static void unlock_size(unsigned int file)
{
	unlock(&all->file[file].mutex);
}

/* What the size may have been between @low and @high. */
static void find_sizes(unsigned int file, uint64_t low, uint64_t high,
		       struct pieces *found)
{
	struct file *f = &all->file[file];
	unsigned int i, first;

	found->n = 0;
	lock(&f->sizes_lock);
	first = f->nr_sizes > SIZES ? f->nr_sizes - SIZES : 0;
	found->unknown = first && f->sizes[first % SIZES].begin > low;
	for (i = first; i < f->nr_sizes && !found->unknown; i++) {
		struct size_entry *e = &f->sizes[i % SIZES];
		uint64_t next = i + 1 < f->nr_sizes ?
				f->sizes[(i + 1) % SIZES].begin : FOREVER;

		if (e->begin > high || next < low)
			continue;
		if (found->n + 2 > PIECES) {
			found->unknown = true;
			break;
		}
		found->at[found->n++] = (struct piece) {
			e->begin, e->end, e->low, e->high
		};
		if (e->end != FOREVER)
			found->at[found->n++] = (struct piece) {
				e->end, next, e->size, e->size
			};
	}
	unlock(&f->sizes_lock);
}

/* Complaints */
#define complain(...) fprintf(stderr, __VA_ARGS__)

static void show_ranges(const char *what, const struct ranges *set)
{
	unsigned int i;

	complain("  %s:", what);
	for (i = 0; i < set->n; i++)
		complain(" %llu..%lld", (unsigned long long)set->at[i].low,
			 (long long)set->at[i].high);
	complain("%s\n", set->n ? "" : " never");
}

static int by_begin(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void show_block(unsigned int file, uint32_t b)
{
	static const char * const states[] = { "none", "running", "maybe", "sure" };
	struct page_history *p = &all->file[file].page[b / BLOCKS];
	struct block_history *h = &p->block[b % BLOCKS];
	struct entry ring[RING];
	unsigned int i;

	lock(&p->lock);
	memcpy(ring, h->ring, sizeof(ring));
	unlock(&p->lock);
	qsort(ring, RING, sizeof(*ring), by_begin);
	complain("  operations on block %u of file %u (page %u), forgotten before %llu:\n",
		 b, file, b / BLOCKS, (unsigned long long)h->forgotten);
	for (i = 0; i < RING; i++)
		if (ring[i].state != NONE)
			complain("    %8llu..%-8lld %-7s %s%s, process %u\n",
				 (unsigned long long)ring[i].begin,
				 (long long)ring[i].end,
				 states[ring[i].state], op_names[ring[i].op],
				 ring[i].zero ? ", zeros" : "", ring[i].owner);
}

static void show_sizes(const struct pieces *pieces)
{
	unsigned int i;

	complain("  size in blocks%s:", pieces->unknown ? ", unknown" : "");
	for (i = 0; i < pieces->n; i++)
		complain(" %u..%u at %llu..%lld", pieces->at[i].min,
			 pieces->at[i].max,
			 (unsigned long long)pieces->at[i].low,
			 (long long)pieces->at[i].high);
	complain("\n");
}

static void show_candidates(const struct candidates *c)
{
	unsigned int i;

	complain("  expected%s:", c->unknown ? " (incomplete)" : "");
	for (i = 0; i < c->n; i++)
		complain(" %llu at %llu..%lld",
			 (unsigned long long)c->at[i].seq,
			 (unsigned long long)c->at[i].low,
			 (long long)c->at[i].high);
	complain("\n");
}

/* Begins a complaint; only the first ones are of interest. */
static bool failing(void)
{
	if (__atomic_fetch_add(&all->failures, 1, __ATOMIC_SEQ_CST) >= 3)
		return false;
	lock(&all->report);
	complain("torture: FAILED, seed %llu, process %u, ticket %llu:\n",
		 (unsigned long long)all->seed, me,
		 (unsigned long long)all->ticket);
	return true;
}

static void failed(void)
{
	fflush(stderr);
	__atomic_store_n(&all->stop, true, __ATOMIC_SEQ_CST);
	unlock(&all->report);
}

/* When a word of block @b may have held @seq, as far as is known. */
static void when_held(struct ranges *when, const struct candidates *block,
		      const struct pieces *sizes, uint32_t b, uint64_t seq, bool live)
{
	struct ranges held = {}, size = {};
	unsigned int i;

	when->n = 0;
	if (block->unknown) {
		add_range(when, 0, FOREVER);
		return;
	}
	for (i = 0; i < block->n; i++)
		if (block->at[i].seq == seq)
			add_range(&held, block->at[i].low, block->at[i].high);
	if (seq && live) {
		/* Shared mappings show what was stored behind the end. */
		*when = held;
		return;
	}
	/* Behind the end there are zeros. */
	add_sizes(&size, sizes, b, seq);
	if (seq) {
		intersect(when, &held, &size);
		return;
	}
	*when = held;
	for (i = 0; i < size.n; i++)
		add_range(when, size.at[i].low, size.at[i].high);
}

/*
 * Whether each byte of @found, word @word of the file, is of one of what the block
 * may have held. The kernel copies bytes (rep movsb), and some processors do so one
 * by one: who reads or keeps a page that is being written to may get half a word.
 */
static bool is_torn(unsigned int file, unsigned int word, uint64_t found,
		    const struct candidates *block)
{
	uint64_t differs, wrong = FOREVER;
	unsigned int i, byte;

	for (i = 0; i < block->n; i++) {
		uint64_t seq = block->at[i].seq;

		differs = found ^ (seq ? encode(file, word, seq) : 0);
		for (byte = 0; byte < 64; byte += 8)
			if (!(differs >> byte & 0xff))
				wrong &= ~(0xffULL << byte);
	}
	return !wrong || block->unknown;
}

/*
 * Judges @nr blocks at @words, whose first word is number @base of the file, but
 * for the words in @skip. All must be of one instant in @when, which is narrowed
 * down; or, if @live, each of its own. 0, or -1 if a word is wrong; then a
 * complaint was made.
 */
static int judge(const char *what, unsigned int file, unsigned int base,
		 const uint64_t *words, unsigned int nr, const uint64_t *skip,
		 const struct candidates *blocks, const struct pieces *sizes,
		 struct ranges *when, bool live)
{
	unsigned int w, b, judged = 0;

	for (b = 0; b < nr; b++) {
		uint64_t last = FOREVER;

		for (w = b * BLOCK_WORDS; w < (b + 1) * BLOCK_WORDS; w++) {
			const uint32_t block = base / BLOCK_WORDS + b;
			struct ranges held, both;
			uint64_t seq;
			bool sane;

			if (skip && skip[w / 64] >> (w % 64) & 1)
				continue;
			sane = decode(file, base + w, words[w], &seq);
			judged++;
			if (sane && seq == last)
				continue;
			if (!sane && is_torn(file, base + w, words[w], &blocks[b])) {
				count(C_TORN, 1);
				continue;
			}
			if (last == FOREVER) {
				count(C_BLOCKS, 1);
				count(C_UNKNOWN, blocks[b].unknown);
			}
			last = seq;
			both.n = 0;
			if (sane) {
				when_held(&held, &blocks[b], sizes, block, seq,
					  live);
				intersect(&both, when, &held);
			}
			if (both.n) {
				if (!live)
					*when = both;
				continue;
			}
			if (!failing())
				return -1;
			complain("  %s: file %u, page %u, block %u, word %u: found %#llx, ",
				 what, file, base / WORDS, block, w,
				 (unsigned long long)words[w]);
			if (sane)
				complain("stored by %llu\n",
					 (unsigned long long)seq);
			else
				complain("which nobody stored there\n");
			show_ranges("the instant lies in", when);
			if (sane)
				show_ranges("this was there", &held);
			show_candidates(&blocks[b]);
			show_sizes(sizes);
			show_block(file, block);
			failed();
			return -1;
		}
	}
	count(C_WORDS, judged);
	return 0;
}

#endif /* TORTURE_ORACLE_H */
