/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers whose types and functions the kernel crate's bindings lack. bindgen_parameters names the
 * items that are taken from here; add to it what you use, and nothing that `kernel::bindings` has.
 */
#include <linux/exportfs.h>
#include <linux/falloc.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/fileattr.h> /* needs fs.h */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/xattr.h>
#include <linux/snapmapfs.h>

#include "vfs_ext.h"

/* bindgen does not evaluate these macros. */
const gfp_t RUST_CONST_HELPER_GFP_HIGHUSER = GFP_HIGHUSER;
const gfp_t RUST_CONST_HELPER___GFP_ACCOUNT = __GFP_ACCOUNT;
const gfp_t RUST_CONST_HELPER_SNAPMAPFS_GFP_PRESERVE =
	GFP_HIGHUSER | __GFP_ACCOUNT | __GFP_HIGH | __GFP_NORETRY | __GFP_NOWARN;
const fmode_t RUST_CONST_HELPER_FMODE_CAN_ODIRECT = FMODE_CAN_ODIRECT;
const fmode_t RUST_CONST_HELPER_FMODE_NOWAIT = FMODE_NOWAIT;

const unsigned int RUST_CONST_HELPER_SNAPMAPFS_IOC_OPEN_WINDOW = SNAPMAPFS_IOC_OPEN_WINDOW;
const int RUST_CONST_HELPER_SNAPMAPFS_READ_AGAIN = AOP_TRUNCATED_PAGE;
/* A page whose contents may change without the filesystem being asked has the first of these marks. */
const unsigned int RUST_CONST_HELPER_SNAPMAPFS_TAG_WRITABLE = (__force unsigned int)PAGECACHE_TAG_TOWRITE;
const unsigned int RUST_CONST_HELPER_SNAPMAPFS_XA_PRESENT = (__force unsigned int)XA_PRESENT;
const unsigned int RUST_CONST_HELPER_SNAPMAPFS_TAG_SECOND = (__force unsigned int)PAGECACHE_TAG_WRITEBACK;
const slab_flags_t RUST_CONST_HELPER_SLAB_ACCOUNT = SLAB_ACCOUNT;
const unsigned long RUST_CONST_HELPER_SB_POSIXACL = SB_POSIXACL;
const unsigned long RUST_CONST_HELPER_SB_NOSEC = SB_NOSEC;
const unsigned int RUST_CONST_HELPER_SB_I_VERSION = SB_I_VERSION;
const unsigned int RUST_CONST_HELPER_DCACHE_DONTCACHE = DCACHE_DONTCACHE;
