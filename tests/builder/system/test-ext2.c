/* Taking files away: their blocks come back, the last one of the file system too. */
#include "system/ext2.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/process.h"

#define SIZE (160u << 20) /* bytes */
#define DEPTH 30000       /* folders in each other, one block each */

typedef struct {
    IngotWorkdir *workdir;
    char *path;
    ext2_filsys fs;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->path = ingot_workdir_file(fixture->workdir, "disk");
    g_auto(IngotFd) fd = ingot_file_open(fixture->path, O_RDWR | O_CREAT, 0600, NULL);
    const char *const argv[] = {"mke2fs", "-q", "-t", "ext4", "-b", "4096", "-N", "40000", fixture->path, NULL};
    *state = fixture;
    return fd < 0 || ftruncate(fd, SIZE) != 0 || !ingot_process_run(argv, NULL, NULL, NULL) ||
                   ext2fs_open(fixture->path, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fixture->fs) !=
                       0 ||
                   ext2fs_read_bitmaps(fixture->fs) != 0
               ? -1
               : 0;
}

static int tear_down_damaged(void **state)
{
    Fixture *fixture = *state;
    if (fixture->fs != NULL) {
        ext2fs_free(fixture->fs);
    }
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

/* What is left must be whole. */
static int tear_down(void **state)
{
    Fixture *fixture = *state;
    const char *const argv[] = {"e2fsck", "-fn", fixture->path, NULL};
    gboolean ok = ext2fs_close_free(&fixture->fs) == 0 && ingot_process_run(argv, NULL, NULL, NULL);
    tear_down_damaged(state);
    return ok ? 0 : -1;
}

/* A file of one block: the file system's last. */
static ext2_ino_t add_last(ext2_filsys fs, const char *name)
{
    blk64_t last = ext2fs_blocks_count(fs->super) - 1;
    struct ext2_inode inode = {.i_mode = S_IFREG | 0644};
    ext2_ino_t ino;
    assert_false(ext2fs_test_block_bitmap2(fs->block_map, last));
    assert_int_equal(ext2_add_file(fs, EXT2_ROOT_INO, name, &inode, &ino), 0);
    assert_int_equal(ext2fs_read_inode(fs, ino, &inode), 0);
    assert_int_equal(ext2fs_bmap2(fs, ino, &inode, NULL, BMAP_SET, 0, NULL, &last), 0);
    ext2fs_block_alloc_stats2(fs, last, +1);
    assert_int_equal(ext2fs_iblk_add_blocks(fs, &inode, 1), 0);
    assert_int_equal(ext2fs_inode_size_set(fs, &inode, 4096), 0);
    assert_int_equal(ext2fs_write_inode(fs, ino, &inode), 0);
    return ino;
}

static void last_block_comes_back(void **state)
{
    const Fixture *fixture = *state;
    ext2_filsys fs = fixture->fs;
    blk64_t count = ext2fs_blocks_count(fs->super), before = ext2fs_free_blocks_count(fs->super);
    add_last(fs, "removed");
    assert_int_equal(ext2fs_free_blocks_count(fs->super), before - 1);
    assert_int_equal(ext2_remove(fs, EXT2_ROOT_INO, "removed"), 0);
    assert_int_equal(ext2fs_free_blocks_count(fs->super), before);
    assert_int_equal(ext2fs_blocks_count(fs->super), count);
}

static void last_block_is_cut_off(void **state)
{
    const Fixture *fixture = *state;
    ext2_filsys fs = fixture->fs;
    blk64_t before = ext2fs_free_blocks_count(fs->super);
    ext2_ino_t ino = add_last(fs, "cut");
    struct ext2_inode inode;
    assert_int_equal(ext2fs_read_inode(fs, ino, &inode), 0);
    assert_int_equal(ext2fs_inode_size_set(fs, &inode, 0), 0);
    assert_int_equal(ext2_punch(fs, ino, &inode, 0), 0);
    assert_int_equal(ext2fs_free_blocks_count(fs->super), before);
    assert_int_equal(ext2fs_read_inode(fs, ino, &inode), 0);
    assert_true(inode.i_links_count == 1 && inode.i_blocks == 0 && inode.i_size == 0);
}

/* --- trees --- */

static void deep_trees_go(void **state)
{
    const Fixture *fixture = *state;
    ext2_filsys fs = fixture->fs;
    blk64_t before = ext2fs_free_blocks_count(fs->super);
    ext2_ino_t above = EXT2_ROOT_INO;
    for (guint i = 0; i < DEPTH; i++) {
        assert_int_equal(ext2_add_folder(fs, above, "d", &above), 0);
    }
    struct ext2_inode inode = {.i_mode = S_IFREG | 0644};
    ext2_ino_t file;
    assert_int_equal(ext2_add_file(fs, above, "f", &inode, &file), 0);
    assert_int_equal(ext2_add_name(fs, EXT2_ROOT_INO, "kept", file, S_IFREG), 0);
    inode.i_links_count = 2;
    assert_int_equal(ext2fs_write_inode(fs, file, &inode), 0);
    assert_int_equal(ext2_remove(fs, EXT2_ROOT_INO, "d"), 0);
    assert_int_equal(ext2fs_free_blocks_count(fs->super), before);
    assert_int_equal(ext2fs_read_inode(fs, file, &inode), 0);
    assert_int_equal(inode.i_links_count, 1);
}

static int point_up(struct ext2_dir_entry *entry, int offset, int block_size, char *buffer, void *user)
{
    (void)offset, (void)block_size, (void)buffer;
    if (ext2fs_dirent_name_len(entry) != 2 || entry->name[0] != '.' || entry->name[1] != '.') {
        return 0;
    }
    entry->inode = *(ext2_ino_t *)user;
    return DIRENT_CHANGED;
}

/* a/b/c is a again; a says that it lies in /, or in b, which no way in can tell from a whole file system. */
static void circles_are_errors(void **state)
{
    const Fixture *fixture = *state;
    ext2_filsys fs = fixture->fs;
    ext2_ino_t a, b;
    assert_int_equal(ext2_add_folder(fs, EXT2_ROOT_INO, "a", &a), 0);
    assert_int_equal(ext2_add_folder(fs, a, "b", &b), 0);
    assert_int_equal(ext2fs_link(fs, b, "c", a, EXT2_FT_DIR), 0);
    assert_int_equal(ext2_remove(fs, EXT2_ROOT_INO, "a"), EXT2_ET_DIR_CORRUPTED);
    assert_int_equal(ext2fs_dir_iterate(fs, a, 0, NULL, point_up, &b), 0);
    assert_int_equal(ext2_remove(fs, a, "b"), EXT2_ET_DIR_CORRUPTED);
    assert_int_equal(ext2_remove(fs, EXT2_ROOT_INO, "a"), EXT2_ET_DIR_CORRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(last_block_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(last_block_is_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deep_trees_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(circles_are_errors, set_up, tear_down_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
