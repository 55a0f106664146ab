/* Names and files of an open ext2/3/4: what libext2fs leaves to its callers, such as making a full folder larger, or
 * taking a tree away. Errors are libext2fs's own codes (0: done). */
#pragma once

#include <ext2fs/ext2fs.h>
#include <glib.h>

/* Another name for ino, whose type follows from mode. */
errcode_t ext2_add_name(ext2_filsys fs, ext2_ino_t folder, const char *name, ext2_ino_t ino, guint mode);
errcode_t ext2_add_folder(ext2_filsys fs, ext2_ino_t folder, const char *name, ext2_ino_t *ino);
errcode_t ext2_add_symlink(ext2_filsys fs, ext2_ino_t folder, const char *name, const char *target, ext2_ino_t *ino);
/* An empty plain file, or a special one: inode has its mode, owner, times and device. */
errcode_t ext2_add_file(ext2_filsys fs, ext2_ino_t folder, const char *name, struct ext2_inode *inode, ext2_ino_t *ino);
/* Takes the name away, and what it names with all below it where that was the last name, however deep. A folder that
 * is in two places, as on a damaged file system, is EXT2_ET_DIR_CORRUPTED. */
errcode_t ext2_remove(ext2_filsys fs, ext2_ino_t folder, const char *name);
/* Gives an inode's blocks back, from this one of the file on; the inode, as it was read from fs, is written. */
errcode_t ext2_punch(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode, blk64_t from);
/* Gives an inode that no name leads to any more, as it was read from fs, and all its blocks back. */
errcode_t ext2_free(ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode);

/* Calls each for every name in the folder but "." and "..". The folder may be changed while they are called. */
typedef errcode_t (*Ext2Each)(ext2_ino_t folder, const char *name, ext2_ino_t ino, gpointer user);
errcode_t ext2_for_each(ext2_filsys fs, ext2_ino_t folder, Ext2Each each, gpointer user);
