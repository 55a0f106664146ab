/* The usual disk, written in place by libext2fs: one ext2/3/4 in a partition, which the machine has unmounted or
 * frozen. No appliance is booted, which under emulation takes most of a seal's time. Whatever is not that simple (LVM,
 * XFS, two systems, a journal to replay, features that change what freeing a block means) is left to the appliance. */
#include <ingot/error.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/fstab.h"
#include "image/nbd.h"
#include "system/channel.h"
#include "system/debian.h"
#include "system/esp.h"
#include "system/ext2.h"
#include "system/orphans.h"
#include "system/partition.h"
#include "system/swap.h"
#include "system/treekinds.h"
#include "system/zero.h"

#define STATUS_MAX (64u << 20) /* dpkg's status of a thousand packages is 2 MB */

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
    PartitionTable table;
    ext2_filsys fs;
    GPtrArray *mounts;    /* of FstabEntry */
    ext2_ino_t efi_point; /* the folder where the EFI partition is mounted; 0: nowhere */
    GPtrArray *efi_names; /* what is on that */
} Direct;

static gboolean failed(const char *path, errcode_t code, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s%s", path,
                code == EXT2_ET_DIR_CORRUPTED ? "the file system is damaged: " : "", error_message(code));
    return FALSE;
}

static errcode_t lookup(const Direct *direct, const char *path, ext2_ino_t *ino)
{
    return ext2fs_namei_follow(direct->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ino);
}

static gboolean is_missing(errcode_t code)
{
    return code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY || code == EXT2_ET_SYMLINK_LOOP;
}

/* --- names, on the ext4 and on the EFI partition mounted in it --- */

/* The part of path that lies on the EFI partition ("" for the folder where that is mounted); NULL: none of it. */
static const char *direct_on_efi(const Direct *direct, const char *path)
{
    if (direct->efi_point == 0) {
        return NULL;
    }
    for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
        g_autofree char *above = end == NULL ? g_strdup(path) : g_strndup(path, (gsize)(end - path));
        ext2_ino_t ino;
        if (lookup(direct, above, &ino) == 0 && ino == direct->efi_point) {
            return end == NULL ? path + strlen(path) : end;
        }
        if (end == NULL) {
            return NULL;
        }
    }
}

static void direct_list_efi(const Direct *direct, const char *folder, GPtrArray *names)
{
    gsize length = strlen(folder);
    for (guint i = 0; i < direct->efi_names->len; i++) {
        const char *name = g_ptr_array_index(direct->efi_names, i);
        if (g_ascii_strncasecmp(name, folder, length) == 0 && name[length] == '/' &&
            strchr(name + length + 1, '/') == NULL) {
            g_ptr_array_add(names, g_strdup(name + length + 1));
        }
    }
}

static errcode_t direct_add_name(ext2_ino_t folder, const char *name, ext2_ino_t ino, gpointer user)
{
    (void)folder, (void)ino;
    g_ptr_array_add(user, g_strdup(name));
    return 0;
}

static gboolean direct_list(SystemTree *tree, const char *folder, GPtrArray *names, GError **error)
{
    const Direct *direct = (Direct *)tree;
    const char *on_efi = direct_on_efi(direct, folder);
    if (on_efi != NULL) {
        direct_list_efi(direct, on_efi, names);
        return TRUE;
    }
    ext2_ino_t ino;
    struct ext2_inode inode;
    errcode_t code = lookup(direct, folder, &ino);
    if (is_missing(code)) {
        return TRUE;
    }
    if (code == 0) {
        code = ext2fs_read_inode(direct->fs, ino, &inode);
    }
    if (code == 0 && LINUX_S_ISDIR(inode.i_mode)) {
        code = ext2_for_each(direct->fs, ino, direct_add_name, names);
    }
    return code == 0 || failed(folder, code, error);
}

/* The inode of path, a link's own; and the folder that names it. */
static errcode_t direct_find(const Direct *direct, const char *path, ext2_ino_t *folder, ext2_ino_t *ino)
{
    g_autofree char *above = g_path_get_dirname(path);
    const char *name = strrchr(path, '/') + 1;
    errcode_t code = lookup(direct, above, folder);
    return code != 0 ? code : ext2fs_lookup(direct->fs, *folder, name, (int)strlen(name), NULL, ino);
}

static gboolean direct_has_efi_name(const Direct *direct, const char *path)
{
    gboolean found = FALSE;
    for (guint i = 0; i < direct->efi_names->len && !found; i++) {
        found = g_ascii_strcasecmp(g_ptr_array_index(direct->efi_names, i), path) == 0;
    }
    return found;
}

static SystemType type_of(const struct ext2_inode *inode)
{
    return LINUX_S_ISREG(inode->i_mode)   ? SYSTEM_PLAIN
           : LINUX_S_ISDIR(inode->i_mode) ? SYSTEM_FOLDER
           : LINUX_S_ISLNK(inode->i_mode) ? SYSTEM_LINK
                                          : SYSTEM_OTHER;
}

