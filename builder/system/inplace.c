/* The usual disk, written in place by libext2fs: one ext2/3/4 in a partition, which the machine has unmounted or
 * frozen. No appliance is booted, which under emulation takes most of a seal's time. Whatever is not that simple (LVM,
 * XFS, two systems, a journal to replay, features that change what freeing a block means) is left to the appliance. */
#include <errno.h>
#include <fnmatch.h>
#include <ingot/error.h>
#include <ingot/nbd.h>
#include <string.h>
#include <sys/stat.h>

#include "system/channel.h"
#include "system/debian.h"
#include "system/ext2.h"
#include "system/orphans.h"
#include "system/partition.h"
#include "system/treekinds.h"

#define TEXT_MAX (64u << 20) /* dpkg's status of a thousand packages is 2 MB */

#define COMPAT                                                                                                         \
    (EXT3_FEATURE_COMPAT_HAS_JOURNAL | EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_RESIZE_INODE |               \
     EXT2_FEATURE_COMPAT_DIR_INDEX | EXT4_FEATURE_COMPAT_SPARSE_SUPER2 | EXT4_FEATURE_COMPAT_ORPHAN_FILE)
#define RO_COMPAT                                                                                                      \
    (EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |      \
     EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |         \
     EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)
#define INCOMPAT                                                                                                       \
    (EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT |                    \
     EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED | EXT2_FEATURE_INCOMPAT_META_BG)

typedef struct {
    SystemTree tree;
    IngotNbd *disk;
    guint64 offset; /* of the file system on the disk */
    ext2_filsys fs;
} Direct;

static gboolean failed(const char *path, errcode_t code, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", path, error_message(code));
    return FALSE;
}

static errcode_t lookup(const Direct *direct, const char *path, ext2_ino_t *ino)
{
    return ext2fs_namei_follow(direct->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino);
}

static gboolean is_missing(errcode_t code)
{
    return code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY;
}

/* --- patterns --- */

typedef struct Match Match;
struct Match {
    Direct *direct;
    char **parts; /* of the pattern, from the one for this folder on */
    errcode_t (*act)(Direct *direct, ext2_ino_t folder, const char *name, ext2_ino_t ino);
};

static errcode_t match_folder(Direct *direct, ext2_ino_t folder, char **parts,
                              errcode_t (*act)(Direct *, ext2_ino_t, const char *, ext2_ino_t));

/* A link in the middle of a pattern is followed, as a shell does. */
static errcode_t match_below(const Match *match, ext2_ino_t folder, ext2_ino_t ino)
{
    struct ext2_inode inode;
    errcode_t code = ext2fs_follow_link(match->direct->fs, EXT2_ROOT_INO, folder, ino, &ino);
    if (code != 0 || ext2fs_read_inode(match->direct->fs, ino, &inode) != 0 || !LINUX_S_ISDIR(inode.i_mode)) {
        return 0; /* a dangling link, or no folder: nothing is below it */
    }
    return match_folder(match->direct, ino, match->parts + 1, match->act);
}

static errcode_t match_name(ext2_ino_t folder, const char *name, ext2_ino_t ino, gpointer user)
{
    const Match *match = user;
    if (fnmatch(match->parts[0], name, FNM_PERIOD) != 0) {
        return 0;
    }
    return match->parts[1] == NULL ? match->act(match->direct, folder, name, ino) : match_below(match, folder, ino);
}

static errcode_t match_folder(Direct *direct, ext2_ino_t folder, char **parts,
                              errcode_t (*act)(Direct *, ext2_ino_t, const char *, ext2_ino_t))
{
    Match match = {.direct = direct, .parts = parts, .act = act};
    return ext2_for_each(direct->fs, folder, match_name, &match);
}

static gboolean for_each(SystemTree *tree, const char *pattern,
                         errcode_t (*act)(Direct *, ext2_ino_t, const char *, ext2_ino_t), GError **error)
{
    g_auto(GStrv) parts = g_strsplit(pattern + strspn(pattern, "/"), "/", -1);
    errcode_t code = match_folder((Direct *)tree, EXT2_ROOT_INO, parts, act);
    return code == 0 || failed(pattern, code, error);
}

static errcode_t remove_one(Direct *direct, ext2_ino_t folder, const char *name, ext2_ino_t ino)
{
    (void)ino;
    return ext2_remove(direct->fs, folder, name);
}

static errcode_t empty_inode(Direct *direct, ext2_ino_t ino)
{
    struct ext2_inode inode;
    errcode_t code = ext2fs_read_inode(direct->fs, ino, &inode);
    if (code == 0) {
        code = ext2fs_inode_size_set(direct->fs, &inode, 0);
    }
    if (code == 0) {
        code = ext2fs_write_inode(direct->fs, ino, &inode);
    }
    return code != 0 ? code : ext2_punch(direct->fs, ino, &inode, 0);
}

