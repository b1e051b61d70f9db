/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture --model: one thread, and for each mapping a copy of the whole file, so
 * that every byte is known. The same seed repeats the same operations.
 *
 * What a mapping shows where it was unmapped and grew again is open (P9): the
 * file's bytes of T, or those of the first touch. What was seen first is taken
 * for the model then.
 */
#ifndef TORTURE_MODEL_H
#define TORTURE_MODEL_H

#define NOTES	60

struct model_shot {
	unsigned int maps;
	unsigned int file;
	unsigned int first, end;	/* pages */
	size_t size;			/* of the file at T */
	unsigned char *bytes;		/* of the file at T */
	unsigned char **touched;	/* pages behind the end, as first touched */
	bool *held;			/* in a child: what the parent has of them */
};

struct model_page {
	unsigned char *own;		/* since the mapping stored into it */
	bool loose;			/* was unmapped, and came back */
	unsigned char *pinned;		/* what a loose page was seen to be */
};

struct model_map {
	struct model_shot *shot;
	unsigned int first, end;
	char *addr;
	bool writable;
	struct model_page *page[MAX_PAGES + SPARE];
};

struct model_file {
	int fd, direct, append;
	size_t size;
	unsigned char *live;		/* zeros behind the end */
	char *shared;
};

static struct {
	uint64_t rng;
	size_t max;			/* bytes of the longest file */
	struct model_file file[MAX_FILES];
	struct model_map map[MAX_MAPS];
	int pipe[2], memfd, mem;
	unsigned char *buf;		/* of max bytes, and one page */
	uint64_t done, looks;
	char note[NOTES][120];
	bool quiet;			/* in a child */
} model;

/* Says what will be done, for the history. */
#define note(...) do {							\
	char *__at = model.note[model.done % NOTES];			\
									\
	snprintf(__at, sizeof(model.note[0]), __VA_ARGS__);		\
	if (options.trace)						\
		complain("%llu: %s\n", (unsigned long long)model.done, __at); \
} while (0)

_Noreturn static void model_end(void)
{
	uint64_t i = model.done >= NOTES ? model.done - NOTES + 1 : 0;

	complain("\n  the last operations:\n");
	for (; i <= model.done; i++)
		complain("  %llu: %s\n", (unsigned long long)i,
			 model.note[i % NOTES]);
	complain("torture: again: --model --seed %llu --ops %llu --files %u --pages %u --maps %u\n",
		 (unsigned long long)options.seed,
		 (unsigned long long)model.done + 1, options.files,
		 options.pages, options.maps);
	exit(1);
}

#define model_failed(...) do {						\
	complain("torture: FAILED%s, errno %d: ",			\
		 model.quiet ? ", in a child" : "", errno);		\
	complain(__VA_ARGS__);						\
	model_end();							\
} while (0)

static uint64_t pick(uint64_t n)
{
	return below(&model.rng, n);
}

static void *copy_of(const void *bytes, size_t len)
{
	void *copy = malloc(len);

	if (!copy)
		abort();
	return memcpy(copy, bytes, len);
}

/* Some bytes of a file: any, or sectors, or pages. */
static void pick_bytes(size_t *at, size_t *len)
{
	static const size_t aligns[] = { 1, 1, 512, PAGE };
	size_t align = aligns[pick(4)];

	*at = pick(model.max) / align * align;
	*len = 1 + pick(pick(8) ? 3 * PAGE : model.max);
	*len = (*len + align - 1) / align * align;
	if (*at + *len > model.max)
		*len = model.max - *at;
}

static void fresh_bytes(size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		model.buf[i] = rnd(&model.rng) >> 32;
}

static void model_wrote(struct model_file *f, size_t at, size_t len)
{
	memcpy(f->live + at, model.buf, len);
	if (len && at + len > f->size)
		f->size = at + len;
}

static void must(bool good, const char *what)
{
	if (!good)
		model_failed("%s", what);
}

/* Pages of a private mapping */
static void model_free_page(struct model_page *p)
{
	free(p->own);
	free(p->pinned);
	free(p);
}

static struct model_page *model_new_page(bool loose)
{
	struct model_page *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->loose = loose;
	return p;
}

static bool anybody_maps(const struct model_shot *s, unsigned int page)
{
	unsigned int i;

	if (s->held && s->held[page])
		return true;
	for (i = 0; i < options.maps; i++) {
		struct model_map *m = &model.map[i];

		if (m->shot == s && m->first <= page && page < m->end)
			return true;
	}
	return false;
}

