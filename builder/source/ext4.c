#include "source/ext4.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/process.h"
#include "source/tar.h"
#include "source/tree.h"
#include "system/ext2.h"

#define COPY_BLOCK (1u << 20)

typedef struct {
    ext2_filsys fs;
    const Ext4Options *options;
    GHashTable *inodes; /* path -> inode number: folders, and files that a later entry may be a hard link to */
    char *buffer;
} Writer;

/* What an entry's inode is to hold, wherever it comes from. */
typedef struct {
    const char *path;
    guint mode;
    guint32 uid, gid;
    gint64 time;
    const char *target; /* of a link */
    dev_t device;
} Entry;

static gboolean failed(const char *path, errcode_t code, GError **error)
{
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE,
                    "the root file system is full at /%s: give the recipe a larger machine.disk", path);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "cannot write /%s into the root file system: %s", path,
                    error_message(code));
    }
    return FALSE;
}

static ext2_ino_t find(const Writer *writer, const char *path)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(writer->inodes, path));
}

static void remember(Writer *writer, const char *path, ext2_ino_t ino)
{
    g_hash_table_insert(writer->inodes, g_strdup(path), GUINT_TO_POINTER(ino));
}

static void set_owner_and_times(const Writer *writer, const Entry *entry, struct ext2_inode *inode)
{
    __u32 when = (__u32)MIN(entry->time, writer->options->time);
    inode->i_mode = (__u16)entry->mode;
    inode->i_uid = (__u16)entry->uid;
    ext2fs_set_i_uid_high(*inode, (__u16)(entry->uid >> 16));
    inode->i_gid = (__u16)entry->gid;
    ext2fs_set_i_gid_high(*inode, (__u16)(entry->gid >> 16));
    inode->i_atime = inode->i_ctime = inode->i_mtime = when;
}

/* ext2fs keeps a device's numbers where block pointers would be, in the kernel's new encoding. */
static void set_device(struct ext2_inode *inode, dev_t device)
{
    unsigned high = major(device), low = minor(device);
    inode->i_block[1] = (low & 0xff) | (high << 8) | ((low & ~0xffu) << 12);
}

static errcode_t make_file(const Writer *writer, ext2_ino_t parent, const char *name, const Entry *entry,
                           ext2_ino_t *ino)
{
    struct ext2_inode inode = {0};
    set_owner_and_times(writer, entry, &inode);
    if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
        set_device(&inode, entry->device);
    }
    return ext2_add_file(writer->fs, parent, name, &inode, ino);
}

/* Finds the folder that path lies in; folders that nothing has named yet are made, as root's. */
static gboolean parent_of(Writer *writer, const char *path, ext2_ino_t *parent, const char **name, GError **error)
{
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    if (slash == NULL) {
        *parent = EXT2_ROOT_INO;
        return TRUE;
    }
    g_autofree char *folder = g_strndup(path, (gsize)(slash - path));
    *parent = find(writer, folder);
    if (*parent != 0) {
        return TRUE;
    }
    ext2_ino_t above;
    const char *own_name;
    if (!parent_of(writer, folder, &above, &own_name, error)) {
        return FALSE;
    }
    struct ext2_inode inode;
    Entry entry = {.path = folder, .mode = S_IFDIR | 0755, .time = writer->options->time};
    errcode_t code = ext2_add_folder(writer->fs, above, own_name, parent);
    if (code == 0 && (code = ext2fs_read_inode(writer->fs, *parent, &inode)) == 0) {
        set_owner_and_times(writer, &entry, &inode);
        code = ext2fs_write_inode(writer->fs, *parent, &inode);
    }
    if (code != 0) {
        return failed(folder, code, error);
    }
    remember(writer, folder, *parent);
    return TRUE;
}

