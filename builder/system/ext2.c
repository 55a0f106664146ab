#include "system/ext2.h"

#include <string.h>
#include <sys/stat.h>

static int directory_type(guint mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return EXT2_FT_REG_FILE;
    case S_IFCHR:
        return EXT2_FT_CHRDEV;
    case S_IFBLK:
        return EXT2_FT_BLKDEV;
    case S_IFIFO:
        return EXT2_FT_FIFO;
    case S_IFSOCK:
        return EXT2_FT_SOCK;
    default:
        return EXT2_FT_UNKNOWN;
    }
}

errcode_t ext2_add_name(ext2_filsys fs, ext2_ino_t folder, const char *name, ext2_ino_t ino, guint mode)
{
    int type = directory_type(mode);
    errcode_t code = ext2fs_link(fs, folder, name, ino, type);
    if (code == EXT2_ET_DIR_NO_SPACE && (code = ext2fs_expand_dir(fs, folder)) == 0) {
        code = ext2fs_link(fs, folder, name, ino, type);
    }
    return code;
}

errcode_t ext2_add_folder(ext2_filsys fs, ext2_ino_t folder, const char *name, ext2_ino_t *ino)
{
    errcode_t code = ext2fs_mkdir(fs, folder, 0, name);
    if (code == EXT2_ET_DIR_NO_SPACE && (code = ext2fs_expand_dir(fs, folder)) == 0) {
        code = ext2fs_mkdir(fs, folder, 0, name);
    }
    return code != 0 ? code : ext2fs_lookup(fs, folder, name, (int)strlen(name), NULL, ino);
}

errcode_t ext2_add_symlink(ext2_filsys fs, ext2_ino_t folder, const char *name, const char *target, ext2_ino_t *ino)
{
    errcode_t code = ext2fs_symlink(fs, folder, 0, name, target);
    if (code == EXT2_ET_DIR_NO_SPACE && (code = ext2fs_expand_dir(fs, folder)) == 0) {
        code = ext2fs_symlink(fs, folder, 0, name, target);
    }
    return code != 0 ? code : ext2fs_lookup(fs, folder, name, (int)strlen(name), NULL, ino);
}

errcode_t ext2_add_file(ext2_filsys fs, ext2_ino_t folder, const char *name, struct ext2_inode *inode, ext2_ino_t *ino)
{
    errcode_t code = ext2fs_new_inode(fs, folder, inode->i_mode, NULL, ino);
    if (code != 0 || (code = ext2_add_name(fs, folder, name, *ino, inode->i_mode)) != 0) {
        return code;
    }
    ext2fs_inode_alloc_stats2(fs, *ino, +1, 0);
    inode->i_links_count = 1;
    if (S_ISREG(inode->i_mode) && ext2fs_has_feature_extents(fs->super)) {
        ext2_extent_handle_t extents;
        inode->i_flags = EXT4_EXTENTS_FL;
        code = ext2fs_extent_open2(fs, *ino, inode, &extents); /* writes an empty extent tree's root */
        if (code != 0) {
            return code;
        }
        ext2fs_extent_free(extents);
    }
    return ext2fs_write_new_inode(fs, *ino, inode);
}

typedef struct {
    char *name;
    ext2_ino_t ino;
} Name;

static void clear_name(gpointer data)
{
    g_free(((Name *)data)->name);
}

static int collect(struct ext2_dir_entry *entry, int offset, int block_size, char *buffer, void *user)
{
    (void)offset, (void)block_size, (void)buffer;
    GArray *names = user;
    Name one = {.name = g_strndup(entry->name, (gsize)ext2fs_dirent_name_len(entry)), .ino = entry->inode};
    if (strcmp(one.name, ".") == 0 || strcmp(one.name, "..") == 0) {
        g_free(one.name);
    } else {
        g_array_append_val(names, one);
    }
    return 0;
}

errcode_t ext2_for_each(ext2_filsys fs, ext2_ino_t folder, Ext2Each each, gpointer user)
{
    g_autoptr(GArray) names = g_array_new(FALSE, FALSE, sizeof(Name));
    g_array_set_clear_func(names, clear_name);
    errcode_t code = ext2fs_dir_iterate(fs, folder, 0, NULL, collect, names);
    for (guint i = 0; code == 0 && i < names->len; i++) {
        const Name *one = &g_array_index(names, Name, i);
        code = each(folder, one->name, one->ino, user);
    }
    return code;
}

/* libext2fs up to 1.47.0 refuses to give back the very last block of a file system, since it takes the number of blocks
 * for the number of the last (punch_extent_blocks; mended by e2fsprogs's commit 509da989). It sees one more of them
 * here: that is all it does with their number on this way, but for the same comparison, rightly done. */
