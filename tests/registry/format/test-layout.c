/* Layouts: any range that is read is what the written file has there, however layouts stand in layouts. */
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/packer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "format/segments.h"
#include "format/target.h"
#include "packed.h"

#define SIZE (3u << 20) /* bytes of the disk */

/* A disk of random bytes, with a hole in its middle. */
static int set_up(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint i = 0; i < SIZE; i++) {
        bytes[i] = i >= 1u << 20 && i < 2u << 20 ? 0 : (guint8)g_rand_int(random);
    }
    return packed_set_up(bytes, SIZE);
}

static int tear_down(void **state)
{
    (void)state;
    return packed_tear_down();
}

/* Its parts of the disk are apart from each other, and not in the disk's order. */
static IngotLayout *make(void)
{
    IngotLayout *inner = ingot_layout_new(), *middle = ingot_layout_new(), *outer = ingot_layout_new();
    ingot_layout_add_bytes(inner, "head", 4);
    ingot_layout_add_disk(inner, 2u << 20, 1u << 20);
    ingot_layout_add_zeros(inner, 1000);
    ingot_layout_add_zeros(inner, 24);
    ingot_layout_add_layout(middle, inner);
    ingot_layout_pad(middle, 4096);
    ingot_layout_add_bytes(outer, "before", 6);
    ingot_layout_add_layout(outer, middle);
    ingot_layout_add_bytes(outer, "", 0);
    ingot_layout_add_disk(outer, 100, 1000);
    ingot_layout_add_disk(outer, 1100, 1u << 20);
    ingot_layout_add_bytes(outer, "after", 5);
    ingot_layout_unref(inner);
    ingot_layout_unref(middle);
    return outer;
}

static void sizes_add_up(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    guint64 inner = 4 + (1u << 20) + 1024, middle = (inner + 4095) / 4096 * 4096;
    assert_int_equal(ingot_layout_size(layout), 6 + middle + 1000 + (1u << 20) + 5);
    g_autoptr(IngotLayout) empty = ingot_layout_new();
    assert_int_equal(ingot_layout_size(empty), 0);
    assert_true(ingot_layout_read(empty, 0, NULL, 0, disk, NULL));
}

