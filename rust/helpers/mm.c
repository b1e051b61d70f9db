// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache, mappings and files.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/folio_batch.h>
#include <linux/highmem.h>
#include <linux/interval_tree_generic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <linux/wordpart.h>

#include "../vfs_ext.h"

/* Locks. */

/* One lockdep class: there is one kind of semaphore in this module, the snapshot lock of an inode. */
void snapmapfs_helper_init_rwsem(struct rw_semaphore *snapshot_lock)
{
	init_rwsem(snapshot_lock);
}

void snapmapfs_helper_rwlock_init(rwlock_t *lock)
{
	rwlock_init(lock);
}

void snapmapfs_helper_read_lock(rwlock_t *lock)
{
	read_lock(lock);
}

bool snapmapfs_helper_read_trylock(rwlock_t *lock)
{
	return read_trylock(lock);
}

void snapmapfs_helper_read_unlock(rwlock_t *lock)
{
	read_unlock(lock);
}

void snapmapfs_helper_write_lock(rwlock_t *lock)
{
	write_lock(lock);
}

void snapmapfs_helper_write_unlock(rwlock_t *lock)
{
	write_unlock(lock);
}

/* Folios. */

void snapmapfs_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
}

void snapmapfs_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}

void snapmapfs_helper_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

void snapmapfs_helper_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

bool snapmapfs_helper_folio_mapped(const struct folio *folio)
{
	return folio_mapped(folio);
}

/*
 * The folio is locked, unmapped and in the page cache, and the caller has refs references. A folio that is not on the LRU
 * may be in the batch of a CPU that is about to put it there, which takes a reference, too.
 */
bool snapmapfs_helper_folio_has_other_users(const struct folio *folio, int refs)
{
	bool off = !folio_test_lru(folio);
	int count;

	/* Only if it is off the LRU all the time is one of the references that of a batch, and not of somebody else. */
	smp_rmb(); /* Flag before count: pairs with the atomics of folio_isolate_lru() and lru_add(). */
	count = folio_ref_count(folio);
	smp_rmb(); /* Count before flag, likewise. */
	off &= !folio_test_lru(folio);
	/* It may have been there in between, and somebody is taking it off: he has a reference. */
	smp_rmb(); /* Flag before count, likewise. */
	count = max(count, folio_ref_count(folio));
	return count > folio_expected_ref_count(folio) + refs + off;
}

/* Whether it could be copied: memory may turn out to be broken. */
bool snapmapfs_helper_folio_copy_page(struct folio *dst, struct folio *src)
{
	return !copy_mc_highpage(folio_page(dst, 0), folio_page(src, 0));
}

void snapmapfs_helper_folio_zero_range(struct folio *folio, size_t start, size_t len)
{
	folio_zero_range(folio, start, len);
}

bool snapmapfs_helper_folio_is_zero(struct folio *folio, size_t start, size_t len)
{
	void *addr = kmap_local_folio(folio, 0);
	bool zero = !memchr_inv(addr + start, 0, len);

	kunmap_local(addr);
	return zero;
}

void snapmapfs_helper_folio_copy_piece(struct folio *dst, size_t to, struct folio *src, size_t from,
				       size_t len)
{
	memcpy_folio(dst, to, src, from, len);
}

bool snapmapfs_helper_folio_differs(struct folio *folio, struct folio *seen, size_t from,
				    size_t len)
{
	void *a = kmap_local_folio(folio, 0);
	void *b = kmap_local_folio(seen, 0);
	bool differs = memcmp(a + from, b + from, len);

	kunmap_local(b);
	kunmap_local(a);
	return differs;
}

/* The top bit of each byte of @word that is not 0. */
static unsigned long nonzero_bytes(unsigned long word)
{
	unsigned long low = REPEAT_BYTE(0x7f);

	return (((word & low) + low) | word) & ~low;
}

/*
 * What of @folio is not as in @seen goes there, too, and to @dst. The folio may change meanwhile: each word is read once.
 *
 * If @dst has changed, too, both keep what they have done to a word, unless it was to the same bytes: then @folio has all of the
 * word, for nobody may find one there that nobody has stored.
 */
