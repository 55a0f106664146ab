/* What a file is, its bytes tell: each format that is taken, each other kind by its name, and raw only where something
 * says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "image/magic.h"
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#define SIZE (128u << 10)

static IngotWorkdir *folder;

typedef struct {
    const char *bytes;
    gsize size, offset;
    const char *told; /* the format, or a part of the refusal */
} Case;

#define CASE(bytes, offset, told)                                                                                      \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1, offset, told                                                                         \
    }

/* A file of other bytes, with those of the case in their place. */
static char *write_case(const Case *one, const char *name)
{
    g_autofree char *bytes = g_malloc(SIZE);
    memset(bytes, 0x20, SIZE);
    memcpy(bytes + one->offset, one->bytes, one->size);
    char *path = ingot_workdir_file(folder, name);
    assert_true(g_file_set_contents(path, bytes, SIZE, NULL));
    return path;
}

static const char *probe(const char *path, GError **error)
{
    return magic_probe(&(IngotPart){.path = path}, path, error);
}

static void test_taken(void **state)
{
    static const Case cases[] = {
        CASE("QFI\xfb\0\0\0\2", 0, "qcow2"),
        CASE("QFI\xfb\0\0\0\3", 0, "qcow2"),
        CASE("KDMV", 0, "vmdk"),
        CASE("COWD", 0, "vmdk"),
        CASE("# Disk DescriptorFile\nversion=1\n", 0, "vmdk"),
        CASE("# disk descriptorfile\r\nversion=1\r\n", 0, "vmdk"),
        CASE("\n \r\n# written by hand\nversion=3\n", 0, "vmdk"),
        CASE("version=2\n", 0, "vmdk"),
        CASE("vhdxfile", 0, "vhdx"),
        CASE("conectix", 0, "vpc"),
        CASE("conectix", SIZE - 512, "vpc"),
        CASE("\x7f\x10\xda\xbe", 64, "vdi"),
        CASE("\x55\xaa", 510, "raw"),
        CASE("EFI PART", 512, "raw"),
        CASE("EFI PART", 4096, "raw"),
        CASE("\x53\xef", 1080, "raw"),
        CASE("XFSB", 0, "raw"),
        CASE("_BHRfS_M", 65600, "raw"),
        CASE("LABELONE", 512, "raw"),
        CASE("SWAPSPACE2", 4086, "raw"),
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = write_case(&cases[i], "taken");
        const char *format = probe(path, &error);
        if (g_strcmp0(format, cases[i].told) != 0) {
            fail_msg("case %u: %s instead of %s (%s)", i, format, cases[i].told, error == NULL ? "" : error->message);
        }
    }
}

static void test_others(void **state)
{
    static const Case cases[] = {
        CASE("QFI\xfb\0\0\0\1", 0, "qemu-img convert -f qcow -O qcow2"),
        CASE("QED\0", 0, "QED"),
        CASE("WithoutFreeSpace", 0, "Parallels"),
        CASE("WithouFreSpacExt", 0, "qemu-img convert -f parallels"),
        CASE("Bochs Virtual HD Image", 0, "Bochs"),
        CASE("#!/bin/sh\n#V2.0 Format\n", 0, "cloop"),
        CASE("koly", SIZE - 512, "DMG"),
        CASE("LUKS\xba\xbe", 0, "LUKS"),
        CASE("\xbe\xba\xfe\xca\0\0\0\0", 0, "descriptor"),
        CASE("CD001", 32769, "ISO 9660"),
        CASE("7z\xbc\xaf\x27\x1c", 0, "7z"),
        CASE("\x04\x22\x4d\x18", 0, "lz4"),
        CASE("\x7f"
             "ELF",
             0, "ELF"),
        CASE("<?xml version", 0, "XML"),
        CASE("version=", 0, "not a disk of a known format"),
        CASE("# a script\nversion=x\n", 0, "not a disk of a known format"),
        CASE("{}", 0, "--format raw"),
        CASE("conectix", SIZE - 511, "not a disk"),
        CASE("conectix", 1, "not a disk"),
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = write_case(&cases[i], "other");
        assert_null(probe(path, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        if (strstr(error->message, cases[i].told) == NULL || !g_str_has_prefix(error->message, path)) {
            fail_msg("case %u: '%s' is not in: %s", i, cases[i].told, error->message);
        }
    }
}

/* A medium that boots from a CD and from a disk is a disk; so is a file of zeros, and one that is called so. */
static void test_raw(void **state)
{
    const Case cd = CASE("CD001", 32769, NULL), unknown = CASE("?", 0, NULL);
    g_autofree char *hybrid = write_case(&cd, "hybrid"), *named = write_case(&unknown, "named.raw");
    g_autofree char *bytes = NULL, *zeros = ingot_workdir_file(folder, "zeros");
    (void)state;
    assert_true(g_file_get_contents(hybrid, &bytes, NULL, NULL));
    memcpy(bytes + 510, "\x55\xaa", 2);
    assert_true(g_file_set_contents(hybrid, bytes, SIZE, NULL));
    assert_string_equal(probe(hybrid, NULL), "raw");
    assert_string_equal(probe(named, NULL), "raw");
    memset(bytes, 0, SIZE);
    assert_true(g_file_set_contents(zeros, bytes, SIZE, NULL));
    assert_string_equal(probe(zeros, NULL), "raw");
    bytes[600] = 1;
    assert_true(g_file_set_contents(zeros, bytes, SIZE, NULL));
    assert_null(probe(zeros, NULL));
    /* Of an archive's member the name is told. */
    assert_string_equal(magic_probe(&(IngotPart){zeros, 512, 4096}, "a.tar: b.raw", NULL), "raw");
    assert_null(magic_probe(&(IngotPart){zeros, 512, 4096}, "a.tar: b.img", NULL));
}

/* A cut VHD has no mark left, and its first bytes are those of a raw disk: its name tells that it is none. */
static void test_named(void **state)
{
    static const char *const names[] = {"a.vhd", "A.VHD", "a.vhdx", "web-flat.vmdk", "a.qcow2", "a.vdi"};
    const Case boot = CASE("\x55\xaa", 510, NULL), fixed = CASE("conectix", SIZE - 512, NULL);
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = write_case(&boot, names[i]);
        assert_null(probe(path, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "cut short"));
        assert_string_equal(magic_probe(&(IngotPart){.path = path}, "a.img", NULL), "raw");
    }
    g_autofree char *other = write_case(&fixed, "other.qcow2");
    assert_string_equal(probe(other, NULL), "vpc");
    assert_string_equal(magic_named("a.vHd"), "vpc");
    assert_null(magic_named("vhd"));
    assert_null(magic_named("a.raw"));
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(magic_format("vpc"), "vpc");
    assert_string_equal(magic_format("raw"), "raw");
    assert_null(magic_format("vhd"));
    assert_null(magic_format(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken), cmocka_unit_test(test_others), cmocka_unit_test(test_raw),
        cmocka_unit_test(test_named), cmocka_unit_test(test_words),
    };
    folder = ingot_workdir_new(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ingot_workdir_free(folder);
    return failed;
}
