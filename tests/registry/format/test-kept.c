/* What was given out stays as it is: the files of every format of one fixed disk have the bytes, and what is kept of
 * them the names, that they had in release 0.1. A client that has a file can count on it and on its entity tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/format.h>
#include <string.h>

#include "base/json.h"
#include "packed.h"

#define MIB ((gsize)1 << 20)
#define SIZE (5 * MIB + 3 * 4096) /* bytes of the disk: no whole number of any format's blocks */

/* Bytes that get smaller, that don't, and none. */
static int set_up(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (gsize i = 0; i < MIB + 5000; i++) {
        bytes[i] = (guint8)g_rand_int_range(random, 0, 4);
        bytes[3 * MIB + 100000 + i] = (guint8)g_rand_int(random);
    }
    memset(bytes + SIZE - 700, 'x', 700);
    return packed_set_up(bytes, SIZE);
}

static int tear_down(void **state)
{
    (void)state;
    return packed_tear_down();
}

#define DEFLATE "libdeflate-1.14-2"
#define ZSTD "zstd-1.5.4-level-3"
#define SAME "" /* as by BIOS */

/* The SHA-256 of a file of an image that boots by BIOS, and of one that boots by UEFI alone (NULL: it has no such
 * file). With another compressor than codec (NULL: none), a file has other bytes. */
typedef struct {
    const char *format, *file, *codec, *bios, *uefi;
} KeptFile;

/* clang-format off */
static const KeptFile kept_files[] = {
    {"raw", "disk.raw", NULL,
     "cdfff2958098a588ca43b4ef9bd14369a6d284c7db753c7138462c4a7bd164df",
     SAME},
    {"qcow2", "disk.qcow2", NULL,
     "158571931c1a1b930711f56ece2c7cacfb86f52373466a31a28170966a1f23b8",
     SAME},
    {"qcow2-zstd", "disk.qcow2", ZSTD,
     "f956cf7fde57629e37f19a9d97f912fe6002a65a4419b8a081e48f424bd47af1",
     SAME},
    {"vdi", "disk.vdi", NULL,
     "561a66cc5714d1d3cd06c08de0cc759e0a8fca4e9fb922586a33d098fa60ef2a",
     SAME},
    {"vhd", "disk.vhd", NULL,
     "c00ca6eef0750ea1b301cf820bbe998dd6f1e5026dcbb4ee303fcd2fa136c8df",
     SAME},
    {"vhdx", "disk.vhdx", NULL,
     "b57f266f9e32f7baf6efc85c5368f838edfccf5c6e754a62000fd3097c5f4714",
     SAME},
    {"vmdk", "disk.vmdk", NULL,
     "4dd68e8a41d14165b5ef5ac575cf07025faa0579bd5b1c8cdcaa51d189db4209",
     SAME},
    {"vmdk-stream", "disk.vmdk", DEFLATE,
     "383cec01b9da8547e82a2fa345e646baf6509c766f0ceba964f4f5e521a7dbf2",
     SAME},
    {"vmx", "disk.vmdk", NULL,
     "4dd68e8a41d14165b5ef5ac575cf07025faa0579bd5b1c8cdcaa51d189db4209",
     SAME},
    {"vmx", "web.vmx", NULL,
     "d2ec95c0a08f3bd97bd68ee716af3df5d780ce0baf55d8ebc6a10684b56b861b",
     "9282422f14dccfa073e83c78ecea6a8b08dd6c370f81e98add67f05cc7874eba"},
    {"ova", "web.ova", DEFLATE,
     "fdc6c0036f2341dda4e8f5f84a715f277be741c6c384a5ee5e306aab60f49a06",
     "beef460f2be1857c913ba7cdb120b5b5f80d36bca997dd48eac25c0718b68523"},
    {"vagrant-libvirt", "libvirt.box", NULL,
     "2f0a9ca109d14ac787a2fcbf1c7daf6fbe57630a304ac42890b2ff67f1812fea",
     NULL},
    {"vagrant-qemu", "qemu.box", NULL,
     "7d946428fab1e8c1b646d8f2e5637ae1a323c283060be9b7053f22eb4884c62c",
     NULL},
    {"vagrant-virtualbox", "virtualbox.box", DEFLATE,
     "fafce5ef41d874dcebe9e7f382003875ed1f447d33b3bc322f0e6b2169085562",
     NULL},
    {"vagrant-vmware", "vmware_desktop.box", NULL,
     "c242c1f9a41b08abdb679511fbe5e15b4890196d27b9cc2dca75047a23da58b1",
     "424dc01d1ffa59d3779574c38321118a65323a804881db92dab1847809b27b65"},
};
/* clang-format on */

/* Nothing is there, and what is asked to be kept is noted by its name. */
static GBytes *find(const char *what, gpointer user)
{
    (void)what, (void)user;
    return NULL;
}

static void keep(const char *what, GBytes *value, gpointer user)
{
    (void)value;
    g_hash_table_add(user, g_strdup(what));
}

