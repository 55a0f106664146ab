/* What partitions say of the machine that a disk is for, and the names of its processor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/architecture.h"
#include "image/bootable.h"

/* The disk of tests/fuzz/seeds/bootable, with some bytes changed. */
static Bootable look_with(const char *seed, gsize offset, const void *changed, gsize length)
{
    g_autofree char *file = g_build_filename("tests/fuzz/seeds/bootable", seed, NULL), *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(file, &bytes, &size, NULL));
    memcpy(bytes + offset, changed, length);
    int fd = memfd_create("disk", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, size), size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    Bootable bootable;
    assert_true(bootable_look(blocks, &bootable, NULL));
    close(fd);
    return bootable;
}

static Bootable look(const char *seed, gsize offset, guint8 byte)
{
    return look_with(seed, offset, &byte, 1);
}

#define FIRST_ENTRY 1024 /* of the GPT */
#define PROGRAM 0x4e40   /* the name of its one program, as FAT has it */

static void test_disks(void **state)
{
    static const struct {
        const char *seed;
        gsize offset;
        guint8 byte;
        gboolean uefi, bios;
        const char *architecture;
    } disks[] = {
        {"gpt", 511, 0xaa, TRUE, FALSE, "amd64"},
        {"gpt", 511, 0, FALSE, FALSE, NULL},                 /* no table */
        {"gpt", 512, 'X', FALSE, FALSE, NULL},               /* no GPT */
        {"gpt", FIRST_ENTRY, 0, FALSE, FALSE, NULL},         /* another type */
        {"gpt", FIRST_ENTRY + 48, 4, TRUE, TRUE, "amd64"},   /* a BIOS starts it, too */
        {"gpt", 512 + 84, 0, FALSE, FALSE, NULL},            /* entries of no size */
        {"gpt", FIRST_ENTRY + 47, 0x7f, FALSE, FALSE, NULL}, /* an end beyond all disks */
        {"mbr", 511, 0xaa, TRUE, FALSE, "arm64"},
        {"mbr", 0, 0xeb, TRUE, TRUE, "arm64"},  /* code for a BIOS */
        {"mbr", 450, 0x83, FALSE, FALSE, NULL}, /* another type */
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(disks); i++) {
        Bootable found = look(disks[i].seed, disks[i].offset, disks[i].byte);
        assert_int_equal(found.uefi, disks[i].uefi);
        assert_int_equal(found.bios, disks[i].bios);
        assert_int_equal(g_strcmp0(found.architecture, disks[i].architecture), 0);
    }
}

static void test_programs(void **state)
{
    static const char *const programs[][2] = {
        {"BOOTX64 EFI", "amd64"},   {"BOOTAA64EFI", "arm64"},   {"BOOTARM EFI", "arm"}, {"BOOTRI~1EFI", "riscv64"},
        {"GRUBRI~2EFI", "riscv64"}, {"BOOTLO~1EFI", "loong64"}, {"BOOTIA32EFI", NULL},  {"MEMTEST EFI", NULL},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(programs); i++) {
        Bootable found = look_with("gpt", PROGRAM, programs[i][0], strlen(programs[i][0]));
        assert_true(found.uefi);
        assert_int_equal(g_strcmp0(found.architecture, programs[i][1]), 0);
    }
}

static void test_architectures(void **state)
{
    static const char *const words[][2] = {
        {"x86_64", "amd64"}, {"AMD64", "amd64"}, {"aarch64", "arm64"},   {"i686", "i386"},           {"386", "i386"},
        {"z80", NULL},       {"", NULL},         {"ppc64el", "ppc64le"}, {"loongarch64", "loong64"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        assert_int_equal(g_strcmp0(architecture_word(words[i][0]), words[i][1]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_disks), cmocka_unit_test(test_programs),
                                       cmocka_unit_test(test_architectures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