void snapmapfs_helper_folio_merge(struct folio *dst, size_t to, struct folio *folio,
				  struct folio *seen, size_t from, size_t len)
{
	void *page_d = kmap_local_folio(dst, 0);
	void *page_a = kmap_local_folio(folio, 0);
	void *page_b = kmap_local_folio(seen, 0);
	unsigned long *d = page_d + to, *a = page_a + from, *b = page_b + from;
	size_t i;

	for (i = 0; i < len / sizeof(*a); i++) {
		unsigned long word = READ_ONCE(a[i]), seen = b[i], old, new;

		if (word == seen)
			continue;
		b[i] = word;
		/* @dst may be mapped writable: what is stored to the rest of the word meanwhile stays. */
		old = READ_ONCE(d[i]);
		do {
			new = word;
			if (!(nonzero_bytes(word ^ seen) & nonzero_bytes(old ^ seen)))
				new ^= old ^ seen;
		} while (!try_cmpxchg(&d[i], &old, new));
	}
	for (i *= sizeof(*a); i < len; i++) {
		u8 byte = READ_ONCE(((u8 *)a)[i]);

		if (byte == ((u8 *)b)[i])
			continue;
		((u8 *)b)[i] = byte;
		WRITE_ONCE(((u8 *)d)[i], byte);
	}
	kunmap_local(page_b);
	kunmap_local(page_a);
	kunmap_local(page_d);
}

bool snapmapfs_helper_folio_maybe_pinned(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio);
}

void snapmapfs_helper_folio_clear_uptodate(struct folio *folio)
{
	folio_clear_uptodate(folio);
}

void snapmapfs_helper_folio_cancel_dirty(struct folio *folio)
{
	folio_cancel_dirty(folio);
}

int snapmapfs_helper_folio_ref_count(const struct folio *folio)
{
	return folio_ref_count(folio);
}

struct folio *snapmapfs_helper_folio_alloc(gfp_t gfp)
{
	return folio_alloc(gfp, 0);
}

/* Page cache. */

/*
 * As filemap_get_entry(), which is not exported: what filemap_get_folio() adds to it is a third of the look-up. An entry that
 * is no folio is the shadow of a page of a view that was reclaimed.
 */
struct folio *snapmapfs_helper_filemap_get_folio(struct address_space *mapping, pgoff_t index)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
	do {
		xas_reset(&xas);
		folio = xas_load(&xas);
		if (xas_retry(&xas, folio))
			continue;
		if (!folio || xa_is_value(folio)) {
			folio = NULL;
			break;
		}
		if (!folio_try_get(folio))
			continue;
		if (likely(folio == xas_reload(&xas)))
			break;
		/* It has gone meanwhile. */
		folio_put(folio);
	} while (true);
	rcu_read_unlock();
	return folio;
}

struct folio *snapmapfs_helper_filemap_lock_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio;

	while ((folio = snapmapfs_helper_filemap_get_folio(mapping, index))) {
		folio_lock(folio);
		if (likely(folio->mapping == mapping))
			break;
		/* It left the page cache before it was locked. */
		folio_unlock(folio);
		folio_put(folio);
	}
	return folio;
}

/*
 * Adds a new folio, which is locked then and neither uptodate nor dirty. For one that nobody has asked for yet, @ahead, no
 * process is worth to be ended.
 */
struct folio *snapmapfs_helper_filemap_add_new(struct address_space *mapping, pgoff_t index,
					       bool ahead)
{
	gfp_t gfp = ahead ? readahead_gfp_mask(mapping) : mapping_gfp_mask(mapping);
	struct folio *folio = folio_alloc(gfp, 0);
	int err;

	if (!folio)
		return ERR_PTR(-ENOMEM);
	/* Live pages are never reclaimed, but their use may as well be known. */
	if (!ahead)
		__folio_set_referenced(folio);
	err = filemap_add_folio(mapping, folio, index, gfp);
	if (err) {
		folio_put(folio);
		return ERR_PTR(err);
	}
	return folio;
}

/* A new folio that nobody else knows, locked, which is not charged to a memory cgroup yet. */
struct folio *snapmapfs_helper_folio_alloc_locked(gfp_t gfp)
{
	struct folio *folio = folio_alloc(gfp, 0);

	if (folio)
		__folio_set_locked(folio);
	return folio;
}