static void a_range_beyond_the_end_is_an_error(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    guint64 size = ingot_layout_size(layout);
    const struct {
        guint64 offset;
        gsize size;
    } ranges[] = {{size, 1}, {size - 1, 2}, {size + 1, 0}, {G_MAXUINT64, 1}, {1, G_MAXSIZE}};
    guint8 buffer[2];
    for (gsize i = 0; i < G_N_ELEMENTS(ranges); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_layout_read(layout, ranges[i].offset, buffer, ranges[i].size, disk, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

static void ranges_are_the_file_s(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    g_autofree char *path = ingot_workdir_file(workdir, "written");
    assert_true(ingot_layout_export(layout, disk, path, NULL, NULL));
    g_autoptr(GBytes) bytes = ingot_file_read(path, 8u << 20, NULL);
    gsize size;
    const guint8 *file = g_bytes_get_data(bytes, &size);
    assert_int_equal(size, ingot_layout_size(layout));
    assert_memory_equal(file, "beforehead", 10);
    assert_memory_equal(file + size - 5, "after", 5);
    g_autofree guint8 *buffer = g_malloc(size);
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (guint i = 0; i < 300; i++) {
        gsize from = (gsize)g_rand_double_range(random, 0, (double)size);
        gsize most = g_rand_int(random) % 100000, count = i < 3 ? size - from : MIN(size - from, most);
        memset(buffer, 0xa5, count);
        assert_true(ingot_layout_read(layout, from, buffer, count, disk, NULL));
        assert_memory_equal(buffer, file + from, count);
    }
}

/* What formats ask to be kept: name -> GBytes. */
static GHashTable *kept;
static guint kept_again;

static GBytes *find_kept(const char *what, gpointer user)
{
    (void)user;
    GBytes *value = g_hash_table_lookup(kept, what);
    return value == NULL ? NULL : g_bytes_ref(value);
}

static void keep(const char *what, GBytes *value, gpointer user)
{
    (void)user;
    kept_again += g_hash_table_contains(kept, what);
    g_hash_table_replace(kept, g_strdup(what), g_bytes_ref(value));
}

static const IngotFormatKeeper keeper = {.find = find_kept, .keep = keep};

static void check_file(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file)
{
    g_autofree char *path = ingot_workdir_file(workdir, "file");
    assert_true(ingot_layout_export(file->layout, disk, path, NULL, NULL));
    g_autoptr(GBytes) bytes = ingot_file_read(path, 16u << 20, NULL);
    gsize size;
    const guint8 *whole = g_bytes_get_data(bytes, &size);
    assert_int_equal(size, ingot_layout_size(file->layout));
    IngotDigest digest, expected;
    ingot_digest_of(whole, size, &expected);
    assert_true(ingot_format_digest(format, input, file, &digest, NULL));
    assert_memory_equal(&digest, &expected, sizeof digest);
    g_autofree guint8 *buffer = g_malloc(size);
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    for (guint i = 0; i < 100; i++) {
        gsize from = (gsize)g_rand_double_range(random, 0, (double)size);
        gsize most = (gsize)g_rand_int_range(random, 1, 300000), count = MIN(size - from, most);
        assert_true(ingot_layout_read(file->layout, from, buffer, count, disk, NULL));
        assert_memory_equal(buffer, whole + from, count);
    }
}

/* Each file of each format, made for the first time and once more of what was kept. */
static void files_of_formats_are_one_thing(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk, .name = "team/web", .keeper = &keeper};
    kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        for (guint turn = 0; turn < 2; turn++) {
            g_autoptr(GPtrArray) files = ingot_format_files(*format, &input, NULL);
            assert_non_null(files);
            for (guint i = 0; i < files->len; i++) {
                check_file(*format, &input, g_ptr_array_index(files, i));
            }
        }
    }
    assert_int_equal(kept_again, 0);
    g_hash_table_unref(kept);
}

/* --- formats that compress, in one pass --- */

/* A disk with more than one table of grains, of bytes that get smaller, that don't, and of none. */
static void make_mixed(IngotPacked **mixed, IngotDisk **opened)
{
    static const guint64 size = 70u << 20;
    g_autofree guint8 *bytes = g_malloc0(size);
    g_autoptr(GRand) random = g_rand_new_with_seed(4);
    for (guint64 i = 0; i < 1u << 20; i++) {
        bytes[i] = (guint8)g_rand_int(random);
        bytes[(31u << 20) + i] = (guint8)(i / 1000);
        bytes[(32u << 20) + 5000 + i] = (guint8)g_rand_int_range(random, 0, 4);
        bytes[size - 1 - i] = (guint8)(i % 3 == 0 ? g_rand_int(random) : 1);
    }
    g_autofree char *raw = ingot_workdir_file(workdir, "mixed.raw"), *blob = ingot_workdir_file(workdir, "mixed");
    assert_true(ingot_file_replace(raw, bytes, size, 0644, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, NULL, NULL);
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT, 0644, NULL);
    *mixed = ingot_pack(blocks, &(IngotPackOptions){0}, fd, blob, NULL);
    assert_non_null(*mixed);
    *opened = ingot_disk_open(blob, (*mixed)->index, NULL);
    assert_non_null(*opened);
}

static gboolean count_read(gpointer user, GError **error)
{
    (void)error;
    g_atomic_int_inc((gint *)user);
    return TRUE;
}

static void check_written(const IngotFormat *format, const IngotFormatInput *input, const char *path)
{
    g_autoptr(GPtrArray) files = ingot_format_files(format, input, NULL);
    const IngotFormatFile *file = g_ptr_array_index(files, 0);
    guint64 size = ingot_layout_size(file->layout);
    g_autofree guint8 *expected = g_malloc(size);
    assert_int_equal(files->len, 1);
    assert_true(ingot_layout_read(file->layout, 0, expected, size, input->disk, NULL));
    g_autoptr(GBytes) written = ingot_file_read(path, 1u << 30, NULL);
    assert_int_equal(g_bytes_get_size(written), size);
    assert_memory_equal(g_bytes_get_data(written, NULL), expected, size);
}

/* What is written in one pass is what the layout says, and the disk is read once for it: as for the measure alone. */
static void one_pass_writes_the_layout(void **state)
{
    (void)state;
    IngotPacked *mixed;
    IngotDisk *opened;
    gint reads, measured;
    make_mixed(&mixed, &opened);
    ingot_disk_set_gate(opened, count_read, &reads);
    const IngotFormatInput input = {.disk = opened, .name = "team/web"};
    g_autoptr(GPtrArray) stream = NULL;
    g_autofree char *path = ingot_workdir_file(workdir, "one-pass");
    guint coded = 0;
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        const char *block = strcmp((*format)->name, "qcow2-zstd") == 0 ? "qcow2-zstd" : "vmdk-stream";
        if ((*format)->codec == NULL) {
            continue;
        }
        g_clear_pointer(&stream, g_ptr_array_unref);
        reads = 0;
        stream = ingot_format_files(ingot_format_find(block, NULL), &input, NULL);
        assert_non_null(stream);
        measured = reads;
        reads = 0;
        assert_true(ingot_format_export(*format, &input, path, NULL, NULL));
        assert_true(measured > 0);
        assert_int_equal(reads, measured);
        check_written(*format, &input, path);
        coded++;
    }
    assert_true(coded >= 4);
    ingot_disk_free(opened);
    ingot_packed_free(mixed);
}

