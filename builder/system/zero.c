#include "system/zero.h"

#include <ingot/error.h>

#include "system/swap.h"

gboolean zero_range(IngotNbd *disk, guint64 from, guint64 to, GError **error)
{
    while (from < to) {
        guint64 length;
        gboolean zero;
        if (!ingot_nbd_extent(disk, from, &length, &zero, error)) {
            return FALSE;
        }
        length = MIN(length, to - from);
        if (!zero && !ingot_nbd_zero(disk, from, length, error)) {
            return FALSE;
        }
        from += length;
    }
    return TRUE;
}

gboolean zero_free_blocks(ext2_filsys fs, IngotNbd *disk, guint64 offset, GError **error)
{
    blk64_t end = ext2fs_blocks_count(fs->super);
    for (blk64_t at = fs->super->s_first_data_block; at < end;) {
        blk64_t from, to;
        if (ext2fs_find_first_zero_block_bitmap2(fs->block_map, at, end - 1, &from) != 0) {
            return TRUE; /* nothing is free from here on */
        }
        if (ext2fs_find_first_set_block_bitmap2(fs->block_map, from, end - 1, &to) != 0) {
            to = end;
        }
        if (!zero_range(disk, offset + from * fs->blocksize, offset + to * fs->blocksize, error)) {
            return FALSE;
        }
        at = to;
    }
    return TRUE;
}

/* The walk over an inode's blocks, of which the first `keep` stay. */
typedef struct {
    IngotNbd *disk;
    guint64 offset;
    e2_blkcnt_t keep;
    GError **error;
    gboolean failed;
} ZeroWalk;

static int zero_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t count, blk64_t above, int offset, void *user)
{
    (void)above, (void)offset;
    ZeroWalk *walk = user;
    guint64 from = walk->offset + *block * fs->blocksize;
    if (count >= walk->keep && !zero_range(walk->disk, from, from + fs->blocksize, walk->error)) {
        walk->failed = TRUE;
        return BLOCK_ABORT;
    }
    return 0;
}

static gboolean zero_inode(ext2_filsys fs, ext2_ino_t ino, ZeroWalk *walk, const char *what, GError **error)
{
    walk->error = error;
    errcode_t code =
        ext2fs_block_iterate3(fs, ino, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY, NULL, zero_block, walk);
    if (walk->failed) {
        return FALSE;
    }
    if (code != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "wiping %s: %s", what, error_message(code));
    }
    return code == 0;
}

gboolean zero_journal(ext2_filsys fs, IngotNbd *disk, guint64 offset, GError **error)
{
    if (!ext2fs_has_feature_journal(fs->super) || fs->super->s_journal_inum == 0) {
        return TRUE;
    }
    ZeroWalk walk = {.disk = disk, .offset = offset, .keep = 1};
    return zero_inode(fs, fs->super->s_journal_inum, &walk, "the journal", error);
}

static errcode_t swap_page(ext2_filsys fs, ext2_ino_t ino, gsize *page)
{
    g_autofree char *head = g_malloc0(SWAP_HEAD);
    ext2_file_t file;
    unsigned got = 0;
    errcode_t code = ext2fs_file_open(fs, ino, 0, &file);
    if (code == 0) {
        code = ext2fs_file_read(file, head, SWAP_HEAD, &got);
        ext2fs_file_close(file);
    }
    *page = code == 0 ? swap_header(head, got) : 0;
    return code;
}

gboolean zero_swap_file(ext2_filsys fs, ext2_ino_t ino, IngotNbd *disk, guint64 offset, GError **error)
{
    gsize page;
    errcode_t code = swap_page(fs, ino, &page);
    if (code != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "a swap file: %s", error_message(code));
        return FALSE;
    }
    if (page == 0) {
        return TRUE;
    }
    ZeroWalk walk = {.disk = disk, .offset = offset, .keep = (e2_blkcnt_t)((page + fs->blocksize - 1) / fs->blocksize)};
    return zero_inode(fs, ino, &walk, "a swap file", error);
}
