/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture: private mappings, and what is done with them. Part of torture.c.
 */
#ifndef TORTURE_MAP_H
#define TORTURE_MAP_H

/* Snapshots */
static struct shot_page *page_of(struct shot *s, unsigned int page)
{
	return &s->page[page];
}

static int take_shot(void)
{
	unsigned int i;

	for (i = 0; i < MAX_SHOTS; i++) {
		struct shot *s = &all->shot[i];
		uint64_t nobody = 0;

		if (s->page && __atomic_compare_exchange_n(&s->users, &nobody,
							   1ULL << me, false,
							   __ATOMIC_SEQ_CST,
							   __ATOMIC_SEQ_CST))
			return i;
	}
	return -1;
}

static pthread_mutex_t shot_maps_lock = PTHREAD_MUTEX_INITIALIZER;

static void hold_shot(unsigned int shot)
{
	pthread_mutex_lock(&shot_maps_lock);
	shot_maps[shot]++;
	pthread_mutex_unlock(&shot_maps_lock);
}

static void drop_shot(unsigned int shot)
{
	pthread_mutex_lock(&shot_maps_lock);
	if (!--shot_maps[shot])
		__atomic_fetch_and(&all->shot[shot].users, ~(1ULL << me),
				   __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&shot_maps_lock);
}

static struct map_page *new_page(void)
{
	struct map_page *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	return p;
}

static void free_page(struct map_page *p)
{
	free(p->own_word);
	free(p->word);
	free(p);
}

/*
 * Notes that pages of a map are about to go: what was seen of those that mremap
 * brought may not be what the next one brings. Not afterwards, for that may be
 * another process's, and sooner.
 */
static void will_forget(const struct map *m, unsigned int from, unsigned int end)
{
	struct shot *s = &all->shot[m->shot];
	unsigned int i;

	lock(&s->lock);
	for (i = from; i < end; i++)
		if (i >= s->end)
			page_of(s, i)->dropped = true;
	unlock(&s->lock);
}

/* As will_forget(), for all that process @id has mapped: it is about to end. */
static void will_end(unsigned int id)
{
	unsigned int i, k;

	for (i = 0; i < MAX_SHOTS; i++) {
		struct shot *s = &all->shot[i];

		if (!(__atomic_load_n(&s->users, __ATOMIC_SEQ_CST) >> id & 1))
			continue;
		lock(&s->lock);
		for (k = s->end; k < all->nr_pages + SPARE; k++)
			page_of(s, k)->dropped = true;
		unlock(&s->lock);
	}
}

/* Forgets pages of a map, which are not mapped any more. */
static void forget_pages(struct map *m, unsigned int from, unsigned int end)
{
	unsigned int i;

	for (i = from; i < end; i++) {
		free_page(m->page[i]);
		m->page[i] = NULL;
	}
}

/* A map that is in use, or that is not, locked; NULL if none is at hand. */
static struct map *pick_map(struct worker *w, bool used, bool exclusive)
{
	unsigned int i, at = rnd(&w->rng);

	for (i = 0; i < options.maps; i++) {
		struct map *m = &maps[(at + i) % options.maps];

		if (exclusive ? pthread_rwlock_trywrlock(&m->lock) :
				pthread_rwlock_tryrdlock(&m->lock))
			continue;
		if (m->used == used)
			return m;
		pthread_rwlock_unlock(&m->lock);
	}
	return NULL;
}

static void put_map(struct map *m)
{
	pthread_rwlock_unlock(&m->lock);
}