/* A file whose first part is larger than it was expected to be is the same file. */
static void a_wrong_guess_changes_nothing(void **state)
{
    (void)state;
    IngotPacked *mixed;
    IngotDisk *opened;
    make_mixed(&mixed, &opened);
    const IngotFormatInput input = {.disk = opened, .name = "team/web"};
    g_autofree char *path = ingot_workdir_file(workdir, "guessed");
    guint64 size = mixed->index->blob_size;
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        if ((*format)->codec != NULL) {
            mixed->index->blob_size = G_GUINT64_CONSTANT(1) << 40; /* which what comes first is guessed by */
            assert_true(ingot_format_export(*format, &input, path, NULL, NULL));
            mixed->index->blob_size = size;
            check_written(*format, &input, path);
        }
    }
    ingot_disk_free(opened);
    ingot_packed_free(mixed);
}

/* Kept sizes that are no sizes are not believed; possible ones that are wrong give an error, never a wrong file. */
static void wrong_measures_make_no_file(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk, .name = "team/web", .keeper = &keeper};
    const IngotFormat *format = ingot_format_find("vmdk-stream", NULL);
    kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    g_autoptr(GPtrArray) right = ingot_format_files(format, &input, NULL);
    assert_int_equal(g_hash_table_size(kept), 1);
    GHashTableIter iter;
    gpointer what, value;
    g_hash_table_iter_init(&iter, kept);
    g_hash_table_iter_next(&iter, &what, &value);
    gsize size;
    g_autofree guint8 *sizes = g_memdup2(g_bytes_get_data(value, &size), g_bytes_get_size(value));
    g_autofree char *name = g_strdup(what), *path = ingot_workdir_file(workdir, "wrong");
    memset(sizes, 0, 4);
    g_hash_table_replace(kept, g_strdup(name), g_bytes_new(sizes, size));
    g_autoptr(GPtrArray) again = ingot_format_files(format, &input, NULL);
    assert_int_equal(ingot_layout_size(((IngotFormatFile *)g_ptr_array_index(again, 0))->layout),
                     ingot_layout_size(((IngotFormatFile *)g_ptr_array_index(right, 0))->layout));
    sizes[0] = 1;
    g_hash_table_replace(kept, g_strdup(name), g_bytes_new(sizes, size));
    g_autoptr(GPtrArray) wrong = ingot_format_files(format, &input, NULL);
    g_autoptr(GError) error = NULL;
    assert_false(ingot_format_write(wrong, disk, path, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_hash_table_unref(kept);
}

static gboolean can(const char *format, const char *firmware, GError **error)
{
    g_autoptr(json_t) config = json_pack("{s:[s]}", "firmware", firmware);
    const IngotFormatInput input = {.disk = disk, .config = config};
    return ingot_format_can(ingot_format_find(format, NULL), &input, error);
}

/* A machine that has BIOS alone does not start an image that needs UEFI. */
static void uefi_is_not_for_all(void **state)
{
    (void)state;
    static const char *const bios_alone[] = {"vagrant-libvirt", "vagrant-qemu", "vagrant-virtualbox"};
    for (guint i = 0; i < G_N_ELEMENTS(bios_alone); i++) {
        g_autoptr(GError) error = NULL;
        assert_true(can(bios_alone[i], "bios", NULL));
        assert_false(can(bios_alone[i], "uefi", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "UEFI"));
    }
    assert_true(can("ova", "uefi", NULL) && can("vmx", "uefi", NULL) && can("vagrant-vmware", "uefi", NULL));
}

/* In a folder with "it", an archive: each file comes out with its name, and what the description and the manifest say
 * of files is so. */
static const char check_archive[] =
    "tar -tf it >names; tar -xf it\n"
    "[ $(wc -l <names) = $(($(ls | wc -l) - 2)) ]\n"
    "for file in *.ovf; do\n"
    "    [ -e \"$file\" ] || continue\n"
    "    of=$(sed -n 's/.*ovf:href=\"\\([^\"]*\\)\".*/\\1/p' \"$file\")\n"
    "    [ \"$(wc -c <\"$of\")\" = \"$(sed -n 's/.*ovf:size=\"\\([0-9]*\\)\".*/\\1/p' \"$file\")\" ]\n"
    "done\n"
    "for file in *.mf; do\n"
    "    [ ! -e \"$file\" ] || sed 's/^SHA256(\\(.*\\))= \\(.*\\)$/\\2  \\1/' \"$file\" | sha256sum -c --quiet\n"
    "done\n";

static gboolean is_archive(const IngotFormat *format)
{
    return strcmp(format->name, "ova") == 0 || g_str_has_prefix(format->name, "vagrant-");
}

static void check_names(const IngotFormat *format, const IngotFormatInput *input)
{
    const char *argv[] = {"sh", "-euc", check_archive, NULL};
    g_autofree char *folder = ingot_workdir_file(workdir, "names"), *path = g_build_filename(folder, "it", NULL);
    int status = 0;
    assert_true(ingot_file_remove_tree(folder, NULL) && ingot_file_make_folder(folder, NULL));
    assert_true(ingot_format_export(format, input, path, NULL, NULL));
    assert_true(!is_archive(format) ||
                g_spawn_sync(folder, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
}

/* Names that a tar and a folder have room for, however long the image's name is. */
static void long_names_fit(void **state)
{
    (void)state;
    static const gsize lengths[] = {1, 88, 89, 101, 255};
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *name = g_strnfill(lengths[i], 'n'), *image = g_strconcat("team/", name, NULL);
        const IngotFormatInput input = {.disk = disk, .name = image};
        for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
            check_names(*format, &input);
        }
    }
}

/* A file that is rotten in its middle has no sum and becomes no file. */
static gboolean read_rotten(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)error;
    memcpy(buffer, (const guint8 *)blob + offset, size);
    ((guint8 *)buffer)[size / 2] ^= offset > 1000000;
    return TRUE;
}