static gboolean direct_look(SystemTree *tree, const char *path, SystemType *type, GError **error)
{
    const Direct *direct = (Direct *)tree;
    const char *on_efi = direct_on_efi(direct, path);
    *type = SYSTEM_NOTHING;
    if (on_efi != NULL && *on_efi != '\0') {
        *type = direct_has_efi_name(direct, on_efi) ? SYSTEM_OTHER : SYSTEM_NOTHING;
        return TRUE;
    }
    ext2_ino_t folder, ino;
    struct ext2_inode inode;
    errcode_t code = direct_find(direct, path, &folder, &ino);
    if (is_missing(code)) {
        return TRUE;
    }
    if (code == 0) {
        code = ext2fs_read_inode(direct->fs, ino, &inode);
    }
    if (code != 0) {
        return failed(path, code, error);
    }
    *type = type_of(&inode);
    return TRUE;
}

static gboolean direct_follow(SystemTree *tree, const char *path, SystemType *type, guint64 *size, GError **error)
{
    const Direct *direct = (Direct *)tree;
    ext2_ino_t ino;
    struct ext2_inode inode;
    *size = 0;
    if (direct_on_efi(direct, path) != NULL) {
        return direct_look(tree, path, type, error);
    }
    *type = SYSTEM_NOTHING;
    errcode_t code = lookup(direct, path, &ino);
    if (is_missing(code)) {
        return TRUE;
    }
    if (code == 0) {
        code = ext2fs_read_inode(direct->fs, ino, &inode);
    }
    if (code != 0) {
        return failed(path, code, error);
    }
    *type = type_of(&inode);
    *size = EXT2_I_SIZE(&inode);
    return TRUE;
}

/* Also a folder that has the EFI partition somewhere below it is out of reach: removing it has to empty that. */
static gboolean direct_reaches(SystemTree *tree, const char *path)
{
    const Direct *direct = (Direct *)tree;
    if (direct->efi_point == 0) {
        return TRUE;
    }
    ext2_ino_t folder, ino, above = direct->efi_point;
    if (direct_on_efi(direct, path) != NULL || direct_find(direct, path, &folder, &ino) != 0) {
        return direct_on_efi(direct, path) == NULL;
    }
    for (guint left = PATH_MAX; above != EXT2_ROOT_INO && above != ino; left--) {
        if (left == 0 || ext2fs_lookup(direct->fs, above, "..", 2, NULL, &above) != 0) {
            return FALSE;
        }
    }
    return above != ino;
}

static gboolean direct_remove(SystemTree *tree, const char *path, GError **error)
{
    const Direct *direct = (Direct *)tree;
    ext2_ino_t folder, ino;
    errcode_t code = direct_find(direct, path, &folder, &ino);
    if (code == 0) {
        code = ext2_remove(direct->fs, folder, strrchr(path, '/') + 1);
    }
    return code == 0 || is_missing(code) || failed(path, code, error);
}

static errcode_t empty_inode(Direct *direct, ext2_ino_t ino)
{
    struct ext2_inode inode;
    errcode_t code = ext2fs_read_inode(direct->fs, ino, &inode);
    if (code == 0) {
        code = ext2fs_inode_size_set(direct->fs, &inode, 0);
    }
    if (code == 0) {
        inode.i_mtime = inode.i_ctime = (__u32)direct->fs->now;
        code = ext2fs_write_inode(direct->fs, ino, &inode);
    }
    return code != 0 ? code : ext2_punch(direct->fs, ino, &inode, 0);
}

static gboolean direct_empty(SystemTree *tree, const char *path, GError **error)
{
    Direct *direct = (Direct *)tree;
    ext2_ino_t folder, ino;
    errcode_t code = direct_find(direct, path, &folder, &ino);
    if (code == 0) {
        code = empty_inode(direct, ino);
    }
    return code == 0 || failed(path, code, error);
}

/* --- files --- */

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
    inode.i_atime = inode.i_ctime = inode.i_mtime = (__u32)direct->fs->now;
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

static char *direct_read_needed(SystemTree *tree, const char *path, gsize limit, GError **error)
{
    char *text;
    if (system_tree_read(tree, path, limit, &text, error) && text == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: this is not a regular file", path);
    }
    return text;
}

static json_t *direct_os(SystemTree *tree, GError **error)
{
    (void)tree;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "/etc/os-release: there is none");
    return NULL;
}

static json_t *direct_packages(SystemTree *tree, GError **error)
{
    g_autofree char *status = direct_read_needed(tree, "/var/lib/dpkg/status", STATUS_MAX, error);
    return status == NULL ? NULL : debian_packages(status);
}

/* --- what no file holds --- */

