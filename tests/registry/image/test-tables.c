/* A file that is cut short, for each format whose tables tell: it is refused wherever QEMU would show another disk
 * without a word, and taken wherever it shows the same one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include "image/tables.h"
#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((5u << 20) + 512)

static IngotWorkdir *folder;
static char *raw;

typedef struct {
    const char *format, *options;
    const char *extent;   /* the file that is cut, where it is not the disk's own */
    gboolean is_squeezed; /* by -c */
} Case;

static const Case cases[] = {
    {"qcow2", "compat=0.10", NULL, FALSE},
    {"qcow2", "cluster_size=512", NULL, FALSE},
    {"qcow2", "cluster_size=2M", NULL, FALSE},
    {"qcow2", "extended_l2=on", NULL, FALSE},
    {"qcow2", "preallocation=metadata", NULL, FALSE},
    {"qcow2", "compat=1.1", NULL, TRUE},
    {"qcow2", "compression_type=zstd", NULL, TRUE},
    {"vdi", "static=off", NULL, FALSE},
    {"vdi", "static=on", NULL, FALSE},
    {"vpc", "subformat=dynamic,force_size=on", NULL, FALSE},
    {"vmdk", "subformat=monolithicSparse", NULL, FALSE},
    {"vmdk", "subformat=monolithicSparse,zeroed_grain=on", NULL, FALSE},
    {"vmdk", "subformat=streamOptimized", NULL, FALSE},
    {"vmdk", "subformat=twoGbMaxExtentSparse", "disk-s001.vmdk", FALSE},
};

static void make(const Case *one, const char *path)
{
    const char *argv[] = {"qemu-img", "convert",    "-f", "raw",        "-O", one->format,
                          "-o",       one->options, raw,  (char *)path, NULL, NULL};
    g_autoptr(GError) error = NULL;
    argv[10] = one->is_squeezed ? "-c" : NULL;
    ingot_process_run(argv, NULL, NULL, &error);
    assert_null(error);
}

/* 0: QEMU shows the disk; 1: it shows another one; else it refuses the file. */
static int shown(const Case *one, const char *path)
{
    g_autofree char *options =
        strcmp(one->format, "vpc") == 0 ? g_strdup(",force_size_calc=current_size") : g_strdup("");
    g_autofree char *image =
        g_strdup_printf("driver=%s%s,file.driver=file,file.filename=%s", one->format, options, path);
    g_autofree char *other = g_strdup_printf("driver=raw,file.driver=file,file.filename=%s", raw);
    char *argv[] = {(char *)"qemu-img", (char *)"compare", (char *)"-q", (char *)"--image-opts", image, other, NULL};
    int status = -1;
    assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                             &status, NULL));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static gboolean check(const Case *one, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, NULL);
    const Reader reader = {"the disk", fd, 0, G_MAXUINT64, NULL};
    gboolean ok = tables_check(&reader, one->format, &error);
    assert_true(ok == (error == NULL));
    if (!ok) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(g_str_has_prefix(error->message, "the disk: cut short"));
    }
    return ok;
}

/* Whether QEMU shows another disk without a word. What a compressed cluster lacks may happen to be zeros. */
static gboolean check_cut(const Case *one, const char *path, const char *file, guint64 size)
{
    assert_int_equal(truncate(file, (off_t)size), 0);
    int qemu = shown(one, path);
    gboolean taken = check(one, file);
    if ((qemu == 0 && !taken && !one->is_squeezed) || (qemu == 1 && taken)) {
        fail_msg("%s, %s, cut to %" G_GUINT64_FORMAT ": %s, but QEMU %s", one->format, one->options, size,
                 taken ? "taken" : "refused", qemu == 0 ? "shows the disk" : "shows another one");
    }
    return qemu == 1;
}

static void test_cut(void **state)
{
    guint silent = 0;
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = ingot_workdir_file(folder, "disk.vmdk");
        g_autofree char *file = ingot_workdir_file(folder, cases[i].extent == NULL ? "disk.vmdk" : cases[i].extent);
        struct stat info;
        make(&cases[i], path);
        assert_int_equal(stat(file, &info), 0);
        const guint64 size = (guint64)info.st_size;
        const guint64 cuts[] = {size,       size - 1,    size - 50,    size - 100, size - 200,
                                size - 400, size - 1024, size - 66000, size / 2};
        for (guint cut = 0; cut < G_N_ELEMENTS(cuts); cut++) {
            silent += check_cut(&cases[i], path, file, cuts[cut]) ? 1 : 0;
        }
    }
    assert_true(silent > G_N_ELEMENTS(cases));
}