/*
 * Puts @new, which is of the function above, in the place of @old, which is locked, if that is still in the page cache. Both
 * stay locked, and page tables that map @old go on to do so.
 */
bool snapmapfs_helper_filemap_replace(struct folio *old, struct folio *new)
{
	if (!old->mapping)
		return false;
	replace_page_cache_folio(old, new);
	folio_add_lru(new);
	return true;
}

bool snapmapfs_helper_folio_in(const struct folio *folio, const struct address_space *mapping)
{
	return folio->mapping == mapping;
}

void snapmapfs_helper_mapping_set_gfp_mask(struct address_space *mapping, gfp_t gfp)
{
	mapping_set_gfp_mask(mapping, gfp);
}

void snapmapfs_helper_mapping_set_unevictable(struct address_space *mapping)
{
	mapping_set_unevictable(mapping);
}

void snapmapfs_helper_filemap_invalidate_lock(struct address_space *mapping)
{
	filemap_invalidate_lock(mapping);
}

void snapmapfs_helper_filemap_invalidate_unlock(struct address_space *mapping)
{
	filemap_invalidate_unlock(mapping);
}

void snapmapfs_helper_filemap_invalidate_lock_shared(struct address_space *mapping)
{
	filemap_invalidate_lock_shared(mapping);
}

void snapmapfs_helper_filemap_invalidate_unlock_shared(struct address_space *mapping)
{
	filemap_invalidate_unlock_shared(mapping);
}

bool snapmapfs_helper_mapping_writably_mapped(const struct address_space *mapping)
{
	return mapping_writably_mapped(mapping);
}

/* Marks on pages in the page cache. Nothing else uses them: there is no writeback here. */

void snapmapfs_helper_set_mark(struct address_space *mapping, pgoff_t index, unsigned int mark,
			       bool on)
{
	unsigned long flags;

	if (xa_get_mark(&mapping->i_pages, index, (__force xa_mark_t)mark) == on)
		return;
	xa_lock_irqsave(&mapping->i_pages, flags);
	if (on)
		__xa_set_mark(&mapping->i_pages, index, (__force xa_mark_t)mark);
	else
		__xa_clear_mark(&mapping->i_pages, index, (__force xa_mark_t)mark);
	xa_unlock_irqrestore(&mapping->i_pages, flags);
}

/*
 * The same for a page whose contents may change without the filesystem being asked. @folio is locked and in the page cache. A
 * flag that is the filesystem's, too, says that it has the mark, and takes no walk to be seen; migration takes it along.
 */
void snapmapfs_helper_mark_writable(struct address_space *mapping, struct folio *folio, bool on)
{
	unsigned long flags;

	if (folio_test_checked(folio) == on)
		return;
	xa_lock_irqsave(&mapping->i_pages, flags);
	if (on)
		__xa_set_mark(&mapping->i_pages, folio->index, PAGECACHE_TAG_TOWRITE);
	else
		__xa_clear_mark(&mapping->i_pages, folio->index, PAGECACHE_TAG_TOWRITE);
	xa_unlock_irqrestore(&mapping->i_pages, flags);
	if (on)
		folio_set_checked(folio);
	else
		folio_clear_checked(folio);
}

bool snapmapfs_helper_is_marked(struct address_space *mapping, pgoff_t index, unsigned int mark)
{
	return xa_get_mark(&mapping->i_pages, index, (__force xa_mark_t)mark);
}

bool snapmapfs_helper_any_marked(const struct address_space *mapping, unsigned int mark)
{
	return mapping_tagged(mapping, (__force xa_mark_t)mark);
}

unsigned int snapmapfs_helper_get_marked(struct address_space *mapping, pgoff_t *start,
					 pgoff_t end, unsigned int mark,
					 struct folio_batch *fbatch)
{
	return filemap_get_folios_tag(mapping, start, end, (__force xa_mark_t)mark, fbatch);
}

void snapmapfs_helper_folio_batch_init(struct folio_batch *fbatch)
{
	folio_batch_init(fbatch);
}

void snapmapfs_helper_folios_put(struct folio_batch *fbatch)
{
	folios_put(fbatch);
}

void snapmapfs_helper_folio_batch_release(struct folio_batch *fbatch)
{
	folio_batch_release(fbatch);
}

/* The mappings of a file: an instance of our own, since mm/interval_tree.c exports none. */

