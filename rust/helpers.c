// SPDX-License-Identifier: GPL-2.0
/*
 * C inlines and macros as functions that Rust can call, and callbacks of C that carry 64-bit values.
 *
 * No 64-bit value crosses between C and Rust by value: up to rustc 1.98 the two disagree on 32-bit x86 about where
 * such an argument lives (-mregparm=3). Pass a pointer.
 */
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/fileattr.h> /* needs fs.h */
#include <linux/fs_context.h>
#include <linux/iversion.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/statfs.h>
#include <linux/uidgid.h>
#include <linux/uuid.h>
#include <linux/xarray.h>

void snapmapfs_helper_i_size_read(const struct inode *inode, loff_t *size)
{
	*size = i_size_read(inode);
}

void snapmapfs_helper_i_size_write(struct inode *inode, const loff_t *size)
{
	i_size_write(inode, *size);
}

/* The segments of a file. */

void snapmapfs_helper_segments_init(struct xarray *segments)
{
	xa_init(segments);
}

int snapmapfs_helper_segments_insert(struct xarray *segments, unsigned long number,
				     struct inode *inode)
{
	return xa_insert(segments, number, inode, GFP_KERNEL_ACCOUNT);
}

/* Inodes. */

struct inode *snapmapfs_helper_alloc_inode_sb(struct super_block *sb, struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}

void snapmapfs_helper_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

void snapmapfs_helper_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

void snapmapfs_helper_inode_inc_iversion(struct inode *inode)
{
	inode_inc_iversion(inode);
}

void snapmapfs_helper_inode_touch_ctime(struct inode *inode)
{
	inode_set_ctime_current(inode);
}

void snapmapfs_helper_inode_set_mtime_to_ctime(struct inode *inode)
{
	inode_set_mtime_to_ts(inode, inode_get_ctime(inode));
}

void snapmapfs_helper_inode_touch_dir(struct inode *dir)
{
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
}

void snapmapfs_helper_inode_init_times(struct inode *inode)
{
	simple_inode_init_ts(inode);
}

void snapmapfs_helper_inode_set_cached_link(struct inode *inode, char *link, int len)
{
	inode_set_cached_link(inode, link, len);
}

void snapmapfs_helper_inode_annotate_lock(struct inode *inode)
{
	lockdep_annotate_inode_mutex_key(inode);
}

bool snapmapfs_helper_inode_unhashed(struct inode *inode)
{
	return inode_unhashed(inode);
}

void snapmapfs_helper_insert_inode_hash_key(struct inode *inode, const u64 *hash)
{
	__insert_inode_hash(inode, *hash);
}

struct inode *snapmapfs_helper_ilookup5_key(struct super_block *sb, const u64 *hash,
					int (*test)(struct inode *, void *), void *data)
{
	return ilookup5(sb, *hash, test, data);
}

int snapmapfs_helper_finish_open_simple(struct file *file, int error)
{
	return finish_open_simple(file, error);
}

/* Directories. */

bool snapmapfs_helper_dir_emit(struct dir_context *ctx, const struct dentry *dentry)
{
	const struct inode *inode = d_inode(dentry);

	return dir_emit(ctx, dentry->d_name.name, dentry->d_name.len, inode->i_ino,
			fs_umode_to_dtype(inode->i_mode));
}

bool snapmapfs_helper_dir_emit_dots(struct file *file, struct dir_context *ctx)
{
	return dir_emit_dots(file, ctx);
}

void snapmapfs_helper_mt_init_alloc(struct maple_tree *mt)
{
	mt_init_flags(mt, MT_FLAGS_ALLOC_RANGE);
}

/* Superblocks and how they are made. */

void snapmapfs_helper_super_set_random_uuid(struct super_block *sb)
{
	uuid_t uuid;

	uuid_gen(&uuid);
	super_set_uuid(sb, uuid.b, sizeof(uuid));
}

void snapmapfs_helper_super_fsid(struct super_block *sb, __kernel_fsid_t *fsid)
{
	*fsid = uuid_to_fsid(sb->s_uuid.b);
}

void snapmapfs_helper_memory_pages(unsigned long *total, unsigned long *low)
{
	struct sysinfo info;

	si_meminfo(&info);
	*total = info.totalram;
	*low = info.totalram - info.totalhigh;
}

int snapmapfs_helper_invalfc(struct fs_context *fc, const char *message)
{
	return invalfc(fc, "%s", message);
}

/* User and group ids: structures passed by value are as bad as 64-bit numbers. */

void snapmapfs_helper_current_fsuid(kuid_t *uid)
{
	*uid = current_fsuid();
}

void snapmapfs_helper_current_fsgid(kgid_t *gid)
{
	*gid = current_fsgid();
}

bool snapmapfs_helper_kuid_has_mapping(struct user_namespace *ns, const kuid_t *uid)
{
	return kuid_has_mapping(ns, *uid);
}

bool snapmapfs_helper_kgid_has_mapping(struct user_namespace *ns, const kgid_t *gid)
{
	return kgid_has_mapping(ns, *gid);
}

u32 snapmapfs_helper_kuid_munged(const kuid_t *uid)
{
	return from_kuid_munged(&init_user_ns, *uid);
}

u32 snapmapfs_helper_kgid_munged(const kgid_t *gid)
{
	return from_kgid_munged(&init_user_ns, *gid);
}

/* Access control lists. */

void snapmapfs_helper_cache_no_acl(struct inode *inode)
{
	cache_no_acl(inode);
}

void snapmapfs_helper_posix_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}

bool snapmapfs_helper_has_acl(const struct inode *inode, int type)
{
	if (!IS_POSIXACL(inode))
		return false;
	return type == ACL_TYPE_ACCESS ? inode->i_acl : inode->i_default_acl;
}

/* Members of unnamed unions, for which bindgen makes up names that depend on the configuration. */

u32 snapmapfs_helper_inode_nlink(const struct inode *inode)
{
	return READ_ONCE(inode->i_nlink);
}

char *snapmapfs_helper_inode_link(const struct inode *inode)
{
	return inode->i_link;
}

void snapmapfs_helper_inode_set_fop(struct inode *inode, const struct file_operations *fop)
{
	inode->i_fop = fop;
}

const struct qstr *snapmapfs_helper_dentry_qstr(const struct dentry *dentry)
{
	return &dentry->d_name;
}

void snapmapfs_helper_mas_init_at(struct ma_state *mas, struct maple_tree *mt, unsigned long index)
{
	mas_init(mas, mt, index);
}

/* Flags of chattr. */

bool snapmapfs_helper_fileattr_has_extended(const struct file_kattr *fa)
{
	return fileattr_has_fsx(fa);
}

u32 snapmapfs_helper_fileattr_flags(const struct file_kattr *fa)
{
	return fa->flags;
}

int snapmapfs_helper_kobject_add_sb(struct kobject *kobj, const struct kobj_type *ktype,
				    struct kobject *parent, const struct super_block *sb)
{
	return kobject_init_and_add(kobj, ktype, parent, "%u:%u", MAJOR(sb->s_dev),
				    MINOR(sb->s_dev));
}

void snapmapfs_helper_kobject_del_if_added(struct kobject *kobj)
{
	if (kobj->state_in_sysfs)
		kobject_del(kobj);
}

#include "helpers/window.c"
#include "helpers/mm.c"