/* Makes the entry's inode and name, or gives a folder that is there already its owner, mode and times. */
static gboolean make_entry(Writer *writer, const Entry *entry, ext2_ino_t *ino, GError **error)
{
    ext2_ino_t parent;
    const char *name;
    struct ext2_inode inode;
    errcode_t code = 0;
    *ino = find(writer, entry->path);
    if (*ino != 0 && !S_ISDIR(entry->mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the tree names /%s twice", entry->path);
        return FALSE;
    }
    if (*ino == 0) {
        if (!parent_of(writer, entry->path, &parent, &name, error)) {
            return FALSE;
        }
        code = S_ISDIR(entry->mode)   ? ext2_add_folder(writer->fs, parent, name, ino)
               : S_ISLNK(entry->mode) ? ext2_add_symlink(writer->fs, parent, name, entry->target, ino)
                                      : make_file(writer, parent, name, entry, ino);
    }
    if (code == 0 && (code = ext2fs_read_inode(writer->fs, *ino, &inode)) == 0) {
        set_owner_and_times(writer, entry, &inode);
        code = ext2fs_write_inode(writer->fs, *ino, &inode);
    }
    if (code != 0) {
        return failed(entry->path, code, error);
    }
    remember(writer, entry->path, *ino);
    return TRUE;
}

static gboolean write_all(ext2_file_t file, const char *path, const char *data, gsize size, GError **error)
{
    while (size > 0) {
        unsigned written = 0;
        errcode_t code = ext2fs_file_write(file, data, (unsigned)MIN(size, COPY_BLOCK), &written);
        if (code != 0) {
            return failed(path, code, error);
        }
        data += written;
        size -= written;
    }
    return TRUE;
}

static gboolean close_file(ext2_file_t file, const char *path, gboolean done, GError **error)
{
    errcode_t code = ext2fs_file_close(file);
    if (!done) {
        return FALSE;
    }
    return code == 0 || failed(path, code, error);
}

static gboolean copy_bytes(const Writer *writer, TarReader *tar, ext2_ino_t ino, GError **error)
{
    ext2_file_t file;
    errcode_t code = ext2fs_file_open(writer->fs, ino, EXT2_FILE_WRITE, &file);
    if (code != 0) {
        return failed(tar->path, code, error);
    }
    gssize got;
    gboolean done = TRUE;
    while (done && (got = tar_read(tar, writer->buffer, COPY_BLOCK, error)) != 0) {
        done = got > 0 && write_all(file, tar->path, writer->buffer, (gsize)got, error);
    }
    return close_file(file, tar->path, done, error);
}

static gboolean copy_attributes(const Writer *writer, TarReader *tar, ext2_ino_t ino, GError **error)
{
    struct ext2_xattr_handle *handle;
    if (archive_entry_xattr_reset(tar->entry) == 0) {
        return TRUE;
    }
    errcode_t code = ext2fs_xattrs_open(writer->fs, ino, &handle);
    if (code != 0) {
        return failed(tar->path, code, error);
    }
    const char *name;
    const void *value;
    size_t size;
    code = ext2fs_xattrs_read(handle);
    while (code == 0 && archive_entry_xattr_next(tar->entry, &name, &value, &size) == ARCHIVE_OK) {
        code = ext2fs_xattr_set(handle, name, value, size);
    }
    errcode_t closed = ext2fs_xattrs_close(&handle);
    code = code != 0 ? code : closed;
    return code == 0 || failed(tar->path, code, error);
}

static gboolean make_hard_link(Writer *writer, const char *path, const char *to, GError **error)
{
    g_autofree char *clean = tar_clean(to);
    ext2_ino_t ino = find(writer, clean);
    ext2_ino_t parent;
    const char *name;
    struct ext2_inode inode;
    if (ino == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the tree's /%s links to /%s, which is not there", path,
                    to);
        return FALSE;
    }
    if (!parent_of(writer, path, &parent, &name, error)) {
        return FALSE;
    }
    errcode_t code = ext2fs_read_inode(writer->fs, ino, &inode);
    if (code == 0 && (code = ext2_add_name(writer->fs, parent, name, ino, inode.i_mode)) == 0) {
        inode.i_links_count++;
        code = ext2fs_write_inode(writer->fs, ino, &inode);
    }
    return code == 0 || failed(path, code, error);
}

static gboolean copy_entry(Writer *writer, TarReader *tar, GError **error)
{
    const char *to = archive_entry_hardlink(tar->entry);
    if (to != NULL) {
        return make_hard_link(writer, tar->path, to, error);
    }
    Entry entry = {
        .path = tar->path,
        .mode = archive_entry_mode(tar->entry),
        .uid = (guint32)archive_entry_uid(tar->entry),
        .gid = (guint32)archive_entry_gid(tar->entry),
        .time = archive_entry_mtime(tar->entry),
        .target = archive_entry_symlink(tar->entry),
        .device = archive_entry_rdev(tar->entry),
    };
    ext2_ino_t ino;
    return make_entry(writer, &entry, &ino, error) && (!S_ISREG(entry.mode) || copy_bytes(writer, tar, ino, error)) &&
           copy_attributes(writer, tar, ino, error);
}