#define START(vma) ((vma)->vm_pgoff)
#define LAST(vma) vma_last_pgoff(vma)

INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long, shared.rb_subtree_last,
		     START, LAST, static inline __maybe_unused, snapmapfs_vmas)

void snapmapfs_helper_i_mmap_lock_read(struct address_space *mapping)
{
	i_mmap_lock_read(mapping);
}

void snapmapfs_helper_i_mmap_unlock_read(struct address_space *mapping)
{
	i_mmap_unlock_read(mapping);
}

struct vm_area_struct *snapmapfs_helper_i_mmap_first(struct address_space *mapping,
						     unsigned long first, unsigned long last)
{
	return snapmapfs_vmas_iter_first(&mapping->i_mmap, first, last);
}

struct vm_area_struct *snapmapfs_helper_i_mmap_next(struct vm_area_struct *vma,
						    unsigned long first, unsigned long last)
{
	return snapmapfs_vmas_iter_next(vma, first, last);
}

/* Mappings. */

bool snapmapfs_helper_vma_desc_is_shared(const struct vm_area_desc *desc)
{
	return vma_desc_test(desc, VMA_MAYSHARE_BIT);
}

/* Whether the mapping will be one of those that mapping_writably_mapped() sees. As is_shared_maywrite(). */
bool snapmapfs_helper_vma_desc_is_shared_maywrite(const struct vm_area_desc *desc)
{
	return vma_desc_test(desc, VMA_SHARED_BIT) && vma_desc_test(desc, VMA_MAYWRITE_BIT);
}

unsigned long snapmapfs_helper_vma_pages(const struct vm_area_struct *vma)
{
	return vma_pages(vma);
}

/*
 * The page after the last one that the core maps with that of @vmf if it is in the page cache (do_fault_around(), with what
 * fault_around_bytes is unless it was changed), where the access is a load and the mapping not for loads here and there.
 */
unsigned long snapmapfs_helper_fault_around_end(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const unsigned long around = SZ_64K >> PAGE_SHIFT;
	unsigned long nr = around - pte_index(vmf->address) % around;

	if ((vmf->flags & FAULT_FLAG_WRITE) || (vma->vm_flags & VM_RAND_READ))
		nr = 1;
	return vmf->pgoff + min(nr, vma_pages(vma) - (vmf->pgoff - vma->vm_pgoff));
}

void snapmapfs_helper_sb_start_pagefault(struct super_block *sb)
{
	sb_start_pagefault(sb);
}

void snapmapfs_helper_sb_end_pagefault(struct super_block *sb)
{
	sb_end_pagefault(sb);
}

struct page *snapmapfs_helper_folio_page(struct folio *folio)
{
	return folio_page(folio, 0);
}

struct folio *snapmapfs_helper_page_folio(struct page *page)
{
	return page_folio(page);
}

/*
 * A file for the mappings of one snapshot of what the file or window @file has in @mapping, the pages of which begin at the
 * byte @origin. It has a path by which /proc/PID/maps and everybody else who asks a mapping for its file sees what was mapped.
 */
struct file *snapmapfs_helper_snapshot_file(struct file *file, struct address_space *mapping,
					    const loff_t *origin,
					    const struct file_operations *fops, void *private_data)
{
	struct dentry *dentry = snapmapfs_mapping_dentry(file, mapping, *origin);
	struct file *snap;

	if (IS_ERR(dentry))
		return ERR_CAST(dentry);
	snap = snapmapfs_mapping_file(file, dentry, O_RDONLY | O_LARGEFILE, mapping, fops);
	if (!IS_ERR(snap))
		snap->private_data = private_data;
	return snap;
}

bool snapmapfs_helper_file_is_backing(const struct file *file)
{
	return file->f_mode & FMODE_BACKING;
}

bool snapmapfs_helper_file_is_shared(const struct file *file)
{
	return file_count((struct file *)file) > 1;
}

/* Files. */

loff_t snapmapfs_helper_llseek(struct file *file, loff_t offset, int whence)
{
	const struct snapmapfs_file_operations *ops =
		container_of(file->f_op, struct snapmapfs_file_operations, fops);

	ops->llseek(file, &offset, whence);
	return offset;
}