/* Pages from @from to before @end are not mapped any more: m is changed already. */
static void model_forget(struct model_map *m, struct model_page **pages,
			 unsigned int from, unsigned int end)
{
	struct model_shot *s = m->shot;
	unsigned int i;

	for (i = from; i < end; i++) {
		model_free_page(pages[i]);
		pages[i] = NULL;
		if (!anybody_maps(s, i)) {
			free(s->touched[i]);
			s->touched[i] = NULL;
		}
	}
}

static void model_drop(struct model_map *m)
{
	struct model_shot *s = m->shot;
	unsigned int i;

	m->shot = NULL;
	if (--s->maps)
		return;
	for (i = 0; i < options.pages + SPARE; i++)
		free(s->touched[i]);
	free(s->touched);
	free(s->held);
	free(s->bytes);
	free(s);
}

static size_t pages_of(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE;
}

/* The page of @page as @bytes of @size has it, or NULL where there is none. */
static const unsigned char *page_in(const unsigned char *bytes, size_t size,
				    unsigned int page)
{
	return page < pages_of(size) ? bytes + (size_t)page * PAGE : NULL;
}

/*
 * What a page of a mapping has to show; NULL is SIGBUS. If that is open, *@other
 * is the other possibility.
 */
static const unsigned char *wanted(struct model_map *m, unsigned int page,
				   const unsigned char **other, bool *open)
{
	struct model_shot *s = m->shot;
	struct model_file *f = &model.file[s->file];
	struct model_page *p = m->page[page];
	const unsigned char *live = page_in(f->live, f->size, page);

	*open = false;
	if (p->own)
		return p->own;
	if (p->pinned)
		return p->pinned;
	if (page < s->end) {
		if (p->loose) {
			*open = true;
			*other = s->touched[page] ?: live;
		}
		return page_in(s->bytes, s->size, page);
	}
	return s->touched[page] ?: live;
}

static void model_look(struct model_map *m, unsigned int page)
{
	const char *at = m->addr + (size_t)(page - m->first) * PAGE;
	const unsigned char *want, *other = NULL;
	struct model_shot *s = m->shot;
	unsigned char found[PAGE];
	struct worker w = { .rng = rnd(&model.rng), .memfd = model.memfd,
			    .mem = model.mem };
	unsigned int i;
	bool open;
	int there;

	want = wanted(m, page, &other, &open);
	there = fetch(&w, at, (uint64_t *)found);
	model.looks++;
	if (open && (there == BUS ? !other : other && !memcmp(found, other, PAGE)))
		want = other;
	if (there == BUS) {
		if (want)
			model_failed("SIGBUS on page %u of a mapping of pages %u..%u (now %u..%u) of file %u, size %zu",
				     page, s->first, s->end, m->first, m->end,
				     s->file, s->size);
		return;
	}
	if (!want)
		model_failed("no SIGBUS on page %u of a mapping of pages %u..%u (now %u..%u) of file %u, size %zu",
			     page, s->first, s->end, m->first, m->end, s->file,
			     s->size);
	for (i = 0; i < PAGE; i++)
		if (found[i] != want[i])
			model_failed("byte %u of page %u is %#x, should be %#x, in a mapping of pages %u..%u (now %u..%u) of file %u, size %zu",
				     i, page, found[i], want[i], s->first,
				     s->end, m->first, m->end, s->file, s->size);
	if (m->page[page]->own)
		return;
	if (open) {
		/* Whichever it is, it stays so. */
		m->page[page]->pinned = copy_of(found, PAGE);
		if (!s->touched[page] && want == other)
			s->touched[page] = copy_of(found, PAGE);
	} else if (page >= s->end && !s->touched[page]) {
		s->touched[page] = copy_of(found, PAGE);
	}
}

static void model_look_at_all(void)
{
	unsigned int i, p;

	for (i = 0; i < options.maps; i++)
		for (p = model.map[i].first; model.map[i].shot && p < model.map[i].end; p++)
			model_look(&model.map[i], p);
}

static void model_live(struct model_file *f)
{
	struct stat st;

	must(!fstat(f->fd, &st) && (size_t)st.st_size == f->size, "the size");
	must(pread(f->fd, model.buf, model.max, 0) == (ssize_t)f->size, "read");
	must(!memcmp(model.buf, f->live, f->size), "what read() shows");
	must(!memcmp(f->shared, f->live, f->size), "what a shared mapping shows");
}