static gboolean direct_wipe_swap_files(Direct *direct, GError **error)
{
    g_autoptr(GPtrArray) paths = fstab_swap_files(direct->mounts);
    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        ext2_ino_t ino;
        struct ext2_inode inode;
        errcode_t code = lookup(direct, path, &ino);
        if (is_missing(code)) {
            continue;
        }
        if (code == 0) {
            code = ext2fs_read_inode(direct->fs, ino, &inode);
        }
        if (code != 0) {
            return failed(path, code, error);
        }
        if (LINUX_S_ISREG(inode.i_mode) &&
            !zero_swap_file(direct->fs, ino, direct->disk, direct->table.system.offset, error)) {
            g_prefix_error(error, "%s: ", path);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean direct_wipe(SystemTree *tree, GError **error)
{
    Direct *direct = (Direct *)tree;
    guint64 offset = direct->table.system.offset;
    for (guint i = 0; i < direct->table.swaps->len; i++) {
        const PartitionRange *range = &g_array_index(direct->table.swaps, PartitionRange, i);
        if (!swap_wipe(direct->disk, range->offset, range->size, error)) {
            return FALSE;
        }
    }
    errcode_t code = orphans_finish(direct->fs);
    if (code != 0) {
        return failed("files that were deleted while open", code, error);
    }
    return direct_wipe_swap_files(direct, error) && zero_journal(direct->fs, direct->disk, offset, error) &&
           zero_free_blocks(direct->fs, direct->disk, offset, error);
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
    partition_clear(&direct->table);
    g_clear_pointer(&direct->mounts, g_ptr_array_unref);
    g_clear_pointer(&direct->efi_names, g_ptr_array_unref);
    ingot_nbd_free(direct->disk);
    remove_error_table(&et_ext2_error_table);
    g_free(direct);
}

static const SystemTreeKind direct_kind = {
    .list = direct_list,
    .look = direct_look,
    .follow = direct_follow,
    .reaches = direct_reaches,
    .remove = direct_remove,
    .empty = direct_empty,
    .read = direct_read,
    .write = direct_write,
    .link = direct_link,
    .os = direct_os,
    .packages = direct_packages,
    .wipe = direct_wipe,
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

/* A new file on a system with SELinux needs a label, which the appliance gives it. */
static gboolean is_plain_system(Direct *direct, gboolean needs_dpkg)
{
    return has(direct, "/etc/os-release") && !has(direct, "/etc/selinux/config") &&
           (!needs_dpkg || has(direct, "/var/lib/dpkg/status"));
}

static gboolean direct_find_efi(Direct *direct, const char *workdir, GError **error)
{
    g_autofree char *text = NULL;
    if (!system_tree_read(&direct->tree, "/etc/fstab", SYSTEM_TEXT_MAX, &text, error)) {
        return FALSE;
    }
    direct->mounts = fstab_parse(text == NULL ? "" : text);
    for (guint i = 0; i < direct->mounts->len && direct->table.efi.size > 0; i++) {
        const FstabEntry *entry = g_ptr_array_index(direct->mounts, i);
        ext2_ino_t point;
        if (strcmp(entry->type, "vfat") != 0 || lookup(direct, entry->where, &point) != 0) {
            continue;
        }
        direct->efi_names = esp_names(direct->disk, &direct->table.efi, workdir, error);
        direct->efi_point = direct->efi_names == NULL ? 0 : point;
        return direct->efi_names != NULL;
    }
    return TRUE;
}

gboolean system_tree_open_inplace(const SystemTreeOptions *options, SystemTree **tree, GError **error)
{
    *tree = NULL;
    add_error_table(&et_ext2_error_table);
    Direct *direct = g_new0(Direct, 1);
    direct->tree.kind = &direct_kind;
    g_autoptr(SystemTree) owner = &direct->tree;
    direct->disk = ingot_nbd_open(options->disk, options->format, TRUE, error);
    if (direct->disk == NULL || !partition_read(direct->disk, options->workdir, &direct->table, error)) {
        return FALSE;
    }
    g_autofree char *where = g_strdup_printf("offset=%" G_GUINT64_FORMAT, direct->table.system.offset);
    if (direct->table.system.size == 0 ||
        ext2fs_open2(ingot_nbd_uri(direct->disk), where, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, channel_nbd_manager,
                     &direct->fs) != 0) {
        return TRUE;
    }
    if (!is_simple(direct->fs->super) || !is_plain_system(direct, options->needs_dpkg) ||
        ext2fs_read_bitmaps(direct->fs) != 0) {
        return TRUE;
    }
    /* One disk gives one result: what is written here is as old as what was written last. */
    direct->fs->now = (time_t)MAX(direct->fs->super->s_wtime, direct->fs->super->s_mtime);
    if (!direct_find_efi(direct, options->workdir, error)) {
        return FALSE;
    }
    *tree = g_steal_pointer(&owner);
    return TRUE;
}