static void damage_is_an_error(void **state)
{
    (void)state;
    g_autofree char *blob = ingot_workdir_file(workdir, "blob"), *path = ingot_workdir_file(workdir, "rotten");
    g_autoptr(GBytes) bytes = ingot_file_read(blob, 16u << 20, NULL);
    g_autoptr(IngotDisk) rotten =
        ingot_disk_new(read_rotten, (gpointer)g_bytes_get_data(bytes, NULL), NULL, "rotten", packed->index);
    const IngotFormatInput input = {.disk = rotten};
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_format_export(*format, &input, path, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    }
}

/* What a descriptor has is written over, holes too, and what lies behind stays: a block device is written like that. */
static void what_is_there_is_written_over(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    guint64 size = ingot_layout_size(layout);
    g_autofree guint8 *junk = g_malloc(size + 1000), *wanted = g_malloc(size);
    memset(junk, 0xa5, size + 1000);
    g_autofree char *path = ingot_workdir_file(workdir, "device");
    assert_true(ingot_file_replace(path, junk, size + 1000, 0644, NULL));
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR, 0, NULL);
    assert_true(layout_write_over(layout, disk, fd, path, NULL, NULL));
    assert_true(ingot_layout_read(layout, 0, wanted, size, disk, NULL));
    g_autoptr(GBytes) found = ingot_file_read(path, size + 1000, NULL);
    assert_int_equal(g_bytes_get_size(found), size + 1000);
    assert_memory_equal(g_bytes_get_data(found, NULL), wanted, size);
    assert_memory_equal((const guint8 *)g_bytes_get_data(found, NULL) + size, junk, 1000);
}

