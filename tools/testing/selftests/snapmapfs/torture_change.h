/* SPDX-License-Identifier: GPL-2.0 */
/*
 * torture: everything that changes a file, or reads the live one. Part of torture.c.
 */
#ifndef TORTURE_CHANGE_H
#define TORTURE_CHANGE_H

/* An error that should not be; -1 and errno as usual. */
static void check_error(const struct worker *w, const char *what, long ret,
			bool may_be_full)
{
	if (ret >= 0)
		return;
	if (errno == ENOSPC && may_be_full && all->limited) {
		count(C_ENOSPC, 1);
		return;
	}
	if (all->tight && (errno == ENOMEM || errno == EINTR ||
			   errno == EFAULT || errno == EAGAIN))
		return;
	if (!failing())
		return;
	complain("  %s: %s: %s\n", op_names[w->op], what, strerror(errno));
	failed();
}

/* Changes by system calls that write */
typedef ssize_t put_fn(struct worker *w, unsigned int file, off_t at, size_t len);

static ssize_t put_pwrite(struct worker *w, unsigned int file, off_t at, size_t len)
{
	return pwrite(all->file[file].fd, w->buf, len, at);
}

static ssize_t put_pwritev(struct worker *w, unsigned int file, off_t at, size_t len)
{
	size_t first = below(&w->rng, len + 1);
	struct iovec iov[] = { { w->buf, first }, { w->buf + first, len - first } };

	return pwritev(all->file[file].fd, iov, 2, at);
}

static ssize_t put_direct(struct worker *w, unsigned int file, off_t at, size_t len)
{
	return pwrite(direct_fd[file], w->buf, len, at);
}

static ssize_t put_append(struct worker *w, unsigned int file, off_t at, size_t len)
{
	return write(append_fd[file], w->buf, len);
}

static ssize_t put_splice(struct worker *w, unsigned int file, off_t at, size_t len)
{
	ssize_t done = 0, n = 1;
	loff_t to = at;

	while (done < (ssize_t)len && n > 0) {
		size_t part = len - done < 32768 ? len - done : 32768;
		ssize_t filled = write(w->pipe[1], w->buf + done, part);

		if (filled <= 0)
			return done ?: -1;
		while (filled > 0) {
			n = splice(w->pipe[0], NULL, all->file[file].fd, &to,
				   filled, 0);
			if (n <= 0)
				break;
			filled -= n;
			done += n;
		}
		/* What is left would be written the next time. */
		if (filled > 0) {
			int err = errno;

			if (read(w->pipe[0], w->buf, filled) != filled)
				abort();
			errno = err;
		}
	}
	return done ?: n;
}