/* Changes */
static void model_change(void)
{
	unsigned int file = pick(options.files), what = pick(22);
	struct model_file *f = &model.file[file];
	bool keep = pick(2);
	size_t at, len, avail, n;
	struct iovec local, remote;
	loff_t off, from = 0;
	ssize_t got;

	pick_bytes(&at, &len);
	avail = at < f->size ? f->size - at : 0;
	if (avail > len)
		avail = len;
	off = at;
	note("change %u of file %u at %#zx, %#zx bytes, size %#zx", what, file, at,
	     len, f->size);
	fresh_bytes(len);
	switch (what) {
	case 0:
	case 1:
	case 2:
		must(pwrite(f->fd, model.buf, len, at) == (ssize_t)len, "pwrite");
		model_wrote(f, at, len);
		break;
	case 3:
		must(pwrite(f->direct, model.buf, len, at) == (ssize_t)len,
		     "pwrite with O_DIRECT");
		model_wrote(f, at, len);
		break;
	case 4:
		if (len > model.max - f->size)
			len = model.max - f->size;
		must(write(f->append, model.buf, len) == (ssize_t)len, "append");
		model_wrote(f, f->size, len);
		break;
	case 5:
		if (len > 32768)
			len = 32768;
		must(write(model.pipe[1], model.buf, len) == (ssize_t)len, "pipe");
		for (n = 0; n < len; n += got) {
			got = splice(model.pipe[0], NULL, f->fd, &off, len - n, 0);
			must(got > 0, "splice");
		}
		model_wrote(f, at, len);
		break;
	case 6:
		must(pwrite(model.memfd, model.buf, len, 0) == (ssize_t)len, "memfd");
		must(lseek(f->fd, at, SEEK_SET) == off, "lseek");
		for (n = 0; n < len; n += got) {
			got = sendfile(f->fd, model.memfd, &from, len - n);
			must(got > 0, "sendfile");
		}
		model_wrote(f, at, len);
		break;
	case 7:
		/* Within the file, and not onto itself. */
		n = pick(model.max);
		from = n;
		if (n + avail > model.max)
			avail = model.max - n;
		if (!avail || (n < at + avail && at < n + avail))
			break;
		got = copy_file_range(f->fd, &off, f->fd, &from, avail, 0);
		must(got == (ssize_t)avail, "copy_file_range");
		memcpy(model.buf, f->live + at, avail);
		model_wrote(f, n, avail);
		break;
	case 8:
	case 9:
	case 10:
	case 11:
		/* Behind the end are bytes that nobody must see. */
		n = pages_of(f->size) * PAGE;
		if (at >= n)
			break;
		len = at + len > n ? n - at : len;
		memcpy(f->shared + at, model.buf, len);
		memcpy(f->live + at, model.buf, avail);
		break;
	case 12:
		local = (struct iovec) { model.buf, avail };
		remote = (struct iovec) { f->shared + at, avail };
		must(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) ==
		     (ssize_t)avail, "process_vm_writev");
		memcpy(f->live + at, model.buf, avail);
		break;
	case 13:
		must(pwrite(model.memfd, model.buf, avail, 0) == (ssize_t)avail, "memfd");
		must(pread(model.memfd, f->shared + at, avail, 0) == (ssize_t)avail,
		     "read into a shared mapping");
		memcpy(f->live + at, model.buf, avail);
		break;
	case 14:
	case 15:
	case 16:
		must(!ftruncate(f->fd, at), "ftruncate");
		if (at < f->size)
			memset(f->live + at, 0, f->size - at);
		f->size = at;
		break;
	case 17:
	case 18:
		must(!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				at, len), "punch");
		memset(f->live + at, 0, len);
		break;
	case 19:
		if (fallocate(f->fd, FALLOC_FL_ZERO_RANGE |
			      (keep ? FALLOC_FL_KEEP_SIZE : 0), at, len)) {
			must(errno == EOPNOTSUPP, "zero range");
			break;
		}
		memset(f->live + at, 0, len);
		if (!keep && at + len > f->size)
			f->size = at + len;
		break;
	case 20:
		must(!fallocate(f->fd, keep ? FALLOC_FL_KEEP_SIZE : 0, at, len),
		     "fallocate");
		if (!keep && at + len > f->size)
			f->size = at + len;
		break;
	default:
		at -= at % PAGE;
		len = pages_of(len) * PAGE;
		must(!madvise(f->shared + at, len, MADV_REMOVE), "MADV_REMOVE");
		memset(f->live + at, 0, len);
	}
}

