/* The size of a VHD: the bytes that it tells, whoever made it, unless its guests saw a larger geometry; never more than
 * its file holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "image/vhdfooter.h"
#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#define SECTOR 512u
#define FILE_SIZE (64u * SECTOR) /* without the footer */

static IngotWorkdir *folder;

typedef struct {
    const char *creator;
    guint32 kind;
    guint64 size;
    guint16 cylinders;
    guint8 heads, sectors;
    guint64 wanted; /* 0: refused */
    gboolean by_geometry, undisputed;
    const char *told;
} Case;

static void put(guint8 *at, guint64 value, guint size)
{
    for (guint i = 0; i < size; i++) {
        at[i] = (guint8)(value >> 8 * (size - 1 - i));
    }
}

static void make_footer(guint8 *footer, const Case *one)
{
    guint32 sum = 0;
    memcpy(footer, "conectix", 8);
    put(footer + 16, one->kind == 2 ? G_MAXUINT64 : SECTOR, 8);
    memcpy(footer + 28, one->creator, 4);
    put(footer + 48, one->size, 8);
    put(footer + 56, one->cylinders, 2);
    footer[58] = one->heads;
    footer[59] = one->sectors;
    put(footer + 60, one->kind, 4);
    for (guint i = 0; i < SECTOR; i++) {
        sum += footer[i];
    }
    put(footer + 64, ~sum, 4);
}

/* A dynamic one has room for 64 sectors as well. */
static GByteArray *make_file(const Case *one)
{
    g_autofree guint8 *bytes = g_malloc0(FILE_SIZE + SECTOR);
    make_footer(bytes + FILE_SIZE, one);
    if (one->kind != 2) {
        make_footer(bytes, one);
        memcpy(bytes + SECTOR, "cxsparse", 8);
        put(bytes + SECTOR + 28, 8, 4);
        put(bytes + SECTOR + 32, 8 * SECTOR, 4);
    }
    return g_byte_array_append(g_byte_array_new(), bytes, FILE_SIZE + SECTOR);
}

static gboolean read_bytes(const GByteArray *bytes, VhdFooter *footer, GError **error)
{
    g_autofree char *path = ingot_workdir_file(folder, "disk.vhd");
    assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, NULL);
    const Reader reader = {"disk.vhd", fd, 0, G_MAXUINT64, NULL};
    return vhd_footer_read(&reader, footer, error);
}

static void expect_told(gboolean ok, const GError *error, const char *told)
{
    assert_false(ok);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    if (strstr(error->message, told) == NULL || !g_str_has_prefix(error->message, "disk.vhd: ")) {
        fail_msg("'%s' is not in: %s", told, error->message);
    }
}

static void expect_refused(const GByteArray *bytes, const char *told)
{
    g_autoptr(GError) error = NULL;
    VhdFooter footer;
    gboolean ok = read_bytes(bytes, &footer, &error);
    expect_told(ok, error, told);
}