static gboolean copy_tree(Writer *writer, const char *path, GHashTable *replaced, GError **error)
{
    g_autoptr(TarReader) tar = tar_open(path, error);
    if (tar == NULL) {
        return FALSE;
    }
    while (tar_next(tar, error)) {
        if (!g_hash_table_contains(replaced, tar->path) && !copy_entry(writer, tar, error)) {
            return FALSE;
        }
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
    }
    return tar->ended;
}

static gboolean write_setting(Writer *writer, const TreeFile *file, GError **error)
{
    Entry entry = {.path = file->path, .mode = file->mode, .time = writer->options->time, .target = file->content};
    ext2_ino_t ino;
    ext2_file_t handle;
    if (!make_entry(writer, &entry, &ino, error)) {
        return FALSE;
    }
    if (!S_ISREG(file->mode)) {
        return TRUE;
    }
    errcode_t code = ext2fs_file_open(writer->fs, ino, EXT2_FILE_WRITE, &handle);
    if (code != 0) {
        return failed(file->path, code, error);
    }
    return close_file(handle, file->path, write_all(handle, file->path, file->content, strlen(file->content), error),
                      error);
}

/* Folders of the settings are there to be made where the tree has none: the tree's own stay as they are. */
static gboolean fill(Writer *writer, const char *tar, const GPtrArray *files, GError **error)
{
    g_autoptr(GHashTable) replaced = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < files->len; i++) {
        const TreeFile *file = g_ptr_array_index(files, i);
        if (!S_ISDIR(file->mode)) {
            g_hash_table_add(replaced, file->path);
        }
    }
    if (!copy_tree(writer, tar, replaced, error)) {
        return FALSE;
    }
    for (guint i = 0; i < files->len; i++) {
        const TreeFile *file = g_ptr_array_index(files, i);
        gboolean wanted = file->mode != 0 && !(S_ISDIR(file->mode) && find(writer, file->path) != 0);
        if (wanted && !write_setting(writer, file, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Features by name, so that the host's mke2fs.conf does not show in the disk. */
static const char features[] =
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum";

/* The empty file system; assume_storage_prezeroed leaves the zeros of its tables out, for good. */
static gboolean format(const Ext4Options *options, GError **error)
{
    g_autofree char *extended =
        g_strdup_printf("offset=%" G_GUINT64_FORMAT ",hash_seed=%s,assume_storage_prezeroed=1,nodiscard",
                        options->offset, options->hash);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT "k", options->size / 1024);
    g_autofree char *now = g_strdup_printf("E2FSPROGS_FAKE_TIME=%" G_GINT64_FORMAT, options->time);
    /* clang-format off */
    const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-i", "16384", "-L", "root",
                          "-O", features, "-U", options->uuid, "-E", extended, options->disk, size, NULL};
    /* clang-format on */
    const char *environment[] = {now, "MKE2FS_CONFIG=/dev/null", NULL};
    return ingot_process_run(argv, environment, NULL, error);
}

static gboolean open_and_fill(const Ext4Options *options, const char *tar, const GPtrArray *files, GError **error)
{
    Writer writer = {.options = options};
    g_autofree char *where = g_strdup_printf("offset=%" G_GUINT64_FORMAT, options->offset);
    errcode_t code =
        ext2fs_open2(options->disk, where, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &writer.fs);
    if (code != 0 || (code = ext2fs_read_bitmaps(writer.fs)) != 0) {
        return failed("", code, error);
    }
    writer.fs->now = options->time; /* the clock of everything that libext2fs stamps itself */
    g_autoptr(GHashTable) inodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *buffer = g_malloc(COPY_BLOCK);
    writer.inodes = inodes;
    writer.buffer = buffer;
    remember(&writer, "", EXT2_ROOT_INO);
    gboolean done = fill(&writer, tar, files, error);
    code = ext2fs_close_free(&writer.fs);
    if (done && code != 0) {
        return failed("", code, error);
    }
    return done;
}

gboolean ext4_make(const Ext4Options *options, const char *tar, const GPtrArray *files, GError **error)
{
    add_error_table(&et_ext2_error_table);
    gboolean done = format(options, error) && open_and_fill(options, tar, files, error);
    remove_error_table(&et_ext2_error_table);
    return done;
}