long snapmapfs_helper_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	const struct snapmapfs_file_operations *ops =
		container_of(file->f_op, struct snapmapfs_file_operations, fops);

	return ops->fallocate(file, mode, &offset, &len);
}

void snapmapfs_helper_file_llseek_size(struct file *file, loff_t *pos, int whence,
				       const loff_t *maxsize, const loff_t *eof)
{
	*pos = generic_file_llseek_size(file, *pos, whence, *maxsize, *eof);
}

void snapmapfs_helper_file_setpos(struct file *file, loff_t *pos, const loff_t *maxsize)
{
	*pos = vfs_setpos(file, *pos, *maxsize);
}

int snapmapfs_helper_newsize_ok(const struct inode *inode, const loff_t *size)
{
	return inode_newsize_ok(inode, *size);
}

void snapmapfs_helper_file_accessed(struct file *file)
{
	file_accessed(file);
}

bool snapmapfs_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

void snapmapfs_helper_cond_resched(void)
{
	cond_resched();
}

bool snapmapfs_helper_iter_is_user(const struct iov_iter *iter)
{
	return user_backed_iter(iter);
}

size_t snapmapfs_helper_copy_zeros_to_iter(size_t offset, size_t bytes, struct iov_iter *iter)
{
	return copy_page_to_iter(ZERO_PAGE(0), offset, bytes, iter);
}

size_t snapmapfs_helper_copy_folio_to_iter(struct folio *folio, size_t offset, size_t bytes,
					   struct iov_iter *iter)
{
	return copy_folio_to_iter(folio, offset, bytes, iter);
}

/* Fills @folio from @iter, from @offset on. May sleep and fault: nothing may be locked that a fault takes. */
size_t snapmapfs_helper_copy_folio_from_iter(struct folio *folio, size_t offset, size_t bytes,
					     struct iov_iter *iter)
{
	return copy_page_from_iter(folio_page(folio, 0), offset, bytes, iter);
}

void snapmapfs_helper_iter_truncate(struct iov_iter *iter, size_t count)
{
	iov_iter_truncate(iter, count);
}

/* Takes back @bytes of what iter_truncate() cut off. */
void snapmapfs_helper_iter_expand(struct iov_iter *iter, size_t bytes)
{
	iov_iter_reexpand(iter, iov_iter_count(iter) + bytes);
}

/* Memory cgroups. */

#ifdef CONFIG_MEMCG
struct mem_cgroup *snapmapfs_helper_current_memcg(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void snapmapfs_helper_memcg_get(struct mem_cgroup *memcg)
{
	css_get(&memcg->css);
}

void snapmapfs_helper_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *snapmapfs_helper_set_active_memcg(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}

/* Whether @folio is charged to @memcg, which is below its limits. Who charges at the same time makes that inexact. */
bool snapmapfs_helper_memcg_pays_for(const struct mem_cgroup *memcg, struct folio *folio)
{
	const struct page_counter *counter = memcg ? &memcg->memory : NULL;
	bool pays;

	rcu_read_lock();
	pays = folio_memcg(folio) == memcg;
	rcu_read_unlock();
	for (; pays && counter; counter = counter->parent)
		pays = atomic_long_read(&counter->usage) < READ_ONCE(counter->max);
	return pays;
}

/* Whether what is charged now is charged to a cgroup that the running task is not in. */
bool snapmapfs_helper_memcg_is_of_other(void)
{
	struct mem_cgroup *active = current->active_memcg;
	bool other = false;

	if (active) {
		rcu_read_lock();
		other = !mem_cgroup_is_descendant(mem_cgroup_from_task(current), active);
		rcu_read_unlock();
	}
	return other;
}
#else
bool snapmapfs_helper_memcg_is_of_other(void)
{
	return false;
}

struct mem_cgroup *snapmapfs_helper_current_memcg(void)
{
	return NULL;
}

void snapmapfs_helper_memcg_get(struct mem_cgroup *memcg)
{
}

void snapmapfs_helper_memcg_put(struct mem_cgroup *memcg)
{
}

struct mem_cgroup *snapmapfs_helper_set_active_memcg(struct mem_cgroup *memcg)
{
	return NULL;
}

bool snapmapfs_helper_memcg_pays_for(const struct mem_cgroup *memcg, struct folio *folio)
{
	return true;
}
#endif
