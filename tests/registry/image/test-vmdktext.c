/* A VMDK's descriptor is read as QEMU reads it, or refused: no line means one thing here and another there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "image/vmdktext.h"
#include <cmocka.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "qemuvmdk.h"

static GArray *read_lines(const char *type, const char *lines, GError **error)
{
    g_autofree char *text = g_strconcat("# Disk DescriptorFile\nversion=1\ncreateType=\"", type, "\"\n", lines, NULL);
    return vmdk_text_extents(text, "disk.vmdk", error);
}

static void test_lines(void **state)
{
    static const struct {
        const char *lines;
        guint count;
        guint64 sectors; /* of all */
        const char *told;
    } cases[] = {
        {"RW 8 FLAT \"a\" 0\n", 1, 8, NULL},
        {"RW 8 FLAT \"a\" 0", 1, 8, NULL},
        {"RW 8 FLAT \"a\" 0\r\nRW 16 VMFS \"b c.vmdk\"\r\n", 2, 24, NULL},
        {"  RW\t8   SPARSE \"a\"  \nRW 1 VMFSSPARSE \"b\"\n# x\nRW 2 SESPARSE \"c\"\n", 3, 11, NULL},
        {"RW 8 FLAT \"a\" 0\n\nddb.adapterType = \"ide\"\n", 1, 8, NULL},
        {"RWX 8 FLAT \"a\" 0\nRW 8 SPARSE \"a\"\n", 1, 8, NULL},
        {"RW 18014398509481983 SPARSE \"a\"\n", 1, G_MAXINT64 / 512, NULL},
        /* What QEMU leaves out. */
        {"RW 8 SPARSE \"a\"\nRW 8 ZERO\n", 0, 0, "line 5 of its descriptor, 'RW 8 ZERO'"},
        {"RW 8 VMFSRDM \"a\"\n", 0, 0, "of a type that is not taken"},
        {"RW 8 VMFSRAW \"a\"\n", 0, 0, "of a type that is not taken"},
        {"RW 8 VMFSSPARSEX \"a\"\n", 0, 0, "by its file's name alone"},
        {"RW 8 flat \"a\" 0\n", 0, 0, "of a type that is not taken"},
        {"RW 8 SPARSE a\n", 0, 0, "by its file's name"},
        {"RW 8 SPARSE \"\"\n", 0, 0, "by its file's name"},
        {"RW eight SPARSE \"a\"\n", 0, 0, "of a type"},
        {"RDONLY 8 FLAT \"a\" 0\n", 0, 0, "not RW"},
        {"NOACCESS 8 ZERO\n", 0, 0, "not RW"},
        {"rw 8 SPARSE \"a\"\n", 0, 0, "not RW"},
        {"RW\n", 0, 0, "of a type"},
        /* What it takes for an error. */
        {"RW 8 FLAT \"a\"\n", 0, 0, "and an offset"},
        {"RW 8 VMFS \"a\" 0\n", 0, 0, "name alone"},
        {"RW 8 SPARSE \"a\" 0\n", 0, 0, "name alone"},
        {"RW 8 FLAT \"a\" -1\n", 0, 0, "no disk has"},
        {"RW 0 SPARSE \"a\"\n", 0, 0, "no disk has"},
        {"RW -8 SPARSE \"a\"\n", 0, 0, "no disk has"},
        {"RW 18014398509481984 SPARSE \"a\"\n", 0, 0, "no disk has"},
        {"RW 99999999999999999999 SPARSE \"a\"\n", 0, 0, "no disk has"},
        {"RW 18014398509481983 SPARSE \"a\"\nRW 1 SPARSE \"b\"\n", 0, 0, "no disk has"},
        {"RW 1 FLAT \"a\" 18014398509481983\n", 0, 0, "no disk has"},
        {"ddb.x = 1\n", 0, 0, "no extent"},
        /* What it reads twice, or over several lines. */
        {"\nRW 8 FLAT \"a\" 0\n", 0, 0, "remove the line"},
        {" \r\nRW 8 SPARSE \"a\"\n", 0, 0, "remove the line"},
        {"RW\n8\nFLAT\n\"a\" 0\n", 0, 0, "the next line"},
        {"RW 8 SPARSE \"a\"\n7\n", 0, 0, "the next line"},
        {"RW 8 FLAT \"a\"\n7\n", 0, 0, "the next line"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        guint64 sectors = 0;
        g_autoptr(GArray) extents = read_lines("vmfs", cases[i].lines, &error);
        for (guint j = 0; extents != NULL && j < extents->len; j++) {
            sectors += g_array_index(extents, VmdkExtent, j).sectors;
        }
        if (cases[i].told == NULL &&
            (extents == NULL || extents->len != cases[i].count || sectors != cases[i].sectors)) {
            fail_msg("case %u: %s", i, error == NULL ? "other extents" : error->message);
        }
        if (cases[i].told != NULL && (extents != NULL || strstr(error->message, cases[i].told) == NULL)) {
            fail_msg("case %u: '%s' is not in: %s", i, cases[i].told, extents != NULL ? "taken" : error->message);
        }
    }
}

