/* What a disk file names is found in its bytes; nothing but extents beside it passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include "image/ties.h"
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

static IngotWorkdir *folder;

static char *make(const char *name, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    va_list words;
    g_ptr_array_add(argv, (char *)"qemu-img");
    g_ptr_array_add(argv, (char *)"create");
    g_ptr_array_add(argv, (char *)"-q");
    va_start(words, name);
    for (char *word = va_arg(words, char *); word != NULL; word = va_arg(words, char *)) {
        g_ptr_array_add(argv, word);
    }
    va_end(words);
    g_ptr_array_add(argv, NULL);
    ingot_process_run((const char *const *)argv->pdata, NULL, ingot_workdir_path(folder), &error);
    assert_null(error);
    return ingot_workdir_file(folder, name);
}

static char *write_file(const char *name, const void *data, gsize size)
{
    char *path = ingot_workdir_file(folder, name);
    assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
    return path;
}

/* A VMDK's descriptor with some lines for its extents. */
static char *descriptor(const char *name, const char *lines)
{
    g_autofree char *text = g_strconcat("# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
                                        "createType=\"twoGbMaxExtentFlat\"\n",
                                        lines, "\n", NULL);
    return write_file(name, text, strlen(text));
}

static void expect_refused(const char *path, const char *format, const char *told)
{
    g_autoptr(GError) error = NULL;
    assert_false(ingot_ties_check(&(IngotPart){.path = path}, path, format, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    if (strstr(error->message, told) == NULL || strstr(error->message, path) == NULL) {
        fail_msg("'%s' and %s are not in: %s", told, path, error->message);
    }
}

static void expect_taken(const char *path, const char *format)
{
    g_autoptr(GError) error = NULL;
    ingot_ties_check(&(IngotPart){.path = path}, path, format, &error);
    assert_null(error);
}

static void test_qcow2(void **state)
{
    (void)state;
    g_autofree char *base = make("base.qcow2", "-f", "qcow2", "base.qcow2", "1M", NULL);
    expect_taken(base, "qcow2");
    g_autofree char *over = make("over.qcow2", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", "over.qcow2", NULL);
    expect_refused(over, "qcow2", "base.qcow2");
    g_autofree char *passwd =
        make("passwd.qcow2", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", "passwd.qcow2", "1M", NULL);
    expect_refused(passwd, "qcow2", "/etc/passwd");
    g_autofree char *outside = make("data.qcow2", "-f", "qcow2", "-o", "data_file=data.raw", "data.qcow2", "1M", NULL);
    expect_refused(outside, "qcow2", "data.raw");
    g_autofree char *locked =
        make("locked.qcow2", "-f", "qcow2", "--object", "secret,id=s,data=word", "-o",
             "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "locked.qcow2", "1M", NULL);
    expect_refused(locked, "qcow2", "encrypted");
}

static void test_vmdk(void **state)
{
    (void)state;
    g_autofree char *whole = make("whole.vmdk", "-f", "vmdk", "whole.vmdk", "1M", NULL);
    expect_taken(whole, "vmdk");
    g_autofree char *flat = make("flat.vmdk", "-f", "vmdk", "-o", "subformat=monolithicFlat", "flat.vmdk", "1M", NULL);
    expect_taken(flat, "vmdk");
    g_autofree char *extent = ingot_workdir_file(folder, "flat-flat.vmdk");
    assert_int_equal(unlink(extent), 0);
    expect_refused(flat, "vmdk", "flat-flat.vmdk' is missing");
    assert_int_equal(symlink("/etc/passwd", extent), 0);
    expect_refused(flat, "vmdk", "flat-flat.vmdk");
    g_autoptr(GError) error = NULL;
    assert_true(ingot_ties_check_alone(whole, whole, "vmdk", NULL));
    assert_false(ingot_ties_check_alone(flat, flat, "vmdk", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "flat-flat.vmdk"));
    g_autofree char *over = make("over.vmdk", "-f", "vmdk", "-F", "vmdk", "-b", "whole.vmdk", "over.vmdk", NULL);
    expect_refused(over, "vmdk", "whole.vmdk");
}

static void test_extent_elsewhere(void **state)
{
    static const char *const lines[][2] = {
        {"RW 8 FLAT \"/etc/passwd\" 0", "/etc/passwd"},
        {"RW 8 FLAT \"../secret\" 0", "../secret"},
        {"RW 8 FLAT \"..\" 0", ".."},
        {"RW 8 FLAT \"nbd:127.0.0.1:1\" 0", "nbd:127.0.0.1:1"},
        {"RW 8 SPARSE \"a/b.vmdk\"", "a/b.vmdk"},
        {"  RW 8\tFLAT \"/etc/passwd\" 0", "/etc/passwd"},
        {"RW 8 VMFS \"/etc/passwd\"", "/etc/passwd"},
        {"RW 8 VMFSSPARSE \"/etc/passwd\"", "/etc/passwd"},
        {"RW 8 SESPARSE \"/etc/passwd\"", "/etc/passwd"},
        {"RWX 8 FLAT \"a\"\nRW 8 FLAT \"json:{}\" 0", "json:{}"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *path = descriptor("elsewhere.vmdk", lines[i][0]);
        expect_refused(path, "vmdk", lines[i][1]);
    }
    g_autofree char *parent = descriptor("parent.vmdk", "parentFileNameHint=\"/etc/passwd\"\nRW 8 ZERO");
    expect_refused(parent, "vmdk", "/etc/passwd");
    static const char other[] = "parentCID=12345678\ncreateType=\"vmfs\"\nRW 8 VMFS \"a\"\n";
    g_autofree char *child = write_file("child.vmdk", other, sizeof other - 1);
    expect_refused(child, "vmdk", "CID is 12345678");
}

/* The file of an extent is what the line says it is. */
static void test_extent_files(void **state)
{
    guint8 sparse[1024] = "KDMV", cowd[1024] = "COWD", seventh[1024] = {0xbe, 0xba, 0xfe, 0xca};
    static const struct {
        const char *line, *told; /* NULL: it is taken */
    } cases[] = {
        {"RW 2 FLAT \"whole\" 0", NULL},
        {"RW 1 FLAT \"whole\" 1\nRW 2 VMFS \"whole\"", NULL},
        {"RW 2 FLAT \"whole\" 1", "cut short"},
        {"RW 3 VMFS \"whole\"", "cut short"},
        {"RW 2 SPARSE \"whole\"", "not a sparse file"},
        {"RW 2 SESPARSE \"whole\"", "not a seSparse file"},
        {"RW 16 SPARSE \"sparse\"", NULL},
        {"RW 16 VMFSSPARSE \"cowd\"", NULL},
        {"RW 16 SPARSE \"cowd\"", NULL},
        {"RW 17 SPARSE \"sparse\"", "of 16 sectors, not of 17"},
        {"RW 15 VMFSSPARSE \"cowd\"", "of 16 sectors, not of 15"},
        {"RW 16 SESPARSE \"sesparse\"", NULL},
        {"RW 17 SESPARSE \"sesparse\"", "of 16 sectors, not of 17"},
    };
    (void)state;
    sparse[12] = cowd[12] = seventh[16] = 16;
    g_autofree char *whole = write_file("whole", "", 0), *a = write_file("sparse", sparse, sizeof sparse);
    g_autofree char *b = write_file("cowd", cowd, sizeof cowd), *c = write_file("sesparse", seventh, sizeof seventh);
    assert_int_equal(truncate(whole, 1024), 0);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = descriptor("extents.vmdk", cases[i].line);
        if (cases[i].told == NULL) {
            expect_taken(path, "vmdk");
        } else {
            expect_refused(path, "vmdk", cases[i].told);
        }
    }
}

/* A part of a disk is none, nor is a disk whose other parts QEMU would not look for. */
static void test_extent_alone(void **state)
{
    guint8 head[2048] = "KDMV";
    (void)state;
    head[12] = 16;
    g_autofree char *alone = write_file("alone.vmdk", head, sizeof head);
    expect_refused(alone, "vmdk", "without the descriptor");
    memcpy(head, "COWD", 4);
    g_autofree char *cowd = write_file("alone-cowd.vmdk", head, sizeof head);
    expect_refused(cowd, "vmdk", "without the descriptor");
    memcpy(head, "KDMV", 4);
    g_strlcpy((char *)head + 512, "CID=1\nparentCID=ffffffff\nRW 16 SPARSE \"a\"\nRW 16 SPARSE \"b\"\n", 1024);
    head[28] = 1;
    g_autofree char *first = write_file("first.vmdk", head, sizeof head);
    expect_refused(first, "vmdk", "several extents");
}

/* A head that says it has no data is a descriptor in disguise; as an extent it could name anything. */
static void test_descriptor_in_head(void **state)
{
    guint8 head[2048] = "KDMV";
    (void)state;
    head[28] = 2; /* where the text is, in sectors */
    g_strlcpy((char *)head + 512, "CID=1\nparentCID=ffffffff\n", 512);
    g_strlcpy((char *)head + 1024, "createType=\"monolithicFlat\"\nRW 8 FLAT \"/etc/passwd\" 0\n", 1024);
    g_autofree char *path = write_file("disguised.vmdk", head, sizeof head);
    expect_refused(path, "vmdk", "/etc/passwd");
    g_autofree char *outer = descriptor("outer.vmdk", "RW 8 SPARSE \"disguised.vmdk\"");
    expect_refused(outer, "vmdk", "disguised.vmdk");
}

static void test_endless_descriptor(void **state)
{
    (void)state;
    g_autoptr(GString) text = g_string_new("# Disk DescriptorFile\nparentCID=ffffffff\n");
    for (guint i = 0; i < 300000; i++) {
        g_string_append(text, "RW\n");
    }
    g_autofree char *path = write_file("endless.vmdk", text->str, text->len);
    expect_refused(path, "vmdk", "descriptor of more than");
}

static void test_vhd(void **state)
{
    static const char name[] = "\0b\0a\0s\0e";
    (void)state;
    g_autofree char *path = make("disk.vhd", "-f", "vpc", "disk.vhd", "4M", NULL);
    expect_taken(path, "vpc");
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    memcpy(bytes + 512 + 64, name, sizeof name - 1);
    bytes[63] = 4;  /* differencing */
    bytes[67] -= 1; /* the sum's complement */
    g_autofree char *differencing = write_file("differencing.vhd", bytes, size);
    expect_refused(differencing, "vpc", "(base)");
    bytes[63] = 3;
    g_autofree char *damaged = write_file("damaged.vhd", bytes, size);
    expect_refused(damaged, "vpc", "damaged");
}

static void test_vdi(void **state)
{
    (void)state;
    g_autofree char *path = make("disk.vdi", "-f", "vdi", "disk.vdi", "4M", NULL);
    expect_taken(path, "vdi");
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    bytes[424] = 1; /* the UUID of a parent */
    g_autofree char *linked = write_file("linked.vdi", bytes, size);
    expect_refused(linked, "vdi", "parent in VirtualBox");
    bytes[424] = 0;
    bytes[76] = 4;
    g_autofree char *differencing = write_file("differencing.vdi", bytes, size);
    expect_refused(differencing, "vdi", "parent in VirtualBox");
}

static void put16(guint8 *at, const char *text)
{
    for (gsize i = 0; text[i] != '\0'; i++) {
        at[2 * i] = (guint8)text[i];
    }
}

/* QEMU makes no VHDX with a parent: one more item is put into the metadata of one without. */
static void test_vhdx(void **state)
{
    static const guint8 locator[] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
                                     0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c};
    static const struct {
        guint8 at, value_at, size, value_size;
        const char *key, *value;
    } pairs[] = {{48, 88, 38, 14, "absolute_win32_path", "C:\\base"}, {104, 132, 26, 16, "relative_path", ".\\b.vhdx"}};
    (void)state;
    g_autofree char *path = make("disk.vhdx", "-f", "vhdx", "disk.vhdx", "4M", NULL);
    expect_taken(path, "vhdx");
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    guint8 *metadata = memmem(bytes, size, "metadata", 8);
    guint8 *entry = metadata + 32 + 32 * metadata[10]++, *item = metadata + (128 << 10);
    memcpy(entry, locator, sizeof locator);
    entry[18] = 2; /* 128 KiB */
    item[18] = G_N_ELEMENTS(pairs);
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        guint8 *pair = item + 20 + 12 * i;
        pair[0] = pairs[i].at;
        pair[4] = pairs[i].value_at;
        pair[8] = pairs[i].size;
        pair[10] = pairs[i].value_size;
        put16(item + pairs[i].at, pairs[i].key);
        put16(item + pairs[i].value_at, pairs[i].value);
    }
    g_autofree char *relative = write_file("relative.vhdx", bytes, size);
    expect_refused(relative, "vhdx", "(.\\b.vhdx)");
    item[18] = 1;
    g_autofree char *absolute = write_file("absolute.vhdx", bytes, size);
    expect_refused(absolute, "vhdx", "(C:\\base)");
    item[20 + 8] = item[20 + 10] = 0;
    g_autofree char *empty = write_file("empty.vhdx", bytes, size);
    expect_refused(empty, "vhdx", "()");
    item[18] = 0;
    g_autofree char *nameless = write_file("nameless.vhdx", bytes, size);
    expect_refused(nameless, "vhdx", "stands on another file");
}

/* The same disk within another file. */
static void test_part(void **state)
{
    g_autofree char *over = ingot_workdir_file(folder, "over.qcow2");
    g_autofree char *bytes = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;
    (void)state;
    assert_true(g_file_get_contents(over, &bytes, &size, NULL));
    g_autofree char *longer = g_malloc0(size + 1024);
    memcpy(longer + 512, bytes, size);
    g_autofree char *path = write_file("archive", longer, size + 1024);
    const IngotPart part = {path, 512, size};
    assert_string_equal(ingot_blocks_probe_part(&part, &error), "qcow2");
    assert_null(ingot_ties_extents(&part, "archive: over", "qcow2", &error));
    assert_non_null(strstr(error->message, "archive: over: stands on another file (base.qcow2)"));
}

/* A folder opens as a file does, and no byte of it can be read. */
static void test_unreadable(void **state)
{
    static const char *const formats[] = {"qcow2", "vdi", "vpc", "vhdx", "vmdk"};
    (void)state;
    const IngotPart part = {.path = ingot_workdir_path(folder)};
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        assert_false(ingot_ties_check(&part, "the disk", formats[i], &error));
        assert_false(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_null(strstr(error->message, "short"));
        g_clear_error(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qcow2),
        cmocka_unit_test(test_vmdk),
        cmocka_unit_test(test_extent_elsewhere),
        cmocka_unit_test(test_extent_files),
        cmocka_unit_test(test_extent_alone),
        cmocka_unit_test(test_descriptor_in_head),
        cmocka_unit_test(test_endless_descriptor),
        cmocka_unit_test(test_vhd),
        cmocka_unit_test(test_vdi),
        cmocka_unit_test(test_vhdx),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_unreadable),
    };
    folder = ingot_workdir_new(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ingot_workdir_free(folder);
    return failed;
}