static void *reserve(unsigned int pages)
{
	void *p = mmap(NULL, (size_t)pages * PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p;
}

static bool op_map(struct worker *w)
{
	struct map *m = pick_map(w, false, true), *next = NULL;
	unsigned int file, first, end, i, b;
	int flags = MAP_PRIVATE, shot, prot = PROT_READ;
	void *at = NULL;
	struct shot *s;

	if (!m)
		return false;
	shot = take_shot();
	if (shot < 0) {
		put_map(m);
		return false;
	}
	s = &all->shot[shot];
	file = pick_file(w);
	first = one_in(w, 2) ? 0 : below(&w->rng, all->nr_pages);
	end = one_in(w, 2) ? all->nr_pages :
			     first + 1 + below(&w->rng, all->nr_pages - first);
	if (one_in(w, 8))
		end += below(&w->rng, SPARE + 1);
	if (one_in(w, 4)) {
		/* Behind another one, of the same file. */
		next = pick_map(w, true, false);
		if (next && next->end < all->nr_pages) {
			file = all->shot[next->shot].file;
			at = next->addr + (size_t)(next->end - next->first) * PAGE;
			first = next->end;
			end = first + 1 + below(&w->rng, all->nr_pages - first);
			flags |= MAP_FIXED_NOREPLACE;
		}
		if (next)
			put_map(next);
	}
	if (one_in(w, 8))
		flags |= MAP_POPULATE;
	m->writable = one_in(w, 2);
	if (m->writable)
		prot |= PROT_WRITE;

	for (i = 0; i < all->nr_pages + SPARE; i++) {
		struct shot_page *p = page_of(s, i);

		p->first_touch = 0;
		p->there = UNSEEN;
		/* Nobody is told before a process is killed. */
		p->dropped = any_killed();
		memset(p->seen, 0, sizeof(p->seen));
	}
	s->file = file;
	s->first = first;
	s->end = end;

	s->before = ticket();
	at = mmap(at, (size_t)(end - first) * PAGE, prot, flags,
		  all->file[file].fd, (off_t)first * PAGE);
	s->after = ticket();
	if (at == MAP_FAILED) {
		__atomic_fetch_and(&s->users, ~(1ULL << me), __ATOMIC_SEQ_CST);
		put_map(m);
		if (flags & MAP_FIXED_NOREPLACE && errno == EEXIST)
			return false;
		check_error(w, "mmap", -1, true);
		return false;
	}
	for (i = first; i < end && i < all->nr_pages; i++)
		for (b = 0; b < BLOCKS; b++)
			find_candidates(file, i * BLOCKS + b, s->before,
					s->after, &page_of(s, i)->block[b]);
	find_sizes(file, s->before, s->after, &s->sizes);
	count(C_UNKNOWN_SIZE, s->sizes.unknown);
	s->now = 0;
	s->when[0].n = 0;
	add_range(&s->when[0], s->before, s->after);

	m->shot = shot;
	hold_shot(shot);
	m->addr = at;
	m->first = first;
	m->end = end;
	m->hidden = m->locked = false;
	for (i = first; i < end; i++)
		m->page[i] = new_page();
	m->used = true;
	put_map(m);
	count(C_MAPS, 1);
	return true;
}

/* Looking */
static bool bit(const uint64_t *bits, unsigned int i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void set_bit(uint64_t *bits, unsigned int i)
{
	bits[i / 64] |= 1ULL << (i % 64);
}

/* The last page that was looked at, and how, for complaints. */
static __thread struct {
	const struct map *map;
	unsigned int page, way;
	int err;
} looked;

static int fetch(struct worker *w, const char *from, uint64_t *words)
{
	struct iovec local = { words, PAGE }, remote = { (void *)from, PAGE };
	ssize_t got = -1;

	looked.way = below(&w->rng, 6);
	errno = 0;
	switch (looked.way) {
	case 0:
		got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		break;
	case 1:
		got = pwrite(w->memfd, from, PAGE, 0);
		if (got == PAGE && pread(w->memfd, words, PAGE, 0) != PAGE)
			abort();
		break;
	case 2:
		got = pread(w->mem, words, PAGE, (uintptr_t)from);
		break;
	}
	looked.err = errno;
	/* Calls fail for want of memory, too. A load does not. */
	if (looked.way > 2 || (got != PAGE && options.cgroup))
		got = copy_words(words, (const uint64_t *)from, WORDS) * 8;
	return got == PAGE ? THERE : BUS;
}

static void show_look(void)
{
	static const char * const ways[] = {
		"process_vm_readv", "write", "/proc/self/mem", "loads", "loads", "loads",
	};
	const struct map *m = looked.map;
	bool loose = m->page[looked.page]->loose;

	complain("  looked at page %u by %s: %s; %s the mapping of pages %u..%u%s\n",
		 looked.page, ways[looked.way], strerror(looked.err),
		 loose ? "it came back to" : "it is of", m->first, m->end,
		 m->locked ? ", locked" : "");
}

/* A page does not show what it has to. */
static void wrong_word(const struct shot *s, unsigned int page, unsigned int w,
		       uint64_t found, uint64_t expected, const char *why)
{
	unsigned int word = page * WORDS + w;
	uint64_t seq, wanted;
	bool sane = decode(s->file, word, found, &seq);
	bool known = decode(s->file, word, expected, &wanted);

	if (!failing())
		return;
	complain("  %s: file %u, page %u, block %u, word %u, of a snapshot of pages %u..%u taken between %llu and %llu\n",
		 why, s->file, page, word / BLOCK_WORDS, w, s->first, s->end,
		 (unsigned long long)s->before, (unsigned long long)s->after);
	complain("  found %#llx (%s%llu), expected %#llx (%s%llu)\n",
		 (unsigned long long)found, sane ? "stored by " : "nobody's ",
		 (unsigned long long)seq, (unsigned long long)expected,
		 known ? "stored by " : "nobody's ", (unsigned long long)wanted);
	show_look();
	show_ranges("the instant lies in", &s->when[s->now]);
	if (page < all->nr_pages) {
		show_candidates(&s->page[page].block[w / BLOCK_WORDS]);
		show_block(s->file, word / BLOCK_WORDS);
	}
	show_sizes(&s->sizes);
	failed();
}

static void wrong_page(const struct shot *s, unsigned int page, const char *why)
{
	if (!failing())
		return;
	complain("  %s: file %u, page %u of a snapshot of pages %u..%u taken between %llu and %llu\n",
		 why, s->file, page, s->first, s->end,
		 (unsigned long long)s->before, (unsigned long long)s->after);
	show_look();
	show_ranges("the instant lies in", &s->when[s->now]);
	show_sizes(&s->sizes);
	failed();
}

/* Whether the instant can be one when the page was there, or was not. */
static bool narrow(struct shot *s, unsigned int page, bool there)
{
	struct ranges may = {}, *next = &s->when[!s->now];

	add_sizes(&may, &s->sizes, page * BLOCKS, there);
	intersect(next, &s->when[s->now], &may);
	if (!next->n)
		return false;
	s->now = !s->now;
	return true;
}

/* The first look at a page that has the instant of its first touch. */
static bool judge_grown(struct shot *s, unsigned int page, const uint64_t *words,
			const uint64_t *skip, uint64_t after)
{
	struct shot_page *p = page_of(s, page);
	struct ranges when = {};
	struct pieces sizes;
	unsigned int b;

	for (b = 0; b < BLOCKS; b++)
		find_candidates(s->file, page * BLOCKS + b, p->first_touch, after,
				&p->block[b]);
	find_sizes(s->file, p->first_touch, after, &sizes);
	add_range(&when, p->first_touch, after);
	count(C_GROWN, 1);
	return !judge("a page brought by mremap", s->file, page * WORDS, words,
		      BLOCKS, skip, p->block, &sizes, &when, false);
}

/* Looks at a page of a map, which is locked, and judges it. */
static void look(struct worker *w, struct map *m, unsigned int page)
{
	struct shot *s = &all->shot[m->shot];
	struct shot_page *p = page_of(s, page);
	struct map_page *mine = m->page[page];
	const char *at = m->addr + (size_t)(page - m->first) * PAGE;
	bool grown = page >= s->end, loose;
	uint64_t words[WORDS], skip[WORDS / 64];
	unsigned int i, own = 0, again = 0;
	uint64_t before = 0, after = 0;
	int there;

	if (m->hidden)
		return;
	looked.map = m;
	looked.page = page;
	if (grown || mine->loose) {
		/* A page can come after a SIGBUS here: in the order of looks. */
		lock(&s->lock);
		before = ticket();
		if (!p->first_touch)
			p->first_touch = before;
		there = fetch(w, at, words);
		after = ticket();
	} else {
		there = fetch(w, at, words);
		lock(&s->lock);
	}
	count(C_LOOKS, 1);
	loose = mine->loose || (grown && p->dropped);

	for (i = 0; i < WORDS / 64; i++)
		own += __builtin_popcountll(mine->own[i]);
	if (there == BUS) {
		count(C_BUS, 1);
		if (own) {
			wrong_page(s, page, "SIGBUS where the mapping has stores of its own");
		} else if (loose) {
			for (i = 0; i < WORDS / 64; i++)
				if (mine->seen[i])
					break;
			if (i < WORDS / 64)
				wrong_page(s, page, "SIGBUS where there was a page");
		} else if (p->there == THERE) {
			wrong_page(s, page, "SIGBUS where there was a page");
		} else if (grown) {
			if (page < all->nr_pages && !all->limited && !all->tight &&
			    !may_have_ended(s->file, page * BLOCKS, before))
				wrong_page(s, page, "SIGBUS within the live size, in a part brought by mremap");
		} else if (p->there == UNSEEN) {
			if (!narrow(s, page, false))
				wrong_page(s, page, "SIGBUS within the size");
			p->there = BUS;
		}
		goto out;
	}

	if (page >= all->nr_pages && !own && !loose) {
		wrong_page(s, page, "no SIGBUS behind the end");
		goto out;
	}
	/* With stores of its own, the page is there whatever the file's was. */
	if (!loose && !grown) {
		if (p->there == BUS) {
			wrong_page(s, page, "no SIGBUS where there was one");
			goto out;
		}
		if (p->there == UNSEEN && !narrow(s, page, true)) {
			wrong_page(s, page, "no SIGBUS behind the end");
			goto out;
		}
	}
	for (i = 0; i < WORDS; i++) {
		uint64_t want;

		if (bit(mine->own, i))
			want = mine->own_word[i];
		else if (loose && bit(mine->seen, i))
			want = mine->word[i];
		else if (!loose && bit(p->seen, i))
			want = p->word[i];
		else
			continue;
		again++;
		if (words[i] != want) {
			wrong_word(s, page, i, words[i], want,
				   bit(mine->own, i) ? "an own store is lost" :
						       "what was seen has changed");
			goto out;
		}
	}
	count(C_AGAIN, again - own);
	count(C_OWN, own);
	if (loose) {
		if (!mine->word)
			mine->word = malloc(PAGE);
		for (i = 0; i < WORDS; i++) {
			if (bit(mine->own, i) || bit(mine->seen, i))
				continue;
			mine->word[i] = words[i];
			set_bit(mine->seen, i);
		}
		goto out;
	}
	for (i = 0; i < WORDS / 64; i++)
		skip[i] = mine->own[i] | p->seen[i];
	if (again < WORDS) {
		if (!grown) {
			struct ranges *next = &s->when[!s->now];

			*next = s->when[s->now];
			if (judge("a private mapping", s->file, page * WORDS, words,
				  BLOCKS, skip, p->block, &s->sizes, next, false))
				goto out;
			s->now = !s->now;
		} else if (p->there == UNSEEN &&
			   !judge_grown(s, page, words, skip, after)) {
			goto out;
		}
		for (i = 0; i < WORDS; i++)
			if (!bit(skip, i))
				p->word[i] = words[i];
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		for (i = 0; i < WORDS / 64; i++)
			p->seen[i] |= ~mine->own[i];
	}
	p->there = THERE;
out:
	unlock(&s->lock);
}

static bool op_look(struct worker *w)
{
	struct map *m = pick_map(w, true, false);
	unsigned int i, n;

	if (!m)
		return false;
	if (one_in(w, 6)) {
		for (i = m->first; i < m->end; i++)
			look(w, m, i);
	} else {
		for (n = 1 + below(&w->rng, 4); n; n--)
			look(w, m, m->first + below(&w->rng, m->end - m->first));
	}
	put_map(m);
	return true;
}

/* What touches pages without a look at them: their first touch is now. */
static void will_touch(struct map *m)
{
	struct shot *s = &all->shot[m->shot];
	unsigned int i;

	if (m->end <= s->end)
		return;
	lock(&s->lock);
	for (i = m->first > s->end ? m->first : s->end; i < m->end; i++)
		if (!page_of(s, i)->first_touch)
			page_of(s, i)->first_touch = ticket();
	unlock(&s->lock);
}

static bool op_own_store(struct worker *w)
{
	struct map *m = pick_map(w, true, true);
	uint64_t words[WORDS];
	unsigned int page, from, n, i;
	struct map_page *mine;
	struct shot *s;

	if (!m)
		return false;
	if (!m->writable || m->hidden) {
		put_map(m);
		return false;
	}
	s = &all->shot[m->shot];
	page = m->first + below(&w->rng, m->end - m->first);
	mine = m->page[page];
	from = below(&w->rng, WORDS);
	n = one_in(w, 4) ? WORDS - from : 1;
	will_touch(m);
	for (i = 0; i < n; i++)
		words[i] = rnd(&w->rng);
	if (copy_words((uint64_t *)(m->addr + (size_t)(page - m->first) * PAGE) +
		       from, words, n) < n) {
		/* Look whether it had reason to. */
		look(w, m, page);
		put_map(m);
		return true;
	}
	if (!mine->own_word)
		mine->own_word = malloc(PAGE);
	for (i = 0; i < n; i++) {
		mine->own_word[from + i] = words[i];
		set_bit(mine->own, from + i);
	}
	if (page >= s->end && page >= all->nr_pages) {
		looked.map = m;
		looked.page = page;
		wrong_page(s, page, "a store behind the end");
	}
	if (one_in(w, 2))
		look(w, m, page);
	put_map(m);
	return true;
}

/* Drops pages from the page tables, and own stores with them. */
static bool op_dontneed(struct worker *w)
{
	struct map *m = pick_map(w, true, true);
	unsigned int from, n, i;

	if (!m)
		return false;
	from = m->first + below(&w->rng, m->end - m->first);
	n = 1 + below(&w->rng, m->end - from);
	if (madvise(m->addr + (size_t)(from - m->first) * PAGE, (size_t)n * PAGE,
		    MADV_DONTNEED)) {
		if (!m->locked)
			check_error(w, "MADV_DONTNEED", -1, false);
	} else {
		for (i = from; i < from + n; i++)
			memset(m->page[i]->own, 0, sizeof(m->page[i]->own));
	}
	put_map(m);
	return true;
}

static bool op_advise(struct worker *w)
{
	static const int advice[] = {
		MADV_WILLNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
		MADV_COLD, MADV_PAGEOUT, MADV_RANDOM, MADV_SEQUENTIAL,
		MADV_NORMAL, MADV_DOFORK, MADV_MERGEABLE,
	};
	struct map *m = pick_map(w, true, true);
	unsigned int from, n;

	if (!m)
		return false;
	from = m->first + below(&w->rng, m->end - m->first);
	n = 1 + below(&w->rng, m->end - from);
	will_touch(m);
	/* Some fail, on a mapping that is locked, hidden or has an end. */
	madvise(m->addr + (size_t)(from - m->first) * PAGE, (size_t)n * PAGE,
		advice[below(&w->rng, sizeof(advice) / sizeof(*advice))]);
	if (one_in(w, 4))
		msync(m->addr, (size_t)(m->end - m->first) * PAGE, MS_SYNC);
	put_map(m);
	return true;
}

static bool op_mlock(struct worker *w)
{
	struct map *m = pick_map(w, true, true);
	size_t len;

	if (!m)
		return false;
	len = (size_t)(m->end - m->first) * PAGE;
	will_touch(m);
	if (m->locked)
		munlock(m->addr, len);
	else if (one_in(w, 2))
		mlock(m->addr, len);
	else
		mlock2(m->addr, len, MLOCK_ONFAULT);
	m->locked = !m->locked;
	put_map(m);
	return true;
}

static bool op_protect(struct worker *w)
{
	struct map *m = pick_map(w, true, true);
	unsigned int from, n;
	char *at;

	if (!m)
		return false;
	from = below(&w->rng, m->end - m->first);
	n = 1 + below(&w->rng, m->end - m->first - from);
	at = m->addr + (size_t)from * PAGE;
	if (one_in(w, 3)) {
		/* Split and merge again. */
		mprotect(at, (size_t)n * PAGE, PROT_READ | PROT_EXEC);
	} else if (!m->hidden && one_in(w, 3)) {
		mprotect(m->addr, (size_t)(m->end - m->first) * PAGE, PROT_NONE);
		m->hidden = true;
		put_map(m);
		return true;
	}
	if (one_in(w, 3))
		m->writable = !m->writable;
	mprotect(m->addr, (size_t)(m->end - m->first) * PAGE,
		 m->writable ? PROT_READ | PROT_WRITE : PROT_READ);
	m->hidden = false;
	put_map(m);
	return true;
}

static void end_map(struct map *m)
{
	will_forget(m, m->first, m->end);
	if (munmap(m->addr, (size_t)(m->end - m->first) * PAGE))
		abort();
	forget_pages(m, m->first, m->end);
	m->used = false;
	drop_shot(m->shot);
}

static bool op_unmap(struct worker *w)
{
	struct map *m = pick_map(w, true, true), *rest;
	unsigned int from, end;

	if (!m)
		return false;
	from = m->first + below(&w->rng, m->end - m->first);
	end = from + 1 + below(&w->rng, m->end - from);
	if (one_in(w, 4) || (from == m->first && end == m->end)) {
		unsigned int i;

		/* A last look, at times. */
		for (i = m->first; i < m->end && one_in(w, 2); i++)
			look(w, m, i);
		end_map(m);
		put_map(m);
		return true;
	}
	if (from > m->first && end < m->end) {
		rest = pick_map(w, false, true);
		if (rest) {
			rest->shot = m->shot;
			hold_shot(m->shot);
			rest->first = end;
			rest->end = m->end;
			rest->addr = m->addr + (size_t)(end - m->first) * PAGE;
			rest->writable = m->writable;
			rest->hidden = m->hidden;
			rest->locked = m->locked;
			memcpy(rest->page + end, m->page + end,
			       (m->end - end) * sizeof(*m->page));
			m->end = end;
			rest->used = true;
			put_map(rest);
		} else {
			end = m->end;
		}
	}
	will_forget(m, from, end);
	if (munmap(m->addr + (size_t)(from - m->first) * PAGE,
		   (size_t)(end - from) * PAGE))
		abort();
	forget_pages(m, from, end);
	if (from == m->first) {
		m->addr += (size_t)(end - from) * PAGE;
		m->first = end;
	} else {
		m->end = from;
	}
	put_map(m);
	return true;
}

/* Move, also without unmapping; shrink; grow. */
static bool op_remap(struct worker *w)
{
	struct map *m = pick_map(w, true, true), *old;
	unsigned int pages, end, i;
	char *at, *to;
	size_t len;

	if (!m)
		return false;
	pages = m->end - m->first;
	len = (size_t)pages * PAGE;
	switch (below(&w->rng, 4)) {
	case 0:
		to = reserve(pages);
		at = mremap(m->addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		if (at != MAP_FAILED)
			m->addr = at;
		else
			munmap(to, len);
		break;
	case 1:
		old = pick_map(w, false, true);
		if (!old)
			break;
		at = m->locked ? MAP_FAILED :
		     mremap(m->addr, len, len,
			    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
		if (at != MAP_FAILED) {
			/* The old one lacks the own stores. */
			old->shot = m->shot;
			hold_shot(m->shot);
			old->first = m->first;
			old->end = m->end;
			old->addr = m->addr;
			old->writable = m->writable;
			old->hidden = m->hidden;
			old->locked = false;
			for (i = m->first; i < m->end; i++) {
				old->page[i] = new_page();
				old->page[i]->loose = m->page[i]->loose;
			}
			old->used = true;
			m->addr = at;
		}
		put_map(old);
		break;
	case 2:
		end = m->first + 1 + below(&w->rng, pages);
		will_forget(m, end, m->end);
		at = mremap(m->addr, len, (size_t)(end - m->first) * PAGE, 0);
		if (at == MAP_FAILED)
			break;
		forget_pages(m, end, m->end);
		m->end = end;
		break;
	default:
		end = m->end + 1 + below(&w->rng, all->nr_pages + SPARE - m->end);
		if (end > all->nr_pages + SPARE)
			break;
		i = m->end;
		for (; i < end; i++) {
			struct shot *s = &all->shot[m->shot];

			m->page[i] = new_page();
			/* Whether that shows T or its first touch is open. */
			m->page[i]->loose = i < s->end;
		}
		i = m->end;
		m->end = end;
		if (m->locked)
			will_touch(m);
		at = mremap(m->addr, len, (size_t)(end - m->first) * PAGE,
			    MREMAP_MAYMOVE);
		if (at == MAP_FAILED) {
			for (; i < end; i++)
				free_page(m->page[i]);
			m->end = m->first + pages;
			break;
		}
		m->addr = at;
	}
	put_map(m);
	return true;
}

/* A file of this thread alone, replaced, cut or unlinked while it is mapped. */
static bool op_own_file(struct worker *w)
{
	size_t len = 1 + below(&w->rng, 3 * PAGE), i;
	unsigned char *want = w->buf, *copy;
	char path[300], other[320];
	int fd, ret = 0;
	char *map;

	snprintf(path, sizeof(path), "%s/own.%d.%u", dir, getpid(), w->nr);
	snprintf(other, sizeof(other), "%s.new", path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0) {
		check_error(w, path, fd, true);
		return false;
	}
	for (i = 0; i < len; i++)
		want[i] = rnd(&w->rng);
	if (write(fd, want, len) != (ssize_t)len) {
		close(fd);
		unlink(path);
		return false;
	}
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		check_error(w, "mmap", -1, true);
		close(fd);
		unlink(path);
		return false;
	}
	copy = want + 4 * PAGE;
	memset(copy, 0xee, len);
	switch (below(&w->rng, 6)) {
	case 0:
		unlink(path);
		ret = ftruncate(fd, 0);
		break;
	case 1:
		ret = open(other, O_RDWR | O_CREAT, 0600);
		if (ret < 0)
			break;
		if (write(ret, copy, len) == (ssize_t)len)
			rename(other, path);
		close(ret);
		break;
	case 2:
		ret = open(path, O_RDWR | O_TRUNC);
		if (write(ret, copy, len) < 0 && !all->limited && !all->tight)
			abort();
		close(ret);
		break;
	case 3:
		pwrite(fd, copy, 1, below(&w->rng, len));
		close(fd);
		fd = -1;
		unlink(path);
		break;
	case 4:
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				below(&w->rng, len), PAGE);
		unlink(path);
		break;
	default:
		ret = ftruncate(fd, below(&w->rng, len));
		pwrite(fd, copy, len, 0);
	}
	check_error(w, "own file", ret, true);
	if (memcmp(map, want, len) && failing()) {
		complain("  a private mapping of a file of %zu bytes shows its change\n",
			 len);
		failed();
	}
	for (i = len; i % PAGE; i++)
		if (map[i] && failing()) {
			complain("  not zero behind the end of a file of %zu bytes\n",
				 len);
			failed();
			break;
		}
	if (fd >= 0)
		close(fd);
	unlink(path);
	unlink(other);
	munmap(map, len);
	return true;
}

#endif /* TORTURE_MAP_H */