static void test_types(void **state)
{
    static const char *const taken[] = {"monolithicFlat",    "vmfs", "vmfsSparse", "seSparse", "twoGbMaxExtentSparse",
                                        "twoGbMaxExtentFlat"};
    static const char *const refused[] = {"monolithicSparse",
                                          "2GbMaxExtentSparse",
                                          "custom",
                                          "fullDevice",
                                          "partitionedDevice",
                                          "vmfsRaw",
                                          "vmfsRDM",
                                          "vmfsRawDeviceMap",
                                          "vmfsPassthroughRawDeviceMap",
                                          "streamOptimized",
                                          "",
                                          "VMFS"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(taken); i++) {
        g_autoptr(GArray) extents = read_lines(taken[i], "RW 8 SPARSE \"a\"\n", NULL);
        assert_non_null(extents);
    }
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *told = g_strdup_printf("of the type '%s'", refused[i]);
        assert_null(read_lines(refused[i], "RW 8 SPARSE \"a\"\n", &error));
        assert_non_null(strstr(error->message, told));
    }
    g_autoptr(GError) error = NULL;
    assert_null(vmdk_text_extents("RW 8 SPARSE \"a\"\n", "disk.vmdk", &error));
    assert_non_null(strstr(error->message, "no createType"));
}

static void test_bounds(void **state)
{
    g_autoptr(GString) many = g_string_new(NULL), parts = g_string_new(NULL);
    g_autoptr(GError) error = NULL, too_many = NULL;
    (void)state;
    for (guint i = 0; i <= VMDK_EXTENTS_MAX; i++) {
        g_string_append(many, "RW 1 SPARSE \"a\"\n");
    }
    assert_null(read_lines("vmfs", many->str, &too_many));
    assert_non_null(strstr(too_many->message, "one extent too many"));
    while (parts->len <= VMDK_EXTENTS_MAX * 64) {
        g_string_append(parts, "# ....................\n");
    }
    assert_null(read_lines("vmfs", parts->str, &error));
    assert_non_null(strstr(error->message, "descriptor of more than"));
}

static void test_parent(void **state)
{
    static const struct {
        const char *text;
        gboolean there;
        const char *parent;
    } cases[] = {
        {"CID=1\nparentCID=ffffffff\n", TRUE, NULL},
        {"CID=1\nparentCID=FFFFFFFF\n", TRUE, NULL},
        {"CID=1\nparentCID=fffffffe\n", TRUE, "the disk whose CID is fffffffe"},
        {"CID=1\nparentCID=0\nparentFileNameHint=\"/a b\"\n", TRUE, "/a b"},
        {"parentCID=ffffffff\nparentFileNameHint=\"x\"\n", TRUE, "x"},
        {"CID=1\n", FALSE, NULL},
        {"parentCID=", FALSE, NULL},
        {"parentCID=no\n", FALSE, NULL},
        {"", FALSE, NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gboolean there;
        g_autofree char *parent = vmdk_text_parent(cases[i].text, &there);
        if (there != cases[i].there || g_strcmp0(parent, cases[i].parent) != 0) {
            fail_msg("case %u: %s", i, parent);
        }
    }
}

/* Texts put together at random from what such texts are made of. */
static void test_as_qemu(void **state)
{
    static const char *const words[] = {
        "RW",      "RDONLY",     "RWX",    "8",    "-1",   "0",        "16",          "99999999999999999999",
        "FLAT",    "VMFSSPARSE", "SPARSE", "VMFS", "ZERO", "SESPARSE", "VMFSSPARSEX", "\"a\"",
        "\"b c\"", "\"",         "\"\"",   "#",    "x=1"};
    static const char *const gaps[] = {" ", " ", " ", " ", " ", "\t", "\n", "\n", "\r\n", "", "\v"};
    guint taken = 0;
    (void)state;
    g_autoptr(GRand) random = g_rand_new_with_seed(16);
    for (guint round = 0; round < 200000; round++) {
        g_autoptr(GString) text = g_string_new("createType=\"vmfs\"\n");
        for (gint i = g_rand_int_range(random, 0, 14); i > 0; i--) {
            gboolean whole = g_rand_int_range(random, 0, 4) == 0;
            g_string_append(text,
                            whole ? "RW 8 SPARSE \"a\"" : words[g_rand_int_range(random, 0, G_N_ELEMENTS(words))]);
            g_string_append(text, gaps[g_rand_int_range(random, 0, G_N_ELEMENTS(gaps))]);
        }
        g_autoptr(GArray) extents = vmdk_text_extents(text->str, "disk", NULL);
        if (extents != NULL && !qemu_vmdk_agrees(text->str, extents)) {
            fail_msg("QEMU reads other extents in: %s", text->str);
        }
        taken += extents != NULL ? 1 : 0;
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),  cmocka_unit_test(test_types),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_parent), cmocka_unit_test(test_as_qemu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
