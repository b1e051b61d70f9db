// SPDX-License-Identifier: GPL-2.0
/*
 * A library for LD_PRELOAD that turns a shared mapping that is only for reading
 * into a private one. It shows what a program gains from the change of one word,
 * MAP_SHARED: in Rust's memmap2, from Mmap::map() to map_copy_read_only().
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fd >= 0 && !(prot & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE)
		flags = (flags & ~MAP_TYPE) | MAP_PRIVATE;
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

/* The name by which programs with 64-bit offsets call it. */
void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return mmap(addr, len, prot, flags, fd, off);
}