static errcode_t empty_one(Direct *direct, ext2_ino_t folder, const char *name, ext2_ino_t ino)
{
    (void)folder, (void)name;
    struct ext2_inode inode;
    errcode_t code = ext2fs_read_inode(direct->fs, ino, &inode);
    return code == 0 && LINUX_S_ISREG(inode.i_mode) ? empty_inode(direct, ino) : code;
}

static gboolean direct_remove(SystemTree *tree, const char *pattern, GError **error)
{
    return for_each(tree, pattern, remove_one, error);
}

static gboolean direct_empty(SystemTree *tree, const char *pattern, GError **error)
{
    return for_each(tree, pattern, empty_one, error);
}

/* --- files --- */

static gboolean direct_exists(SystemTree *tree, const char *path, gboolean *exists, GError **error)
{
    ext2_ino_t ino;
    errcode_t code = lookup((Direct *)tree, path, &ino);
    *exists = code == 0;
    return code == 0 || is_missing(code) || failed(path, code, error);
}

static errcode_t read_inode_text(ext2_filsys fs, ext2_ino_t ino, char **text)
{
    ext2_file_t file;
    errcode_t code = ext2fs_file_open(fs, ino, 0, &file);
    if (code != 0) {
        return code;
    }
    __u64 size;
    unsigned got = 0;
    code = ext2fs_file_get_lsize(file, &size);
    if (code == 0 && size > TEXT_MAX) {
        code = EFBIG;
    }
    if (code == 0) {
        *text = g_malloc0(size + 1);
        code = size == 0 ? 0 : ext2fs_file_read(file, *text, (unsigned)size, &got);
    }
    ext2fs_file_close(file);
    return code;
}

static char *direct_read(SystemTree *tree, const char *path, GError **error)
{
    const Direct *direct = (Direct *)tree;
    ext2_ino_t ino;
    g_autofree char *text = NULL;
    errcode_t code = lookup(direct, path, &ino);
    if (code == 0) {
        code = read_inode_text(direct->fs, ino, &text);
    }
    if (code != 0) {
        failed(path, code, error);
        return NULL;
    }
    return g_steal_pointer(&text);
}

/* The folder that path lies in; it and those above are made where they are missing. */
static errcode_t make_parent(const Direct *direct, const char *path, ext2_ino_t *folder)
{
    g_auto(GStrv) parts = g_strsplit(path + strspn(path, "/"), "/", -1);
    *folder = EXT2_ROOT_INO;
    errcode_t code = 0;
    for (guint i = 0; code == 0 && parts[i + 1] != NULL; i++) {
        ext2_ino_t below;
        code = ext2fs_namei_follow(direct->fs, EXT2_ROOT_INO, *folder, parts[i], &below);
        if (is_missing(code)) {
            code = ext2_add_folder(direct->fs, *folder, parts[i], &below);
        }
        *folder = below;
    }
    return code;
}

static errcode_t open_for_writing(Direct *direct, const char *path, guint mode, ext2_ino_t *ino)
{
    errcode_t code = lookup(direct, path, ino);
    if (code == 0) {
        return empty_inode(direct, *ino);
    }
    ext2_ino_t folder;
    code = is_missing(code) ? make_parent(direct, path, &folder) : code;
    struct ext2_inode inode = {.i_mode = (__u16)(S_IFREG | mode)};
    inode.i_atime = inode.i_ctime = inode.i_mtime = (__u32)(g_get_real_time() / G_USEC_PER_SEC);
    return code != 0 ? code : ext2_add_file(direct->fs, folder, strrchr(path, '/') + 1, &inode, ino);
}

static gboolean direct_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error)
{
    Direct *direct = (Direct *)tree;
    ext2_ino_t ino;
    ext2_file_t file;
    errcode_t code = open_for_writing(direct, path, mode, &ino);
    if (code != 0 || (code = ext2fs_file_open(direct->fs, ino, EXT2_FILE_WRITE, &file)) != 0) {
        return failed(path, code, error);
    }
    unsigned written;
    code = ext2fs_file_write(file, text, (unsigned)strlen(text), &written);
    errcode_t closed = ext2fs_file_close(file);
    code = code != 0 ? code : closed;
    return code == 0 || failed(path, code, error);
}

static gboolean direct_link(SystemTree *tree, const char *target, const char *path, GError **error)
{
    const Direct *direct = (Direct *)tree;
    ext2_ino_t folder, ino;
    const char *name = strrchr(path, '/') + 1;
    errcode_t code = make_parent(direct, path, &folder);
    if (code == 0 && ext2fs_lookup(direct->fs, folder, name, (int)strlen(name), NULL, &ino) == 0) {
        code = ext2_remove(direct->fs, folder, name);
    }
    if (code == 0) {
        code = ext2_add_symlink(direct->fs, folder, name, target, &ino);
    }
    return code == 0 || failed(path, code, error);
}

/* --- what the system is --- */

static json_t *direct_os(SystemTree *tree, GError **error)
{
    g_autofree char *release = direct_read(tree, "/etc/os-release", error);
    g_autofree char *debian = release == NULL ? NULL : direct_read(tree, "/etc/debian_version", NULL);
    return release == NULL ? NULL : debian_os(release, debian);
}

