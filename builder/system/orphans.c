#include "system/orphans.h"

#include "system/ext2.h"

/* One that still has a name was to be cut to its size. */
static errcode_t cut(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode)
{
    blk64_t keep = (EXT2_I_SIZE(inode) + fs->blocksize - 1) / fs->blocksize;
    inode->i_dtime = 0;
    errcode_t code = ext2fs_write_inode(fs, ino, inode);
    return code != 0 ? code : ext2_punch(fs, ino, inode, keep);
}

errcode_t orphans_finish(ext2_filsys fs)
{
    /* The next one's number stands where a deleted file's time would be. */
    for (ext2_ino_t ino = fs->super->s_last_orphan, left = fs->super->s_inodes_count; ino != 0; left--) {
        struct ext2_inode inode;
        if (left == 0 || ino < EXT2_FIRST_INODE(fs->super) || ino > fs->super->s_inodes_count ||
            !ext2fs_test_inode_bitmap2(fs->inode_map, ino)) {
            return EXT2_ET_BAD_INODE_NUM;
        }
        errcode_t code = ext2fs_read_inode(fs, ino, &inode);
        ext2_ino_t next = inode.i_dtime;
        if (code == 0) {
            code = inode.i_links_count == 0 ? ext2_free(fs, ino, &inode) : cut(fs, ino, &inode);
        }
        if (code != 0) {
            return code;
        }
        ino = next;
    }
    fs->super->s_last_orphan = 0;
    ext2fs_mark_super_dirty(fs);
    return 0;
}