static void test_sizes(void **state)
{
    static const guint64 all = FILE_SIZE, less = FILE_SIZE - 4 * SECTOR;
    const Case cases[] = {
        /* Geometries of 60, 64, 68 sectors. */
        {"wa\0\0", 2, all, 15, 2, 2, all, FALSE, FALSE, NULL},
        {"vbox", 2, all, 15, 2, 2, all, FALSE, FALSE, NULL},
        {"xen ", 3, all, 15, 2, 2, all, FALSE, FALSE, NULL},
        {"vpc ", 2, all, 15, 2, 2, all, FALSE, FALSE, NULL},
        {"vpc ", 3, all, 15, 2, 2, all, FALSE, FALSE, NULL},
        {"qemu", 2, all, 16, 2, 2, all, FALSE, TRUE, NULL},
        {"win ", 2, all, 15, 2, 2, all, FALSE, TRUE, NULL},
        {"qem2", 3, all, 15, 2, 2, all, FALSE, TRUE, NULL},
        {"d2v ", 3, all, 15, 2, 2, all, FALSE, TRUE, NULL},
        {"tap\0", 3, all, 15, 2, 2, all, FALSE, TRUE, NULL},
        {"CTXS", 3, all, 15, 2, 2, all, FALSE, TRUE, NULL},
        {"vbox", 2, all, 65535, 16, 255, all, FALSE, TRUE, NULL},
        /* The geometry is larger: it counts where a guest saw it, and the file has it. */
        {"vpc ", 2, less, 16, 2, 2, all, TRUE, FALSE, NULL},
        {"qemu", 3, less, 16, 2, 2, all, TRUE, FALSE, NULL},
        {"vpc ", 2, less, 17, 2, 2, less, FALSE, FALSE, NULL},
        {"vbox", 2, less, 16, 2, 2, less, FALSE, FALSE, NULL},
        {"win ", 2, less, 16, 2, 2, less, FALSE, TRUE, NULL},
        {"win ", 2, all + SECTOR, 16, 2, 2, 0, FALSE, FALSE, "cut short"},
        {"win ", 3, all + SECTOR, 16, 2, 2, 0, FALSE, FALSE, "cut short"},
        {"win ", 2, G_GUINT64_CONSTANT(1) << 63, 16, 2, 2, 0, FALSE, FALSE, "2040 GiB"},
        {"win ", 2, 0, 16, 2, 2, 0, FALSE, FALSE, "multiple of 512"},
        {"win ", 2, 1000, 16, 2, 2, 0, FALSE, FALSE, "multiple of 512"},
        {"win ", 5, all, 16, 2, 2, 0, FALSE, FALSE, "kind 5"},
        {"win ", 0, all, 16, 2, 2, 0, FALSE, FALSE, "kind 0"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) bytes = make_file(&cases[i]);
        g_autoptr(GError) error = NULL;
        VhdFooter footer;
        gboolean ok = read_bytes(bytes, &footer, &error);
        if (cases[i].wanted == 0) {
            expect_told(ok, error, cases[i].told);
        } else if (!ok || footer.size != cases[i].wanted || footer.by_geometry != cases[i].by_geometry ||
                   footer.undisputed != cases[i].undisputed) {
            fail_msg("case %u: %s", i, error == NULL ? "another size" : error->message);
        }
    }
}

static void test_places(void **state)
{
    const Case fixed = {.creator = "win ", .kind = 2, .size = FILE_SIZE};
    const Case dynamic = {.creator = "win ", .kind = 3, .size = FILE_SIZE};
    const Case differencing = {.creator = "win ", .kind = 4, .size = FILE_SIZE};
    VhdFooter footer;
    (void)state;
    /* The oldest footers lack their last byte. */
    g_autoptr(GByteArray) old = make_file(&fixed);
    g_byte_array_set_size(old, old->len - 1);
    assert_true(read_bytes(old, &footer, NULL));
    assert_int_equal(footer.size, FILE_SIZE);

    g_autoptr(GByteArray) headless = make_file(&dynamic), flat = make_file(&fixed), bare = make_file(&dynamic);
    g_autoptr(GByteArray) sum = make_file(&fixed), none = make_file(&fixed), child = make_file(&differencing);
    memset(headless->data, 0, SECTOR);
    expect_refused(headless, "copy of the VHD's footer");
    memcpy(flat->data, flat->data + FILE_SIZE, SECTOR);
    expect_refused(flat, "no footer at its beginning");
    bare->data[SECTOR] = 'x';
    expect_refused(bare, "header of the dynamic VHD");
    sum->data[FILE_SIZE + 100] ^= 1;
    expect_refused(sum, "checksum");
    none->data[FILE_SIZE] = 'x';
    expect_refused(none, "no footer");
    assert_true(read_bytes(child, &footer, NULL));
    assert_true(footer.differencing);
    assert_int_equal(footer.header, SECTOR);
    g_byte_array_set_size(none, 100);
    assert_false(read_bytes(none, &footer, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_places),
    };
    folder = ingot_workdir_new(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ingot_workdir_free(folder);
    return failed;
}
