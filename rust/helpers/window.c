// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: files that show a part of another file. A window has a dentry of its own, which leads to the inode of the file
 * and says what part of it is meant.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "../vfs_ext.h"

/* The path of the file, and where in it the window begins. */
static char *snapmapfs_window_dname(struct dentry *dentry, char *buf, int buflen)
{
	const struct snapmapfs_window_info *info = dentry->d_fsdata;
	char where[24];
	int len = snprintf(where, sizeof(where), "+%lld", info->start);
	char *name;

	if (buflen <= len)
		return ERR_PTR(-ENAMETOOLONG);
	name = d_path(&info->path, buf, buflen - len);
	if (!IS_ERR(name))
		memcpy(buf + buflen - len - 1, where, len + 1);
	return name;
}

static void snapmapfs_window_release(struct dentry *dentry)
{
	struct snapmapfs_window_info *info = dentry->d_fsdata;

	dput(info->view);
	path_put(&info->path);
	kfree(info);
}

static const struct dentry_operations snapmapfs_window_dops = {
	.d_dname	= snapmapfs_window_dname,
	.d_release	= snapmapfs_window_release,
};

const struct snapmapfs_window_info *snapmapfs_helper_window_of(const struct dentry *dentry)
{
	return dentry->d_op == &snapmapfs_window_dops ? dentry->d_fsdata : NULL;
}

/* Any dentry of @inode but those of windows. As d_find_any_alias(). */
struct dentry *snapmapfs_helper_find_unhashed_alias(struct inode *inode)
{
	struct dentry *alias, *found = NULL;

	spin_lock(&inode->i_lock);
	hlist_for_each_entry(alias, &inode->i_dentry, d_alias) {
		if (!snapmapfs_helper_window_of(alias) && lockref_get_not_dead(&alias->d_lockref)) {
			found = alias;
			break;
		}
	}
	spin_unlock(&inode->i_lock);
	return found;
}

const struct snapmapfs_window_info *snapmapfs_helper_file_window(const struct file *file)
{
	return snapmapfs_helper_window_of(file->f_path.dentry);
}

/* A dentry for the part of @path's file from @start to @end (negative: its end), the pages of which are in @mapping. */
static struct dentry *snapmapfs_window_dentry(const struct path *path, loff_t start, loff_t end,
					      struct address_space *mapping)
{
	struct inode *inode = d_inode(path->dentry);
	struct snapmapfs_window_info *info;
	struct dentry *dentry;

	info = kzalloc_obj(*info, GFP_KERNEL_ACCOUNT);
	if (!info)
		return ERR_PTR(-ENOMEM);
	dentry = d_alloc_anon(inode->i_sb);
	if (!dentry) {
		kfree(info);
		return ERR_PTR(-ENOMEM);
	}
	path_get(path);
	info->path = *path;
	info->start = start;
	info->end = end;
	info->mapping = mapping;
	dentry->d_fsdata = info;
	dentry->d_op = &snapmapfs_window_dops;
	ihold(inode);
	d_instantiate(dentry, inode);
	return dentry;
}

/*
 * The same, with the dentry for its mappings: their offsets are counted from where the first page of @mapping begins, which
 * is the byte @origin of the file.
 */
static struct dentry *snapmapfs_window_new(const struct path *path, loff_t start, loff_t end,
					   struct address_space *mapping, loff_t origin)
{
	struct dentry *dentry = snapmapfs_window_dentry(path, start, end, mapping);
	struct snapmapfs_window_info *info;
	struct dentry *view;

	if (IS_ERR(dentry))
		return dentry;
	if (!origin && end < 0) {
		view = dget(path->dentry);
	} else {
		view = snapmapfs_window_dentry(path, origin, end, mapping);
		if (IS_ERR(view)) {
			dput(dentry);
			return view;
		}
	}
	info = dentry->d_fsdata;
	info->view = view;
	return dentry;
}

/* A dentry for mappings of the file or window @file that have the pages of @mapping, which begin at the byte @origin. */
static struct dentry *snapmapfs_mapping_dentry(struct file *file, struct address_space *mapping,
					       loff_t origin)
{
	const struct snapmapfs_window_info *info = snapmapfs_helper_window_of(file->f_path.dentry);
	const struct path *path = info ? &info->path : &file->f_path;

	if (!origin && (!info || info->end < 0))
		return dget(path->dentry);
	if (info && info->mapping == mapping) {
		const struct snapmapfs_window_info *view;

		/* remap_file_pages() maps the file of a mapping again. */
		if (info->start == origin)
			return dget(file->f_path.dentry);
		view = info->view ? snapmapfs_helper_window_of(info->view) : NULL;
		if (view && view->start == origin)
			return dget(info->view);
	}
	return snapmapfs_window_dentry(path, origin, info ? info->end : -1, mapping);
}

/*
 * A file for mappings that have the pages of @mapping, with @dentry, which is consumed, on the mount of @file. As
 * alloc_file_pseudo_noaccount(), which would make a dentry that nobody needs: O_PATH asks nobody and calls nobody.
 */