static void a_device_is_large_enough(void **state)
{
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_true(format_target_fits("/dev/sdb", 4096, 4096, NULL));
    assert_false(format_target_fits("/dev/sdb", 4095, 4096, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "too small"));
}

/* A file is written where the links lead, be it there already or not; what is no file and no device is refused. */
static void links_are_followed(void **state)
{
    (void)state;
    g_autofree char *file = ingot_workdir_file(workdir, "linked"), *link = ingot_workdir_file(workdir, "link"),
                    *loop = ingot_workdir_file(workdir, "loop"), *folder = ingot_workdir_file(workdir, "folder");
    g_autoptr(IngotLayout) layout = make();
    g_autoptr(GError) error = NULL;
    assert_int_equal(symlink("linked", link), 0);
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(g_mkdir(folder, 0700), 0);
    for (guint i = 0; i < 2; i++) {
        assert_true(ingot_layout_export(layout, disk, link, NULL, NULL));
        assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
        assert_false(g_file_test(file, G_FILE_TEST_IS_SYMLINK));
        g_autoptr(GBytes) found = ingot_file_read(file, G_MAXINT, NULL);
        assert_int_equal(g_bytes_get_size(found), ingot_layout_size(layout));
    }
    const char *const wrong[] = {loop, folder, "/dev/null"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_clear_error(&error);
        assert_false(ingot_layout_export(layout, disk, wrong[i], NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

/* In a folder for all, only a link of one's own, or of the folder's owner, is followed, also on the way. */
static void links_of_others_are_not_followed(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* nobody else can make another's link */
    }
    g_autofree char *folder = ingot_workdir_file(workdir, "all"), *file = ingot_workdir_file(workdir, "victim");
    g_autofree char *link = g_build_filename(folder, "link", NULL), *way = ingot_workdir_file(workdir, "way");
    g_autoptr(IngotLayout) layout = make();
    assert_int_equal(g_mkdir(folder, 0700), 0);
    assert_int_equal(chmod(folder, 01777), 0);
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(symlink(link, way), 0);
    assert_int_equal(lchown(link, 12345, 12345), 0);
    const char *const paths[] = {link, way};
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_layout_export(layout, disk, paths[i], NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
        assert_int_not_equal(access(file, F_OK), 0);
    }
    assert_int_equal(lchown(link, geteuid(), getegid()), 0);
    assert_true(ingot_layout_export(layout, disk, way, NULL, NULL));
    assert_int_equal(access(file, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_written_over),
        cmocka_unit_test(a_device_is_large_enough),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(links_of_others_are_not_followed),
        cmocka_unit_test(sizes_add_up),
        cmocka_unit_test(ranges_are_the_file_s),
        cmocka_unit_test(a_range_beyond_the_end_is_an_error),
        cmocka_unit_test(files_of_formats_are_one_thing),
        cmocka_unit_test(wrong_measures_make_no_file),
        cmocka_unit_test(uefi_is_not_for_all),
        cmocka_unit_test(one_pass_writes_the_layout),
        cmocka_unit_test(a_wrong_guess_changes_nothing),
        cmocka_unit_test(long_names_fit),
        cmocka_unit_test(damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