static const IngotFormatFile *file_of(const IngotFormatInput *input, const KeptFile *row, GPtrArray **files)
{
    *files = ingot_format_files(ingot_format_find(row->format, NULL), input, NULL);
    return *files == NULL ? NULL : ingot_format_file(*files, row->file, NULL);
}

static void check_sum(const IngotFormatInput *input, const KeptFile *row, const char *expected)
{
    const IngotFormat *format = ingot_format_find(row->format, NULL);
    g_autoptr(GPtrArray) files = NULL;
    const IngotFormatFile *file = file_of(input, row, &files);
    IngotDigest digest;
    assert_int_equal(file == NULL, expected == NULL);
    if (file != NULL && (row->codec == NULL || strcmp(row->codec, format->codec()) == 0)) {
        assert_true(ingot_format_digest(format, input, file, &digest, NULL));
        g_autofree char *text = ingot_digest_to_text(&digest);
        g_autofree char *found = g_strdup_printf("%s %s %s", row->format, row->file, text + strlen("sha256:"));
        g_autofree char *wanted = g_strdup_printf("%s %s %s", row->format, row->file, expected);
        assert_string_equal(found, wanted);
    }
}

static void check_files(const char *firmware, gboolean bios)
{
    g_autoptr(json_t) config =
        json_pack("{s:s, s:{s:s}, s:[s]}", "architecture", "amd64", "os", "id", "debian", "firmware", firmware);
    const IngotFormatInput input = {.disk = disk, .config = config, .name = "team/web"};
    for (guint i = 0; i < G_N_ELEMENTS(kept_files); i++) {
        const KeptFile *row = &kept_files[i];
        check_sum(&input, row, bios || g_strcmp0(row->uefi, SAME) == 0 ? row->bios : row->uefi);
    }
}

static void files_have_the_same_bytes(void **state)
{
    (void)state;
    check_files("bios", TRUE);
    check_files("uefi", FALSE);
}

/* Those whose files have the image's name in them. */
static gboolean tells_name(const char *format)
{
    static const char *const those[] = {"ova", "vmx", "vagrant-virtualbox", "vagrant-vmware", NULL};
    return g_strv_contains(those, format);
}

/* Of an image that two repositories have, each has the sum of its own file. */
static void sums_are_kept_by_name(void **state)
{
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(kept_files); i++) {
        const IngotFormat *format = ingot_format_find(kept_files[i].format, NULL);
        const IngotFormatInput web = {.disk = disk, .name = "team/web"}, db = {.disk = disk, .name = "team/db"};
        g_autoptr(GPtrArray) files = NULL, others = NULL;
        const IngotFormatFile *file = file_of(&web, &kept_files[i], &files), *other;
        g_autoptr(GPtrArray) of_db = ingot_format_files(format, &db, NULL);
        IngotDigest one, two;
        other = g_ptr_array_index(of_db, 0);
        if (files->len != 1 || strcmp(file->name, other->name) != 0) {
            continue; /* its file's name tells it */
        }
        assert_true(ingot_format_digest(format, &web, file, &one, NULL));
        assert_true(ingot_format_digest(format, &db, other, &two, NULL));
        if (ingot_digest_equal(&one, &two) == tells_name(format->name)) {
            fail_msg("%s: the name is in the file, or is not", format->name);
        }
    }
}

/* A registry that is upgraded has sums and measures under these names, and clients have the tags. */
static void what_is_kept_has_the_same_name(void **state)
{
    (void)state;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const IngotFormatKeeper keeper = {.find = find, .keep = keep, .user = names};
    const IngotFormatInput input = {.disk = disk, .name = "team/web", .keeper = &keeper};
    IngotDigest digest;
    guint sums = 0;
    ingot_digest_of("manifest", 8, &digest);
    for (guint i = 0; i < G_N_ELEMENTS(kept_files); i++) {
        const IngotFormat *format = ingot_format_find(kept_files[i].format, NULL);
        const char *codec = format->codec == NULL ? NULL : format->codec();
        g_autoptr(GPtrArray) files = NULL;
        const IngotFormatFile *file = file_of(&input, &kept_files[i], &files);
        g_autofree char *edition = g_strjoin("/", format->name, file->name, INGOT_VERSION, codec, NULL);
        g_autofree char *sum = g_strdup_printf("sha256 of %s%s", edition, tells_name(format->name) ? " as web" : "");
        g_autofree char *tag = ingot_format_tag(format, file->name, &digest);
        g_autofree char *of = ingot_digest_to_text(&digest), *wanted = g_strdup_printf("\"%s/%s\"", of, edition);
        g_autofree char *blocks = codec == NULL ? NULL : g_strdup_printf("blocks of 65536 by %s", codec);
        assert_string_equal(tag, wanted);
        assert_true(ingot_format_digest(format, &input, file, &digest, NULL));
        assert_true(g_hash_table_contains(names, sum));
        assert_true(blocks == NULL || g_hash_table_contains(names, blocks));
        sums++;
    }
    assert_int_equal(g_hash_table_size(names), sums + 2); /* the blocks of two codecs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_the_same_bytes),
        cmocka_unit_test(what_is_kept_has_the_same_name),
        cmocka_unit_test(sums_are_kept_by_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