static json_t *direct_packages(SystemTree *tree, GError **error)
{
    g_autofree char *status = direct_read(tree, "/var/lib/dpkg/status", error);
    return status == NULL ? NULL : debian_packages(status);
}

/* --- free space --- */

/* Zeros what the disk holds data for in [from, to), in bytes of the disk. */
static gboolean zero_range(Direct *direct, guint64 from, guint64 to, GError **error)
{
    while (from < to) {
        guint64 length;
        gboolean zero;
        if (!ingot_nbd_extent(direct->disk, from, &length, &zero, error)) {
            return FALSE;
        }
        length = MIN(length, to - from);
        if (!zero && !ingot_nbd_zero(direct->disk, from, length, error)) {
            return FALSE;
        }
        from += length;
    }
    return TRUE;
}

static gboolean direct_trim(SystemTree *tree, GError **error)
{
    Direct *direct = (Direct *)tree;
    ext2_filsys fs = direct->fs;
    blk64_t end = ext2fs_blocks_count(fs->super);
    for (blk64_t at = fs->super->s_first_data_block; at < end;) {
        blk64_t from, to;
        if (ext2fs_find_first_zero_block_bitmap2(fs->block_map, at, end - 1, &from) != 0) {
            return TRUE; /* nothing is free from here on */
        }
        if (ext2fs_find_first_set_block_bitmap2(fs->block_map, from, end - 1, &to) != 0) {
            to = end;
        }
        if (!zero_range(direct, direct->offset + from * fs->blocksize, direct->offset + to * fs->blocksize, error)) {
            return FALSE;
        }
        at = to;
    }
    return TRUE;
}

static gboolean direct_close(SystemTree *tree, GError **error)
{
    Direct *direct = (Direct *)tree;
    errcode_t code = ext2fs_close_free(&direct->fs);
    return code == 0 ? ingot_nbd_finish(direct->disk, error) : failed("the file system", code, error);
}

static void direct_free(SystemTree *tree)
{
    Direct *direct = (Direct *)tree;
    if (direct->fs != NULL) {
        direct->fs->flags &= ~EXT2_FLAG_DIRTY; /* something has failed: nothing more is written */
        ext2fs_free(direct->fs);
    }
    ingot_nbd_free(direct->disk);
    remove_error_table(&et_ext2_error_table);
    g_free(direct);
}

static const SystemTreeKind direct_kind = {
    .remove = direct_remove,
    .empty = direct_empty,
    .exists = direct_exists,
    .read = direct_read,
    .write = direct_write,
    .link = direct_link,
    .os = direct_os,
    .packages = direct_packages,
    .trim = direct_trim,
    .close = direct_close,
    .free = direct_free,
};

/* --- whether a disk is simple --- */

static gboolean is_simple(const struct ext2_super_block *super)
{
    return (super->s_feature_compat & ~(__u32)COMPAT) == 0 && (super->s_feature_ro_compat & ~(__u32)RO_COMPAT) == 0 &&
           (super->s_feature_incompat & ~(__u32)INCOMPAT) == 0 && (super->s_state & EXT2_VALID_FS) != 0 &&
           (super->s_state & EXT2_ERROR_FS) == 0;
}

static gboolean has(Direct *direct, const char *path)
{
    ext2_ino_t ino;
    return lookup(direct, path, &ino) == 0;
}

/* systemd-boot keeps a random seed in the EFI partition, which is no ext4. */
static gboolean is_plain_system(Direct *direct, gboolean needs_dpkg)
{
    return has(direct, "/etc/os-release") && (!needs_dpkg || has(direct, "/var/lib/dpkg/status")) &&
           !has(direct, "/usr/lib/systemd/boot/efi");
}

gboolean system_tree_open_inplace(const SystemTreeOptions *options, SystemTree **tree, GError **error)
{
    *tree = NULL;
    add_error_table(&et_ext2_error_table);
    Direct *direct = g_new0(Direct, 1);
    direct->tree.kind = &direct_kind;
    g_autoptr(SystemTree) owner = &direct->tree;
    direct->disk = ingot_nbd_open(options->disk, options->format, TRUE, error);
    if (direct->disk == NULL || !partition_find(direct->disk, options->workdir, &direct->offset, error)) {
        return FALSE;
    }
    g_autofree char *where = g_strdup_printf("offset=%" G_GUINT64_FORMAT, direct->offset);
    if (direct->offset == 0 || ext2fs_open2(ingot_nbd_uri(direct->disk), where, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0,
                                            channel_nbd_manager, &direct->fs) != 0) {
        return TRUE;
    }
    if (!is_simple(direct->fs->super) || !is_plain_system(direct, options->needs_dpkg) ||
        ext2fs_read_bitmaps(direct->fs) != 0) {
        return TRUE;
    }
    errcode_t code = orphans_finish(direct->fs);
    if (code != 0) {
        return failed("files that were deleted while open", code, error);
    }
    *tree = g_steal_pointer(&owner);
    return TRUE;
}
