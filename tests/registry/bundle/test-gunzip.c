/* What gzip files unpack to, compared with what they were made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "bundle/gunzip.h"

#define BUFFER (1u << 18) /* that is read at once */

/* Bytes that hardly compress, so that it can be said where a member ends, or such that do. */
static GBytes *some_bytes(gsize size, gboolean random)
{
    guint8 *bytes = g_malloc(size);
    for (gsize i = 0; i < size; i++) {
        bytes[i] = (guint8)(random ? g_random_int() : i / 100);
    }
    return g_bytes_new_take(bytes, size);
}

static void add_member(GByteArray *file, GByteArray *content, GBytes *bytes)
{
    gsize size, read, wrote;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autofree guint8 *packed = g_malloc(size * 2 + 1024);
    g_autoptr(GZlibCompressor) gzip = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 6);
    assert_int_equal(g_converter_convert(G_CONVERTER(gzip), data, size, packed, size * 2 + 1024,
                                         G_CONVERTER_INPUT_AT_END, &read, &wrote, NULL),
                     G_CONVERTER_FINISHED);
    g_byte_array_append(file, packed, (guint)wrote);
    g_byte_array_append(content, data, (guint)size);
}

static int file_of(const GByteArray *bytes)
{
    int fd = memfd_create("gzip", MFD_CLOEXEC);
    assert_true(ingot_file_pwrite(fd, bytes->data, bytes->len, 0, "gzip", NULL));
    return fd;
}

/* All that the file gives. *why: NULL: it ended well. */
static GByteArray *unpack(const GByteArray *file, const char **why)
{
    g_auto(IngotFd) fd = file_of(file);
    g_autoptr(Gunzip) gunzip = gunzip_new(fd);
    GByteArray *all = g_byte_array_new();
    const guint8 *bytes;
    gssize got;
    *why = NULL;
    while ((got = gunzip_read(gunzip, &bytes, why)) > 0) {
        g_byte_array_append(all, bytes, (guint)got);
        assert_true(gunzip_taken(gunzip) <= file->len);
    }
    assert_int_equal(got < 0, *why != NULL);
    return all;
}

static void assert_gives(const GByteArray *file, const GByteArray *content)
{
    const char *why;
    g_autoptr(GByteArray) all = unpack(file, &why);
    assert_null(why);
    assert_int_equal(all->len, content->len);
    assert_memory_equal(all->data, content->data, content->len);
}

static void assert_refused(const GByteArray *file, const char *words)
{
    const char *why;
    g_autoptr(GByteArray) all = unpack(file, &why);
    assert_non_null(why);
    assert_non_null(strstr(why, words));
}

static void members_are_one_stream(void **state)
{
    (void)state;
    g_autoptr(GByteArray) file = g_byte_array_new(), content = g_byte_array_new();
    const gsize sizes[] = {0, 1, 5000, 3u << 20, 0, 70000};
    for (guint i = 0; i < 2 * G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GBytes) bytes = some_bytes(sizes[i / 2], i % 2 == 0);
        add_member(file, content, bytes);
    }
    assert_gives(file, content);
}

/* Wherever a header or a checksum is cut by what is read at once. */
static void a_member_may_end_anywhere(void **state)
{
    (void)state;
    g_autoptr(GBytes) small = some_bytes(100, FALSE), random = some_bytes(2 * BUFFER, TRUE);
    for (gsize short_of = 0; short_of < 60; short_of++) {
        g_autoptr(GByteArray) file = g_byte_array_new(), content = g_byte_array_new();
        g_autoptr(GBytes) first = g_bytes_new_from_bytes(random, 0, BUFFER - 70 - short_of);
        add_member(file, content, first);
        assert_in_range(file->len, BUFFER - short_of - 60, BUFFER + 60);
        add_member(file, content, small);
        add_member(file, content, small);
        assert_gives(file, content);
    }
}

static void what_follows_is_left_out(void **state)
{
    (void)state;
    g_autoptr(GByteArray) file = g_byte_array_new(), content = g_byte_array_new();
    g_autoptr(GBytes) bytes = some_bytes(1000, TRUE);
    add_member(file, content, bytes);
    const guint8 padding[512] = {0};
    g_byte_array_append(file, padding, sizeof padding);
    assert_gives(file, content);
}

static void what_is_damaged_is_refused(void **state)
{
    (void)state;
    g_autoptr(GByteArray) file = g_byte_array_new(), content = g_byte_array_new();
    g_autoptr(GBytes) bytes = some_bytes(3 * BUFFER, TRUE);
    add_member(file, content, bytes);
    file->data[file->len / 2] ^= 1; /* within a stored block: nothing but the sum tells */
    assert_refused(file, "checksum");
    file->data[file->len / 2] ^= 1;
    file->data[file->len - 1] ^= 1; /* the length */
    assert_refused(file, "checksum");
    file->data[file->len - 1] ^= 1;
    assert_gives(file, content);
    file->data[2] = 7; /* no method that there is */
    assert_refused(file, "no gzip data");
}

static void what_is_cut_short_is_refused(void **state)
{
    (void)state;
    g_autoptr(GByteArray) file = g_byte_array_new(), content = g_byte_array_new();
    g_autoptr(GBytes) bytes = some_bytes(3000, TRUE);
    add_member(file, content, bytes);
    while (file->len > 0) {
        g_byte_array_set_size(file, file->len - (file->len > 40 ? 37 : 1));
        assert_refused(file, "truncated");
    }
}

static void a_file_is_known_by_its_beginning(void **state)
{
    (void)state;
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_auto(IngotFd) none = file_of(file);
    g_byte_array_append(file, (const guint8 *)"\x1f\x8b\x08", 3);
    g_auto(IngotFd) gzip = file_of(file);
    file->data[1] = 0;
    g_auto(IngotFd) other = file_of(file);
    assert_false(gunzip_probe(none));
    assert_true(gunzip_probe(gzip));
    assert_false(gunzip_probe(other));
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    g_autoptr(Gunzip) gunzip = gunzip_new(-1);
    const guint8 *bytes;
    const char *why = NULL;
    assert_int_equal(gunzip_read(gunzip, &bytes, &why), -1);
    assert_string_equal(why, g_strerror(EBADF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_one_stream),
        cmocka_unit_test(a_member_may_end_anywhere),
        cmocka_unit_test(what_follows_is_left_out),
        cmocka_unit_test(what_is_damaged_is_refused),
        cmocka_unit_test(what_is_cut_short_is_refused),
        cmocka_unit_test(a_file_is_known_by_its_beginning),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
