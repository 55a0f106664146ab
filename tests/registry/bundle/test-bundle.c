/* A disk from elsewhere is packed as it was when it was found to be the right one, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "base/unchanged.h"
#include "bundle/bundle.h"
#include "bundle/checked.h"
#include "bundle/inflate.h"

typedef struct {
    char *folder, *disk, *box;
    IngotDigest digest; /* of the disk */
} Sample;

static int set_up(void **state)
{
    Sample *sample = g_new0(Sample, 1);
    static guint8 bytes[1u << 20];
    sample->folder = g_dir_make_tmp("ingot-bundle-XXXXXX", NULL);
    sample->disk = g_build_filename(sample->folder, "box.img", NULL);
    sample->box = g_build_filename(sample->folder, "web.box", NULL);
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + 510, "\x55\xaa", 2); /* as a disk begins */
    g_autofree char *metadata = g_build_filename(sample->folder, "metadata.json", NULL);
    const char text[] = "{\"provider\": \"libvirt\", \"format\": \"raw\", \"virtual_size\": 1}";
    const char *const tar[] = {"tar", "-czf", sample->box, "-C", sample->folder, "metadata.json", "box.img", NULL};
    assert_true(g_file_set_contents(sample->disk, (const char *)bytes, sizeof bytes, NULL));
    assert_true(g_file_set_contents(metadata, text, -1, NULL));
    assert_true(ingot_process_run(tar, NULL, NULL, NULL));
    assert_true(ingot_digest_of_file(sample->disk, &sample->digest, NULL, NULL));
    *state = sample;
    return 0;
}

static int tear_down(void **state)
{
    Sample *sample = *state;
    assert_true(ingot_file_remove_tree(sample->folder, NULL));
    g_free(sample->folder);
    g_free(sample->disk);
    g_free(sample->box);
    g_free(sample);
    return 0;
}

/* As a nightly job does, between the look at its digest and its opening. */
static void replace(const char *path)
{
    g_autofree char *fresh = g_strconcat(path, ".new", NULL);
    assert_true(ingot_file_copy(path, fresh, NULL));
    assert_int_equal(g_rename(fresh, path), 0);
}

static void what_was_checked_is_what_is_packed(void **state)
{
    const Sample *sample = *state;
    g_autoptr(Unchanged) files = unchanged_new();
    g_autoptr(GError) error = NULL;
    assert_true(unchanged_add(files, sample->disk, NULL));
    assert_true(ingot_checked_read(sample->disk, "disk", &sample->digest, NULL));
    replace(sample->disk);
    g_autoptr(IngotBundle) bundle = ingot_bundle_open(sample->disk, "disk", files, NULL, NULL);
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, 0, NULL);
    assert_false(ingot_blocks_check_unchanged(blocks, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

static void a_disk_may_change_before_it_is_opened_but_not_after(void **state)
{
    const Sample *sample = *state;
    g_autoptr(IngotBundle) bundle = ingot_bundle_open(sample->disk, "disk", NULL, NULL, NULL);
    replace(sample->disk);
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, 0, NULL);
    assert_false(ingot_blocks_check_unchanged(blocks, NULL));
    g_autoptr(IngotBundle) again = ingot_bundle_open(sample->disk, "disk", NULL, NULL, NULL);
    g_autoptr(IngotBlocks) whole = ingot_bundle_blocks(again, 0, NULL);
    assert_true(ingot_blocks_check_unchanged(whole, NULL));
}

/* An archive is read while it is opened; what was taken out of it is nobody else's. */
static void an_archive_counts_until_it_is_unpacked(void **state)
{
    const Sample *sample = *state;
    g_autoptr(Unchanged) files = unchanged_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotBundle) bundle = ingot_bundle_open(sample->box, "box", NULL, NULL, NULL);
    assert_non_null(bundle);
    assert_true(unchanged_add(files, sample->box, NULL));
    replace(sample->box);
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, 0, NULL);
    assert_true(ingot_blocks_check_unchanged(blocks, NULL));
    assert_null(ingot_bundle_open(sample->box, "box", files, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

/* Zeros are bounded by the file as well, not only by what a stranger says of the disk. */
static void zeros_need_a_file_that_explains_them(void **state)
{
    const guint64 gib = 1u << 30, terabytes = 18000 * gib;
    (void)state;
    assert_true(inflate_bounds(12u << 20, terabytes).size < 400 * gib);
    assert_true(inflate_bounds(785, terabytes).size >= 64 * gib);
    assert_true(inflate_bounds(60u << 20, 1000 * gib).size == 1000 * gib);
    assert_true(inflate_bounds(1u << 20, 0).size == inflate_bounds(1u << 20, 0).written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_checked_is_what_is_packed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_may_change_before_it_is_opened_but_not_after, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_archive_counts_until_it_is_unpacked, set_up, tear_down),
        cmocka_unit_test(zeros_need_a_file_that_explains_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