/* Mappings */
static struct model_map *model_pick(bool used)
{
	unsigned int i, at = pick(options.maps);

	for (i = 0; i < options.maps; i++) {
		struct model_map *m = &model.map[(at + i) % options.maps];

		if (!m->shot == !used)
			return m;
	}
	return NULL;
}

static void model_map(void)
{
	struct model_map *m = model_pick(false);
	unsigned int file = pick(options.files), i;
	struct model_file *f = &model.file[file];
	struct model_shot *s;

	if (!m)
		return;
	m->first = pick(2) ? 0 : pick(options.pages);
	m->end = pick(2) ? options.pages + pick(SPARE) :
			   m->first + 1 + pick(options.pages - m->first);
	m->writable = pick(2);
	note("map %zu: pages %u..%u of file %u, size %#zx", m - model.map,
	     m->first, m->end, file, f->size);
	m->addr = mmap(NULL, (size_t)(m->end - m->first) * PAGE,
		       m->writable ? PROT_READ | PROT_WRITE : PROT_READ,
		       MAP_PRIVATE | (pick(6) ? 0 : MAP_POPULATE), f->fd,
		       (off_t)m->first * PAGE);
	must(m->addr != MAP_FAILED, "mmap");
	s = calloc(1, sizeof(*s));
	s->maps = 1;
	s->file = file;
	s->first = m->first;
	s->end = m->end;
	s->size = f->size;
	s->bytes = copy_of(f->live, model.max);
	s->touched = calloc(options.pages + SPARE, sizeof(*s->touched));
	for (i = m->first; i < m->end; i++)
		m->page[i] = model_new_page(false);
	m->shot = s;
}

/* A part of @m, from @from on, becomes a map of its own. */
static void model_split(struct model_map *m, struct model_map *rest,
			unsigned int from)
{
	*rest = (struct model_map) {
		.shot = m->shot, .first = from, .end = m->end,
		.writable = m->writable,
		.addr = m->addr + (size_t)(from - m->first) * PAGE,
	};
	memcpy(rest->page + from, m->page + from, (m->end - from) * sizeof(*m->page));
	m->end = from;
	m->shot->maps++;
}

static void model_unmap(void)
{
	struct model_map *m = model_pick(true), *rest;
	unsigned int from, end, old_end;

	if (!m)
		return;
	from = pick(2) ? m->first : m->first + pick(m->end - m->first);
	end = pick(2) ? m->end : from + 1 + pick(m->end - from);
	note("unmap %zu: pages %u..%u of %u..%u", m - model.map, from, end,
	     m->first, m->end);
	if (from > m->first && end < m->end) {
		rest = model_pick(false);
		if (!rest)
			return;
		model_split(m, rest, end);
	}
	must(!munmap(m->addr + (size_t)(from - m->first) * PAGE,
		     (size_t)(end - from) * PAGE), "munmap");
	if (from == m->first) {
		m->addr += (size_t)(end - from) * PAGE;
		m->first = end;
	}
	old_end = m->end;
	if (from > m->first || m->first == old_end)
		m->end = from > m->first ? from : m->first;
	model_forget(m, m->page, from, end);
	if (m->first == m->end)
		model_drop(m);
}