static ssize_t put_sendfile(struct worker *w, unsigned int file, off_t at, size_t len)
{
	ssize_t done = 0, n = 1;
	off_t from = 0;
	char path[64];
	int out;

	if (pwrite(w->memfd, w->buf, len, 0) != (ssize_t)len)
		abort();
	/* sendfile() writes where the file stands: a descriptor of our own. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", all->file[file].fd);
	out = open(path, O_RDWR);
	if (out < 0 || lseek(out, at, SEEK_SET) != at)
		abort();
	while (done < (ssize_t)len && n > 0) {
		n = sendfile(out, w->memfd, &from, len - done);
		if (n > 0)
			done += n;
	}
	n = n < 0 ? -errno : n;
	close(out);
	errno = n < 0 ? -n : 0;
	return done ?: n < 0 ? -1 : 0;
}

static ssize_t put_copy_range(struct worker *w, unsigned int file, off_t at, size_t len)
{
	ssize_t done = 0, n = 1;
	loff_t from = 0, to = at;
	int in = one_in(w, 2) ? w->scratch : w->memfd;

	n = pwrite(in, w->buf, len, 0);
	if (n != (ssize_t)len)
		return n < 0 ? n : 0;
	while (done < (ssize_t)len && n > 0) {
		n = copy_file_range(in, &from, all->file[file].fd, &to,
				    len - done, 0);
		if (n < 0 && errno == EXDEV && in == w->memfd) {
			in = w->scratch;
			n = pwrite(in, w->buf, len, 0);
		} else if (n > 0) {
			done += n;
		}
	}
	return done ?: n;
}

static ssize_t submit(struct worker *w)
{
	struct io_uring_cqe *cqe;
	int ret;

	if (io_uring_submit(&w->uring) != 1)
		return -1;
	do
		ret = io_uring_wait_cqe(&w->uring, &cqe);
	while (ret == -EINTR);
	if (ret)
		abort();
	ret = cqe->res;
	io_uring_cqe_seen(&w->uring, cqe);
	if (ret < 0) {
		errno = -ret;
		return -1;
	}
	return ret;
}

static ssize_t put_uring(struct worker *w, unsigned int file, off_t at, size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&w->uring);

	io_uring_prep_write(sqe, all->file[file].fd, w->buf, len, at);
	if (one_in(w, 4))
		sqe->flags |= IOSQE_ASYNC;
	return submit(w);
}

static bool write_by(struct worker *w, put_fn *put)
{
	const unsigned int file = pick_file(w);
	struct file *f = &all->file[file];
	bool append = put == put_append;
	bool partial = !append && put != put_direct && one_in(w, 6);
	uint32_t from, to, size, done;
	struct change c;
	enum state rest = NONE;
	ssize_t got;

	pick_blocks(w, &from, &to);
	lock_size(file);
	size = f->size;
	if (append) {
		to = to - from + size;
		from = size;
	} else if (partial || (from > size && !one_in(w, 4))) {
		/* Most do not leave a hole. */
		to -= from;
		from = below(&w->rng, size + !partial);
		to += from;
	}
	if (to > all->nr_pages * BLOCKS)
		to = all->nr_pages * BLOCKS;
	if (partial && to > size)
		to = size;
	if (from >= to) {
		unlock_size(file);
		return false;
	}
	begin_change(&c, file, w->op);
	if (to > size) {
		begin_size(file, c.seq, w->op, size, to);
		will_change(&c, size, from, true);
	}
	will_change(&c, from, to, false);
	fill(w, &c, from, to);
	if (partial) {
		/* A part, from word to word. */
		size_t words = (to - from) * BLOCK_WORDS;
		size_t first = below(&w->rng, words);
		size_t n = 1 + below(&w->rng, words - first);

		memmove(w->buf, w->buf + first * 8, n * 8);
		got = put(w, file, from * BLOCK + first * 8, n * 8);
		done = 0;
		rest = MAYBE;
	} else {
		got = put(w, file, (off_t)from * BLOCK, (to - from) * BLOCK);
		done = got > 0 ? from + got / BLOCK : 0;
		if ((got > 0 && got % BLOCK) || (got <= 0 && from > size))
			rest = MAYBE;
	}
	if (to > size)
		end_size(file, real_size(file));
	changed(&c, done, rest);
	unlock_size(file);
	check_error(w, "write", got, true);
	return true;
}