/* A table that is named again and again, of a disk that is larger than what its file can tell. */
static void test_one_table_for_all(void **state)
{
    g_autofree char *path = ingot_workdir_file(folder, "again.qcow2"), *bytes = NULL;
    const char *const create[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, "4T", NULL};
    g_autoptr(GError) error = NULL;
    gsize size;
    (void)state;
    assert_true(ingot_process_run(create, NULL, NULL, NULL));
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    guint64 directory = be64((const guint8 *)bytes + 40);
    for (guint i = 0; i < be32((const guint8 *)bytes + 36); i++) {
        bytes[directory + (gsize)8 * i + 5] = 4; /* at 256 KiB */
    }
    g_autofree char *longer = g_malloc0(size + (1u << 20));
    memcpy(longer, bytes, size);
    assert_true(g_file_set_contents(path, longer, (gssize)(size + (1u << 20)), NULL));
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, NULL);
    assert_false(tables_check(&(Reader){"the disk", fd, 0, G_MAXUINT64, NULL}, "qcow2", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_string_equal(error->message, "the disk: its tables lie over one another");
}

#define BLOCK (1u << 20)

/* A block of a disk of 1 GiB, which its table names for all of it. */
typedef struct {
    const char *format, *options;
    guint64 table, block; /* where they are */
    guint entries;        /* of the table */
    guint8 entry[8];      /* names the block */
} OneBlock;

static void make_one_block(const OneBlock *one, const char *path)
{
    const char *const create[] = {"qemu-img", "create", "-q", "-f", one->format, "-o", one->options, path, "1G", NULL};
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(ingot_process_run(create, NULL, NULL, NULL));
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    g_autofree char *all = g_malloc0(one->block + BLOCK);
    memcpy(all, bytes, MIN(size, one->block));
    for (guint i = 0; i < one->entries; i++) {
        memcpy(all + one->table + 8 * (gsize)i, one->entry, 8);
    }
    memset(all + one->block, 7, BLOCK);
    if (strcmp(one->format, "qcow2") == 0) { /* the directory: of one table, at its place */
        memcpy(all + be64((const guint8 *)all + 40), "\x80\0\0\0\0\x40\0\0", 8);
        memcpy(all + be64((const guint8 *)all + 40) + 8, "\x80\0\0\0\0\x40\0\0", 8);
    }
    assert_true(g_file_set_contents(path, all, (gssize)(one->block + BLOCK), NULL));
}

/* QEMU shows such a disk, which has many more bytes than its file. */
static void test_one_block_for_all(void **state)
{
    const OneBlock all[] = {
        {"qcow2", "cluster_size=64k", 4u << 20, 8u << 20, 8192, {0x80, 0, 0, 0, 0, 0x80, 0, 0}},
        {"vhdx", "block_size=1M", 2u << 20, 16u << 20, 1024, {6, 0, 0, 1, 0, 0, 0, 0}},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autofree char *path = ingot_workdir_file(folder, all[i].format);
        const char *const read[] = {"qemu-io", "-r", "-f", all[i].format, "-c", "read -P 7 1000M 64k", path, NULL};
        g_autoptr(GError) error = NULL;
        make_one_block(&all[i], path);
        assert_true(ingot_process_run(read, NULL, NULL, NULL));
        g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, NULL);
        assert_false(tables_check(&(Reader){"the disk", fd, 0, G_MAXUINT64, NULL}, all[i].format, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_string_equal(error->message, "the disk: its tables name the same bytes again and again");
    }
}

/* Data, a hole, data up to the last sector, which no block ends with. */
static void write_raw(void)
{
    g_autofree guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) rand = g_rand_new_with_seed(16);
    raw = ingot_workdir_file(folder, "disk.raw");
    for (gsize i = 0; i < SIZE; i++) {
        gboolean hole = i >= 2u << 20 && i < 3u << 20;
        bytes[i] = hole ? 0 : (guint8)g_rand_int_range(rand, 1, 17); /* it can be compressed */
    }
    assert_true(g_file_set_contents(raw, (const char *)bytes, SIZE, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_one_table_for_all),
        cmocka_unit_test(test_one_block_for_all),
    };
    folder = ingot_workdir_new(NULL);
    write_raw();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    g_free(raw);
    ingot_workdir_free(folder);
    return failed;
}