errcode_t ext2_punch(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode, blk64_t from)
{
    blk64_t count = ext2fs_blocks_count(fs->super);
    if (!ext2fs_inode_has_valid_blocks2(fs, inode)) {
        return 0;
    }
    ext2fs_blocks_count_set(fs->super, count + 1);
    errcode_t code = ext2fs_punch(fs, ino, inode, NULL, from, ~0ULL);
    ext2fs_blocks_count_set(fs->super, count);
    return code;
}

/* The order of debugfs and the kernel: attributes and blocks first, then the inode itself. */
errcode_t ext2_free(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode)
{
    gboolean folder = LINUX_S_ISDIR(inode->i_mode);
    inode->i_links_count = 0;
    inode->i_dtime = (__u32)(fs->now != 0 ? fs->now : time(NULL));
    errcode_t code = ext2fs_write_inode(fs, ino, inode);
    if (code == 0) {
        code = ext2fs_free_ext_attr(fs, ino, NULL);
    }
    if (code == 0) {
        code = ext2fs_read_inode(fs, ino, inode); /* the line above has changed it */
    }
    if (code == 0) {
        code = ext2_punch(fs, ino, inode, 0);
    }
    if (code == 0) {
        ext2fs_inode_alloc_stats2(fs, ino, -1, folder);
    }
    return code;
}

/* A name that is to go; a folder's names are put behind it, and go first. */
typedef struct {
    ext2_ino_t folder, ino;
    char *name;
    gboolean opened; /* a folder whose names have been put behind it */
} Removal;

typedef struct {
    ext2_filsys fs;
    GArray *stack;       /* of Removal: a tree may be deeper than this program's own stack */
    GHashTable *folders; /* inode numbers of those that have been opened */
} Remover;

static void clear_removal(gpointer data)
{
    g_free(((Removal *)data)->name);
}

static errcode_t remover_push(ext2_ino_t folder, const char *name, ext2_ino_t ino, gpointer user)
{
    Removal removal = {.folder = folder, .ino = ino, .name = g_strdup(name)};
    g_array_append_val(((Remover *)user)->stack, removal);
    return 0;
}

/* Puts a folder's names on the stack. A folder that is in two places, or below itself, would never be empty. */
static errcode_t remover_open(Remover *remover, Removal *removal)
{
    ext2_ino_t ino = removal->ino, above;
    errcode_t code = ext2fs_lookup(remover->fs, ino, "..", 2, NULL, &above);
    if (code == EXT2_ET_FILE_NOT_FOUND || (code == 0 && above != removal->folder) ||
        !g_hash_table_add(remover->folders, GUINT_TO_POINTER(ino))) {
        return EXT2_ET_DIR_CORRUPTED;
    }
    removal->opened = TRUE; /* before the stack moves */
    return code != 0 ? code : ext2_for_each(remover->fs, ino, remover_push, remover);
}

/* A folder is empty by now. */
static errcode_t remover_unlink(ext2_filsys fs, const Removal *removal, struct ext2_inode *inode)
{
    struct ext2_inode above;
    errcode_t code = ext2fs_unlink(fs, removal->folder, removal->name, removal->ino, 0);
    if (code == 0 && !removal->opened && inode->i_links_count > 1) {
        inode->i_links_count--;
        return ext2fs_write_inode(fs, removal->ino, inode);
    }
    /* A folder's ".." was a name of the one above; a count of 1 means "too many to count" and stays. */
    if (code == 0 && removal->opened && (code = ext2fs_read_inode(fs, removal->folder, &above)) == 0 &&
        above.i_links_count > 1) {
        above.i_links_count--;
        code = ext2fs_write_inode(fs, removal->folder, &above);
    }
    return code != 0 ? code : ext2_free(fs, removal->ino, inode);
}

static errcode_t remover_run(Remover *remover)
{
    errcode_t code = 0;
    while (code == 0 && remover->stack->len > 0) {
        guint last = remover->stack->len - 1;
        Removal *removal = &g_array_index(remover->stack, Removal, last);
        struct ext2_inode inode;
        code = ext2fs_read_inode(remover->fs, removal->ino, &inode); /* emptying a folder has changed its inode */
        if (code == 0 && LINUX_S_ISDIR(inode.i_mode) && !removal->opened) {
            code = remover_open(remover, removal);
        } else if (code == 0) {
            code = remover_unlink(remover->fs, removal, &inode);
            g_array_set_size(remover->stack, last);
        }
    }
    return code;
}

errcode_t ext2_remove(ext2_filsys fs, ext2_ino_t folder, const char *name)
{
    g_autoptr(GArray) stack = g_array_new(FALSE, FALSE, sizeof(Removal));
    g_autoptr(GHashTable) folders = g_hash_table_new(NULL, NULL);
    Remover remover = {.fs = fs, .stack = stack, .folders = folders};
    ext2_ino_t ino;
    g_array_set_clear_func(stack, clear_removal);
    errcode_t code = ext2fs_lookup(fs, folder, name, (int)strlen(name), NULL, &ino);
    if (code == 0) {
        code = remover_push(folder, name, ino, &remover);
    }
    return code != 0 ? code : remover_run(&remover);
}