#define WRITE_OP(name)							\
static bool op_##name(struct worker *w)					\
{									\
	return write_by(w, put_##name);					\
}

WRITE_OP(pwrite)
WRITE_OP(pwritev)
WRITE_OP(direct)
WRITE_OP(append)
WRITE_OP(splice)
WRITE_OP(sendfile)
WRITE_OP(copy_range)

static bool op_uring(struct worker *w)
{
	return w->has_uring && write_by(w, put_uring);
}

/* Changes by stores into a shared mapping, in order from the first byte on */
typedef ssize_t store_fn(struct worker *w, char *to, size_t len);

static ssize_t store_words(struct worker *w, char *to, size_t len)
{
	return 8 * copy_words((uint64_t *)to, (uint64_t *)w->buf, len / 8);
}

static ssize_t store_vm(struct worker *w, char *to, size_t len)
{
	struct iovec local = { w->buf, len }, remote = { to, len };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

static ssize_t store_proc_mem(struct worker *w, char *to, size_t len)
{
	return pwrite(w->mem, w->buf, len, (uintptr_t)to);
}

static ssize_t store_read(struct worker *w, char *to, size_t len)
{
	if (pwrite(w->memfd, w->buf, len, 0) != (ssize_t)len)
		abort();
	return pread(w->memfd, to, len, 0);
}

/* A device wants whole sectors, and so little that a slot holds it. */
static ssize_t store_disk(struct worker *w, char *to, size_t len)
{
	if (len > DISK_SLOT)
		len = DISK_SLOT;
	if (pwrite(w->disk, w->buf, len, w->disk_at) != (ssize_t)len)
		abort();
	return pread(w->disk, to, len, w->disk_at);
}

static ssize_t store_vmsplice(struct worker *w, char *to, size_t len)
{
	struct iovec iov = { to, 0 };
	ssize_t got;
	int err;

	if (len > 32768)
		len = 32768;
	if (write(w->pipe[1], w->buf, len) != (ssize_t)len)
		abort();
	iov.iov_len = len;
	got = vmsplice(w->pipe[0], &iov, 1, 0);
	err = errno;
	/* What is left would be stored the next time. */
	fcntl(w->pipe[0], F_SETFL, O_NONBLOCK);
	while (read(w->pipe[0], w->buf, 32768) > 0)
		;
	fcntl(w->pipe[0], F_SETFL, 0);
	errno = err;
	return got;
}

static ssize_t store_uring(struct worker *w, char *to, size_t len)
{
	struct io_uring_sqe *sqe;
	int fd = w->memfd;
	off_t at = 0;

	if (w->disk >= 0 && one_in(w, 2)) {
		fd = w->disk;
		at = w->disk_at;
		len = len < DISK_SLOT ? len : DISK_SLOT;
	}
	if (pwrite(fd, w->buf, len, at) != (ssize_t)len)
		abort();
	sqe = io_uring_get_sqe(&w->uring);
	io_uring_prep_read(sqe, fd, to, len, at);
	if (one_in(w, 4))
		sqe->flags |= IOSQE_ASYNC;
	return submit(w);
}

/* Whether the size may have been no more than @block since @before. */
static bool may_have_ended(unsigned int file, uint32_t block, uint64_t before)
{
	struct ranges bound = {}, short_then = {}, both;
	struct pieces sizes;
	uint64_t now = ticket();

	find_sizes(file, before, now, &sizes);
	add_range(&bound, before, now);
	add_sizes(&short_then, &sizes, block, false);
	intersect(&both, &bound, &short_then);
	return both.n;
}

/*
 * What was stored by reference to a page is in the file when the file is looked
 * at, but a shared mapping may show a page of before for a while, if the file has
 * segments. So the store is over after such a look, behind the end.
 */
static ssize_t store_and_look(struct worker *w, store_fn *store, unsigned int file,
			      size_t at, size_t len)
{
	ssize_t got = store(w, shared[file] + at, len);
	int err = errno;
	char c;

	if (all->segments && store != store_words && store != store_read &&
	    pread(all->file[file].fd, &c, 1, (off_t)all->nr_pages * PAGE))
		abort();
	errno = err;
	return got;
}

static bool store_by(struct worker *w, store_fn *store)
{
	const unsigned int file = pick_file(w);
	bool whole = store == store_disk || store == store_uring;
	uint32_t from, to, size;
	struct change c;
	size_t at, len;
	ssize_t got;

	pick_blocks(w, &from, &to);
	if (pthread_rwlock_tryrdlock(&shared_lock))
		return false;
	begin_change(&c, file, w->op);
	/* After the ticket: a truncation that we do not see here is not over. */
	size = __atomic_load_n(&all->file[file].size, __ATOMIC_SEQ_CST);
	if (from >= size && size) {
		to -= from;
		from = below(&w->rng, size);
		to += from;
	}
	if (to > size)
		to = size;
	if (from >= to) {
		pthread_rwlock_unlock(&shared_lock);
		return false;
	}
	will_change(&c, from, to, false);
	fill(w, &c, from, to);
	at = (size_t)from * BLOCK;
	len = (size_t)(to - from) * BLOCK;
	if (!whole && one_in(w, 5)) {
		/* A part, from word to word. */
		size_t first = below(&w->rng, len / 8);
		size_t n = 1 + below(&w->rng, len / 8 - first);

		memmove(w->buf, w->buf + first * 8, n * 8);
		at += first * 8;
		len = n * 8;
		got = store_and_look(w, store, file, at, len);
		changed(&c, 0, MAYBE);
	} else {
		got = store_and_look(w, store, file, at, len);
		changed(&c, got > 0 ? from + got / BLOCK : 0, MAYBE);
	}
	pthread_rwlock_unlock(&shared_lock);
	if ((got <= 0 || got < (ssize_t)len) && !all->limited && !all->tight) {
		at += got > 0 ? got : 0;
		/* These end where they like. */
		if (store == store_disk || store == store_vmsplice || whole)
			return true;
		if (!may_have_ended(file, at / PAGE * BLOCKS, c.seq) && failing()) {
			complain("  %s: file %u, page %zu: %zd of %zu bytes, %s, within the size\n",
				 op_names[w->op], file, at / PAGE, got, len,
				 strerror(errno));
			failed();
		}
	}
	return true;
}

#define STORE_OP(name, when)						\
static bool op_##name(struct worker *w)					\
{									\
	return (when) && store_by(w, name);				\
}

STORE_OP(store_words, true)
STORE_OP(store_vm, true)
STORE_OP(store_proc_mem, true)
STORE_OP(store_read, true)
STORE_OP(store_vmsplice, true)
STORE_OP(store_disk, w->disk >= 0)
STORE_OP(store_uring, w->has_uring)

/* Changes that clear */
static bool clear_by(struct worker *w, int mode)
{
	const unsigned int file = pick_file(w);
	uint32_t from, to;
	struct change c;
	int ret;

	pick_blocks(w, &from, &to);
	begin_change(&c, file, w->op);
	will_change(&c, from, to, true);
	ret = fallocate(all->file[file].fd, mode | FALLOC_FL_KEEP_SIZE,
			(off_t)from * BLOCK, (to - from) * BLOCK);
	if (ret && errno == EOPNOTSUPP)
		ret = 1;
	changed(&c, ret ? 0 : to, NONE);
	check_error(w, "fallocate", ret, mode != FALLOC_FL_PUNCH_HOLE);
	return !ret;
}

static bool op_punch(struct worker *w)
{
	return clear_by(w, FALLOC_FL_PUNCH_HOLE);
}

static bool op_zero_keep(struct worker *w)
{
	return clear_by(w, FALLOC_FL_ZERO_RANGE);
}

static bool op_madv_remove(struct worker *w)
{
	const unsigned int file = pick_file(w);
	uint32_t from, to;
	struct change c;
	int ret;

	pick_blocks(w, &from, &to);
	from -= from % BLOCKS;
	to += BLOCKS - 1;
	to -= to % BLOCKS;
	if (pthread_rwlock_tryrdlock(&shared_lock))
		return false;
	begin_change(&c, file, w->op);
	will_change(&c, from, to, true);
	ret = madvise(shared[file] + (size_t)from * BLOCK,
		      (size_t)(to - from) * BLOCK, MADV_REMOVE);
	changed(&c, ret ? 0 : to, NONE);
	pthread_rwlock_unlock(&shared_lock);
	check_error(w, "madvise", ret, false);
	return true;
}

/* fallocate() that may make the file longer. */
static bool extend_by(struct worker *w, int mode)
{
	const unsigned int file = pick_file(w);
	struct file *f = &all->file[file];
	uint32_t from, to, size;
	struct change c;
	int ret;

	pick_blocks(w, &from, &to);
	lock_size(file);
	size = f->size;
	begin_change(&c, file, w->op);
	if (to > size) {
		begin_size(file, c.seq, w->op, size, to);
		will_change(&c, mode && from < size ? from : size, to, true);
	} else if (mode) {
		will_change(&c, from, to, true);
	}
	ret = fallocate(f->fd, mode, (off_t)from * BLOCK, (to - from) * BLOCK);
	if (ret && errno == EOPNOTSUPP)
		ret = 1;
	if (to > size)
		end_size(file, real_size(file));
	changed(&c, ret ? 0 : to, NONE);
	unlock_size(file);
	check_error(w, "fallocate", ret, true);
	return !ret;
}

static bool op_allocate(struct worker *w)
{
	return extend_by(w, 0);
}

static bool op_zero_range(struct worker *w)
{
	return extend_by(w, FALLOC_FL_ZERO_RANGE);
}

/* Space behind the end, and in holes: changes nothing that can be seen. */
static bool op_allocate_keep(struct worker *w)
{
	uint32_t from, to;
	int ret;

	pick_blocks(w, &from, &to);
	ret = fallocate(all->file[pick_file(w)].fd, FALLOC_FL_KEEP_SIZE,
			(off_t)from * BLOCK, (to - from) * BLOCK);
	check_error(w, "fallocate", ret, true);
	return true;
}

static bool resize(struct worker *w, bool open_it)
{
	const unsigned int file = pick_file(w);
	struct file *f = &all->file[file];
	uint32_t to = below(&w->rng, all->nr_pages * BLOCKS + 1), size;
	struct change c;
	char path[64];
	int ret;

	if (one_in(w, 3))
		to -= to % BLOCKS;
	if (open_it)
		to = 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	lock_size(file);
	size = f->size;
	begin_change(&c, file, w->op);
	begin_size(file, c.seq, w->op, to < size ? to : size, to < size ? size : to);
	if (to < size) {
		__atomic_store_n(&f->size, to, __ATOMIC_SEQ_CST);
		will_change(&c, to, (size + BLOCKS - 1) / BLOCKS * BLOCKS, true);
	} else {
		will_change(&c, size, to, true);
	}
	if (open_it) {
		ret = open(path, O_RDWR | O_TRUNC);
		if (ret >= 0)
			close(ret);
	} else if (one_in(w, 2)) {
		ret = truncate(path, (off_t)to * BLOCK);
	} else {
		ret = ftruncate(f->fd, (off_t)to * BLOCK);
	}
	end_size(file, real_size(file));
	changed(&c, ret < 0 ? 0 : FOREVER >> 33, MAYBE);
	unlock_size(file);
	/* Truncating does not fail for want of space. */
	check_error(w, "truncate", ret, false);
	return true;
}

static bool op_truncate(struct worker *w)
{
	return resize(w, false);
}

static bool op_o_trunc(struct worker *w)
{
	return resize(w, true);
}

/* The live file */
static void judge_live(struct worker *w, unsigned int file, uint32_t from,
		       unsigned int nr, uint64_t before)
{
	struct candidates *blocks = calloc(nr, sizeof(*blocks));
	struct ranges when = {};
	struct pieces sizes;
	uint64_t after = ticket();
	unsigned int i;

	if (!blocks)
		return;
	for (i = 0; i < nr; i++)
		find_candidates(file, from + i, before, after, &blocks[i]);
	find_sizes(file, before, after, &sizes);
	add_range(&when, before, after);
	judge(op_names[w->op], file, from * BLOCK_WORDS, (uint64_t *)w->buf, nr,
	      NULL, blocks, &sizes, &when, true);
	count(C_LIVE, nr);
	free(blocks);
}

static bool op_read(struct worker *w)
{
	const unsigned int file = pick_file(w);
	uint32_t from, to;
	uint64_t before;
	ssize_t got;

	pick_blocks(w, &from, &to);
	before = ticket();
	got = pread(one_in(w, 4) ? direct_fd[file] : all->file[file].fd, w->buf,
		    (size_t)(to - from) * BLOCK, (off_t)from * BLOCK);
	check_error(w, "pread", got, false);
	if (got < 0)
		return true;
	if (got % BLOCK || (from + got / BLOCK < to &&
			    !may_have_ended(file, from + got / BLOCK, before))) {
		if (failing()) {
			complain("  pread: file %u, block %u: %zd of %u bytes, within the size\n",
				 file, from, got, (to - from) * BLOCK);
			failed();
		}
	}
	judge_live(w, file, from, got / BLOCK, before);
	return true;
}

static bool op_load(struct worker *w)
{
	const unsigned int file = pick_file(w);
	unsigned int page = below(&w->rng, all->nr_pages), got;
	uint64_t before;

	if (pthread_rwlock_tryrdlock(&shared_lock))
		return false;
	before = ticket();
	got = copy_words((uint64_t *)w->buf,
			 (uint64_t *)(shared[file] + page * PAGE), WORDS);
	pthread_rwlock_unlock(&shared_lock);
	if (got < WORDS && !all->limited && !all->tight &&
	    !may_have_ended(file, page * BLOCKS, before)) {
		if (failing()) {
			complain("  load: file %u, page %u: SIGBUS within the size\n",
				 file, page);
			failed();
		}
	}
	judge_live(w, file, page * BLOCKS, got / BLOCK_WORDS, before);
	return true;
}

static bool op_sync(struct worker *w)
{
	const unsigned int file = pick_file(w);

	switch (below(&w->rng, 4)) {
	case 0:
		return !fsync(all->file[file].fd);
	case 1:
		return !fdatasync(all->file[file].fd);
	case 2:
		return !posix_fadvise(all->file[file].fd, 0, 0,
				      one_in(w, 2) ? POSIX_FADV_DONTNEED :
						     POSIX_FADV_WILLNEED);
	}
	if (pthread_rwlock_tryrdlock(&shared_lock))
		return false;
	msync(shared[file], all->nr_pages * PAGE, one_in(w, 2) ? MS_SYNC : MS_ASYNC);
	pthread_rwlock_unlock(&shared_lock);
	return true;
}

/* The shared mapping is taken away, or comes and goes in its protection. */
static bool op_reshare(struct worker *w)
{
	const unsigned int file = pick_file(w);
	size_t len = all->nr_pages * PAGE;
	char *at;

	if (pthread_rwlock_trywrlock(&shared_lock))
		return false;
	switch (below(&w->rng, 4)) {
	case 0:
		mprotect(shared[file], len, PROT_READ);
		sched_yield();
		mprotect(shared[file], len, PROT_READ | PROT_WRITE);
		break;
	case 1:
		madvise(shared[file], len, MADV_DONTNEED);
		break;
	case 2:
		madvise(shared[file], len, one_in(w, 2) ? MADV_POPULATE_WRITE :
							  MADV_POPULATE_READ);
		break;
	default:
		/* Never away: others have no other place to store into. */
		at = mmap(shared[file], len, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, all->file[file].fd, 0);
		if (at == MAP_FAILED)
			abort();
	}
	pthread_rwlock_unlock(&shared_lock);
	return true;
}

/* Other names for the file; it always has one. */
static bool op_names_of_file(struct worker *w)
{
	char path[300], other[340];

	snprintf(path, sizeof(path), "%s/file%u", dir, pick_file(w));
	snprintf(other, sizeof(other), "%s.%d.%u", path, getpid(), w->nr);
	if (link(path, other))
		return false;
	if (one_in(w, 2))
		unlink(path);
	if (rename(other, path))
		return false;
	/* rename() of two names of one file does nothing. */
	unlink(other);
	return true;
}

#endif /* TORTURE_CHANGE_H */