static void model_remap(void)
{
	struct model_map *m = model_pick(true), *old;
	unsigned int pages, i, end;
	struct model_shot *s;
	size_t len;
	char *at, *to;

	if (!m)
		return;
	s = m->shot;
	pages = m->end - m->first;
	len = (size_t)pages * PAGE;
	switch (pick(4)) {
	case 0:
		note("move %zu: pages %u..%u", m - model.map, m->first, m->end);
		to = reserve(pages);
		at = mremap(m->addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		must(at == to, "mremap");
		m->addr = at;
		break;
	case 1:
		old = model_pick(false);
		if (!old)
			break;
		note("move %zu: pages %u..%u, %zu stays", m - model.map,
		     m->first, m->end, old - model.map);
		at = mremap(m->addr, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			    NULL);
		must(at != MAP_FAILED, "mremap, MREMAP_DONTUNMAP");
		*old = *m;
		for (i = m->first; i < m->end; i++) {
			old->page[i] = model_new_page(m->page[i]->loose);
			if (m->page[i]->pinned)
				old->page[i]->pinned =
					copy_of(m->page[i]->pinned, PAGE);
		}
		s->maps++;
		m->addr = at;
		break;
	case 2:
		end = m->first + 1 + pick(pages);
		note("shrink %zu: pages %u..%u to %u", m - model.map, m->first,
		     m->end, end);
		at = mremap(m->addr, len, (size_t)(end - m->first) * PAGE, 0);
		must(at == m->addr, "mremap, smaller");
		i = m->end;
		m->end = end;
		model_forget(m, m->page, end, i);
		break;
	default:
		if (m->end == options.pages + SPARE)
			break;
		end = m->end + 1 + pick(options.pages + SPARE - m->end);
		note("grow %zu: pages %u..%u to %u", m - model.map, m->first,
		     m->end, end);
		at = mremap(m->addr, len, (size_t)(end - m->first) * PAGE,
			    MREMAP_MAYMOVE);
		must(at != MAP_FAILED, "mremap, larger");
		m->addr = at;
		for (i = m->end; i < end; i++)
			m->page[i] = model_new_page(i < s->end);
		m->end = end;
	}
}

static void model_own_store(void)
{
	struct model_map *m = model_pick(true);
	unsigned int page, at, len;
	const unsigned char *want, *other;
	struct model_page *p;
	char *to;
	bool open;

	if (!m || !m->writable)
		return;
	page = m->first + pick(m->end - m->first);
	at = pick(PAGE);
	len = 1 + pick(PAGE - at);
	note("own store %zu: page %u of %u..%u", m - model.map, page, m->first,
	     m->end);
	p = m->page[page];
	/* What it will be of is looked at first, where it is open. */
	want = wanted(m, page, &other, &open);
	if (open) {
		model_look(m, page);
		want = wanted(m, page, &other, &open);
		if (open)
			return;
	}
	if (!want)
		return;
	fresh_bytes(len);
	to = m->addr + (size_t)(page - m->first) * PAGE + at;
	if (page >= m->shot->end && !m->shot->touched[page])
		m->shot->touched[page] = copy_of(want, PAGE);
	if (!p->own)
		p->own = copy_of(want, PAGE);
	memcpy(to, model.buf, len);
	memcpy(p->own + at, model.buf, len);
}

static void model_advise(void)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_WILLNEED,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_COLD, MADV_PAGEOUT,
	};
	struct model_map *m = model_pick(true);
	int which = advice[pick(sizeof(advice) / sizeof(*advice))];
	unsigned int from, n, i;

	if (!m)
		return;
	from = m->first + pick(m->end - m->first);
	n = 1 + pick(m->end - from);
	note("advise %d %zu: pages %u..%u of %u..%u", which, m - model.map, from,
	     from + n, m->first, m->end);
	/* What is touched by it has to be known. */
	if (which == MADV_POPULATE_READ || which == MADV_POPULATE_WRITE ||
	    which == MADV_WILLNEED)
		for (i = from; i < from + n; i++)
			model_look(m, i);
	if (madvise(m->addr + (size_t)(from - m->first) * PAGE, (size_t)n * PAGE,
		    which))
		must(which != MADV_DONTNEED, "madvise");
	if (which != MADV_DONTNEED)
		return;
	for (i = from; i < from + n; i++) {
		free(m->page[i]->own);
		m->page[i]->own = NULL;
	}
}

static void model_protect(void)
{
	struct model_map *m = model_pick(true);
	size_t len;

	if (!m)
		return;
	note("protect %zu: pages %u..%u", m - model.map, m->first, m->end);
	len = (size_t)(m->end - m->first) * PAGE;
	mprotect(m->addr, len, PROT_NONE);
	m->writable = pick(2);
	must(!mprotect(m->addr, len, m->writable ? PROT_READ | PROT_WRITE :
						   PROT_READ), "mprotect");
}

static void model_private(void)
{
	switch (pick(10)) {
	case 0:
	case 1:
	case 2:
		return model_own_store();
	case 3:
	case 4:
		return model_advise();
	case 5:
	case 6:
		return model_unmap();
	case 7:
	case 8:
		return model_remap();
	default:
		return model_protect();
	}
}

