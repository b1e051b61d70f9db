/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stores that the kernel is in the middle of, for tests.
 */
#ifndef HELD_H
#define HELD_H

#include "snap.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

static inline char *anonymous(ssize_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/*
 * A store that is stopped half way
 *
 * process_vm_writev() takes hold of the target pages and then copies. Its
 * source is memory that is not there, piece by piece, so that each piece is
 * stored when the test says so, with no one the wiser.
 */
struct held {
	int uffd;
	char *local;		/* a page for each piece */
	int pieces;
	ssize_t len;		/* of a piece */
	char *target;
	bool read;		/* process_vm_readv() instead */
	pid_t pid;		/* whose memory */
	ssize_t result;
	pthread_t thread;
};

static inline void *held_call(void *arg)
{
	struct iovec local[16], remote;
	struct held *h = arg;
	int i;

	for (i = 0; i < h->pieces; i++)
		local[i] = (struct iovec) { h->local + i * page_size, h->len };
	remote = (struct iovec) { h->target, h->pieces * h->len };
	h->result = h->read ?
		process_vm_readv(h->pid, local, h->pieces, &remote, 1, 0) :
		process_vm_writev(h->pid, local, h->pieces, &remote, 1, 0);
	return NULL;
}

/* Waits until the call asks for its next piece; its number or -1. */
static inline int held_wait(struct held *h)
{
	struct uffd_msg msg;

	if (read(h->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		return -1;
	return ((uintptr_t)msg.arg.pagefault.address - (uintptr_t)h->local) /
	       page_size;
}

/* Starts storing @pieces times @len bytes at @target in the process @pid; 0 or -errno. */
static inline int held_start_in(struct held *h, pid_t pid, char *target, int pieces,
				ssize_t len, bool do_read)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;

	*h = (struct held) {
		.pid = pid,
		.pieces = pieces,
		.len = len,
		.target = target,
		.read = do_read,
	};
	h->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (h->uffd < 0)
		return -errno;
	h->local = anonymous(pieces * page_size);
	if (ioctl(h->uffd, UFFDIO_API, &api))
		return -errno;
	reg = (struct uffdio_register) {
		.range.start = (uintptr_t)h->local,
		.range.len = pieces * page_size,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (ioctl(h->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	if (pthread_create(&h->thread, NULL, held_call, h))
		return -EAGAIN;
	return held_wait(h) ? -EIO : 0;
}

/* The same in this process. */
static inline int held_start(struct held *h, char *target, int pieces, ssize_t len,
			     bool do_read)
{
	return held_start_in(h, getpid(), target, pieces, len, do_read);
}

/* Lets piece @i be stored: what is on @page. */
static inline bool held_feed_page(struct held *h, int i, const void *page)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)h->local + i * page_size,
		.src = (uintptr_t)page,
		.len = page_size,
	};

	if (ioctl(h->uffd, UFFDIO_COPY, &copy))
		return false;
	return i + 1 < h->pieces ? held_wait(h) == i + 1 :
		!pthread_join(h->thread, NULL) &&
		h->result == h->pieces * h->len;
}

/* The same for bytes of @gen as of offset @off. */
static inline bool held_feed(struct held *h, int i, unsigned int gen, ssize_t off)
{
	char *page = anonymous(page_size);

	gen_fill(page, gen, off, h->len);
	return held_feed_page(h, i, page);
}

#endif /* HELD_H */