static struct file *snapmapfs_mapping_file(const struct file *file, struct dentry *dentry, int flags,
					   struct address_space *mapping,
					   const struct file_operations *fops)
{
	const struct path path = { .mnt = file->f_path.mnt, .dentry = dentry };
	struct file *made = kernel_file_open(&path, flags | O_PATH, current_cred());

	dput(dentry);
	if (IS_ERR(made))
		return made;
	made->f_flags = flags;
	made->f_mode = OPEN_FMODE(flags) | FMODE_OPENED | FMODE_NOACCOUNT;
	if (fops->llseek)
		made->f_mode |= FMODE_LSEEK;
	file_set_fsnotify_mode(made, FMODE_NONOTIFY);
	made->f_op = fops;
	made->f_mapping = mapping;
	made->f_iocb_flags = iocb_flags(made);
	if ((made->f_mode & (FMODE_READ | FMODE_WRITE)) == FMODE_READ)
		i_readcount_inc(file_inode(made));
	return made;
}

/* May the file at @path be opened anew? As may_open(). */
static int snapmapfs_may_reopen(const struct path *path, int flags)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct inode *inode = d_inode(path->dentry);
	int err = inode_permission(idmap, inode, MAY_OPEN | ACC_MODE(flags));

	if (err)
		return err;
	if (IS_APPEND(inode) && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_APPEND))
		return -EPERM;
	if ((flags & O_NOATIME) && !inode_owner_or_capable(idmap, inode))
		return -EPERM;
	return 0;
}

/*
 * Opens a window with the flags of @file, on the file that @file shows all or a part of, after the checks of opening it
 * anew. Returns the descriptor.
 */
int snapmapfs_helper_window_open(struct file *file, const loff_t *start, const loff_t *end,
				 struct address_space *mapping, const loff_t *origin,
				 const struct file_operations *fops)
{
	const struct snapmapfs_window_info *outer = snapmapfs_helper_window_of(file->f_path.dentry);
	const struct path *path = outer ? &outer->path : &file->f_path;
	struct dentry *dentry;
	struct file *window;
	int err, fd;

	err = snapmapfs_may_reopen(path, file->f_flags);
	if (err)
		return err;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	dentry = snapmapfs_window_new(path, *start, *end, mapping, *origin);
	if (IS_ERR(dentry)) {
		err = PTR_ERR(dentry);
		goto put_fd;
	}
	window = dentry_open(path, file->f_flags, current_cred());
	if (IS_ERR(window)) {
		err = PTR_ERR(window);
		goto put_dentry;
	}
	/* Nobody else has seen it yet. The inode stays the same, and so do the counts of its readers and writers. */
	dput(window->f_path.dentry);
	window->__f_path.dentry = dentry;
	window->f_op = fops;
	window->f_mapping = mapping;
	fd_install(fd, window);
	return fd;

put_dentry:
	dput(dentry);
put_fd:
	put_unused_fd(fd);
	return err;
}

/* @file is being opened, by way of the dentry of a window: it is one, too. */
bool snapmapfs_helper_window_reopen(struct file *file, const struct file_operations *fops)
{
	const struct snapmapfs_window_info *info = snapmapfs_helper_window_of(file->f_path.dentry);

	if (!info)
		return false;
	/* Of the same module, so the reference to that is the right one. */
	file->f_op = fops;
	file->f_mapping = info->mapping;
	return true;
}

/*
 * A file for the shared mappings of the file or window @file that have the pages of @mapping, which begin at the byte
 * @origin. Its offsets are those of the mapping's pages: who finds the file in a mapping may use it with an offset from
 * there, as madvise(MADV_REMOVE) does.
 */
struct file *snapmapfs_helper_window_view(struct file *file, struct address_space *mapping,
					  const loff_t *origin, const struct file_operations *fops)
{
	struct dentry *dentry = snapmapfs_mapping_dentry(file, mapping, *origin);
	struct file *view;

	if (IS_ERR(dentry))
		return ERR_CAST(dentry);
	view = snapmapfs_mapping_file(file, dentry, file->f_flags & (O_ACCMODE | O_LARGEFILE),
				      mapping, fops);
	if (IS_ERR(view))
		return view;
	/* Which has the right to write. Of a view, as in remap_file_pages(), what it is of: else there were no end of them. */
	if (file->f_op == fops && file->private_data)
		file = file->private_data;
	view->private_data = get_file(file);
	return view;
}

int snapmapfs_helper_window_view_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		fput(file->private_data);
	return 0;
}

void snapmapfs_helper_window_show_fdinfo(struct seq_file *seq, struct file *file)
{
	const struct snapmapfs_window_info *info = snapmapfs_helper_window_of(file->f_path.dentry);

	if (info)
		seq_printf(seq, "window_offset:\t%lld\nwindow_length:\t%lld\n", info->start,
			   info->end < 0 ? 0 : info->end - info->start);
}

/*
 * generic_write_checks() in the coordinates of the file that @iocb's file shows from @start on; @eof is its size.
 * On return the position is in the window's again.
 */
ssize_t snapmapfs_helper_window_write_checks(struct kiocb *iocb, struct iov_iter *from,
					     const loff_t *start, const loff_t *eof)
{
	int flags = iocb->ki_flags;
	ssize_t ret;
	loff_t pos;

	if (flags & IOCB_APPEND)
		pos = *eof;
	else if (check_add_overflow(iocb->ki_pos, *start, &pos))
		return -EFBIG;
	iocb->ki_pos = pos;
	iocb->ki_flags &= ~IOCB_APPEND;
	ret = generic_write_checks(iocb, from);
	iocb->ki_flags = flags;
	iocb->ki_pos -= *start;
	return ret;
}