/* What a child gives up stays with its parent, which waits. */
static void model_hold_all(void)
{
	unsigned int i, p;

	for (i = 0; i < options.maps; i++) {
		struct model_map *m = &model.map[i];
		struct model_shot *s = m->shot;

		if (!s)
			continue;
		if (!s->held)
			s->held = calloc(options.pages + SPARE, sizeof(*s->held));
		for (p = m->first; p < m->end; p++)
			s->held[p] = true;
	}
}

/* A child does as it likes with what it inherited, and looks at it. */
static void model_fork(void)
{
	int status;
	pid_t pid;
	unsigned int n;

	note("fork");
	/* What a child touches first is seen by its parent, too. */
	model_look_at_all();
	n = pick(30);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		model.quiet = true;
		model_hold_all();
		model.rng ^= 0xc417d;
		close(model.mem);
		model.mem = open("/proc/self/mem", O_RDWR);
		while (n--) {
			model.done++;
			model_private();
		}
		model_look_at_all();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid, "wait");
	if (status)
		exit(1);
}

static int model_open(void)
{
	char path[300];
	unsigned int i;

	model.rng = options.seed;
	model.max = (size_t)options.pages * PAGE;
	model.buf = malloc(model.max + PAGE);
	model.memfd = memfd_create("torture", 0);
	model.mem = open("/proc/self/mem", O_RDWR);
	if (pipe(model.pipe) || fcntl(model.pipe[1], F_SETPIPE_SZ, 65536) < 0)
		return -1;
	for (i = 0; i < options.files; i++) {
		struct model_file *f = &model.file[i];

		snprintf(path, sizeof(path), "%s/file%u", dir, i);
		f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		f->direct = open(path, O_RDWR | O_DIRECT);
		f->append = open(path, O_RDWR | O_APPEND);
		f->live = calloc(1, model.max + PAGE);
		f->shared = mmap(NULL, model.max, PROT_READ | PROT_WRITE,
				 MAP_SHARED, f->fd, 0);
		if (f->fd < 0 || f->direct < 0 || f->append < 0 ||
		    f->shared == MAP_FAILED) {
			perror(path);
			return -1;
		}
		unlink(path);
	}
	return 0;
}

static void model_close(void)
{
	unsigned int i;

	for (i = 0; i < options.maps; i++) {
		struct model_map *m = &model.map[i];

		if (m->shot)
			munmap(m->addr, (size_t)(m->end - m->first) * PAGE);
	}
	for (i = 0; i < options.files; i++) {
		struct model_file *f = &model.file[i];

		munmap(f->shared, model.max);
		close(f->fd);
		close(f->direct);
		close(f->append);
	}
}

static int run_model(void)
{
	double start = now();
	long before = enter();
	unsigned int tries;
	uint64_t n;

	if (before < 0 || model_open())
		return 2;
	for (n = 0; !options.ops || n < options.ops; n++) {
		unsigned int what = pick(100), i;
		struct model_map *m;

		if (options.seconds && now() - start > options.seconds)
			break;
		model.done = n;
		if (what < 45) {
			model_change();
		} else if (what < 57) {
			model_map();
		} else if (what < 85) {
			model_private();
		} else if (what < 86) {
			model_fork();
		} else if (what < 88) {
			note("look at all");
			model_look_at_all();
			for (i = 0; i < options.files; i++)
				model_live(&model.file[i]);
		} else {
			m = model_pick(true);
			if (!m)
				continue;
			i = m->first + pick(m->end - m->first);
			note("look %zu: page %u", m - model.map, i);
			model_look(m, i);
		}
	}
	note("the end");
	model_look_at_all();
	model_close();
	/* A page that was pinned when it left its file keeps that a little longer. */
	for (tries = 0; tries < 500 && pages_used() > before; tries++)
		usleep(10000);
	must(pages_used() <= before, "pages in use in the end");
	must(statistic("preserved_pages") <= 0, "preserved pages in the end");
	must(statistic("snapshots") <= 0, "snapshots in the end");
	if (!options.dir) {
		umount2(dir, MNT_DETACH);
		rmdir(dir);
	}
	printf("torture: %llu operations in %.1f s, %llu pages looked at, 0 failures, seed %llu, model\n",
	       (unsigned long long)n, now() - start,
	       (unsigned long long)model.looks, (unsigned long long)options.seed);
	return 0;
}

#endif /* TORTURE_MODEL_H */
