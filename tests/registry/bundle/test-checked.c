/* A file is hashed once, and again as soon as it may be another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "bundle/checked.h"
#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char *folder, *file, *record;
    IngotDigest right;
} Sample;

static int set_up(void **state)
{
    Sample *sample = g_new0(Sample, 1);
    sample->folder = g_dir_make_tmp("ingot-checked-XXXXXX", NULL);
    sample->file = g_build_filename(sample->folder, "file", NULL);
    sample->record = g_build_filename(sample->folder, "record", NULL);
    assert_true(g_file_set_contents(sample->file, "right", -1, NULL));
    assert_true(ingot_digest_of_file(sample->file, &sample->right, NULL, NULL));
    *state = sample;
    return 0;
}

static int tear_down(void **state)
{
    Sample *sample = *state;
    assert_true(ingot_file_remove_tree(sample->folder, NULL));
    g_free(sample->folder);
    g_free(sample->file);
    g_free(sample->record);
    g_free(sample);
    return 0;
}

static gboolean once(const Sample *sample, GError **error)
{
    return ingot_checked_once(sample->file, &sample->right, sample->record, NULL, error);
}

static void test_read(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    assert_true(ingot_checked_read(sample->file, "it", &sample->right, NULL));
    assert_true(g_file_set_contents(sample->file, "wrong", -1, NULL));
    assert_false(ingot_checked_read(sample->file, "it", &sample->right, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    g_autofree char *want = ingot_digest_to_text(&sample->right);
    assert_true(g_str_has_prefix(error->message, "it: "));
    assert_non_null(strstr(error->message, want));
}

/* Another content of the same size in the same file, with the time that it had. */
static void overwrite(const Sample *sample)
{
    struct stat info;
    assert_int_equal(stat(sample->file, &info), 0);
    g_auto(IngotFd) fd = ingot_file_open(sample->file, O_WRONLY, 0, NULL);
    assert_true(ingot_file_pwrite(fd, "wrong", strlen("wrong"), 0, sample->file, NULL));
    const struct timespec times[] = {info.st_atim, info.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
}

static void test_changed(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    assert_true(once(sample, NULL));
    assert_true(once(sample, NULL));
    overwrite(sample);
    assert_false(once(sample, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_false(once(sample, NULL));
}

#define SETTLED_USEC (G_USEC_PER_SEC / 5) /* after a change: more than any tick of a file system with fractions */

/* A record of one digest says nothing of another. */
static void test_other_digest(void **state)
{
    const Sample *sample = *state;
    IngotDigest other = sample->right;
    other.bytes[0] ^= 1;
    g_usleep(SETTLED_USEC);
    assert_true(once(sample, NULL));
    assert_true(g_file_test(sample->record, G_FILE_TEST_EXISTS));
    g_autoptr(GError) error = NULL;
    assert_false(ingot_checked_once(sample->file, &other, sample->record, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

/* Only a file that has been left alone for a moment is remembered: a change in the tick of the one before it, as a fast
 * editor or script makes it, gives the file no other times. */
static void test_same_tick(void **state)
{
    const Sample *sample = *state;
    assert_true(g_file_set_contents(sample->file, "right", -1, NULL));
    assert_true(once(sample, NULL));
    assert_false(g_file_test(sample->record, G_FILE_TEST_EXISTS));
    g_usleep(SETTLED_USEC);
    assert_true(once(sample, NULL));
    assert_true(g_file_test(sample->record, G_FILE_TEST_EXISTS));
}

/* A remembered file is not read: its record is taken at its word. Any sign of a change has it read again. */
static void test_remembered(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    IngotDigest other;
    g_usleep(SETTLED_USEC);
    assert_true(once(sample, NULL));
    ingot_digest_of("other", strlen("other"), &other);
    g_autofree char *record = NULL, *digest = ingot_digest_to_text(&other);
    assert_true(g_file_get_contents(sample->record, &record, NULL, NULL));
    memcpy(record, digest, strlen(digest));
    g_autofree char *lie = g_build_filename(sample->folder, "lie", NULL);
    assert_true(g_file_set_contents(lie, record, -1, NULL));
    assert_true(ingot_checked_once(sample->file, &other, lie, NULL, NULL));
    overwrite(sample); /* in place, and with the time that it had, as `touch -d` and `cp -p` leave it */
    assert_false(once(sample, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

/* A cache that is full or read-only costs a check the next time, not the build. */
static void test_no_note(void **state)
{
    const Sample *sample = *state;
    g_autofree char *record = g_build_filename(sample->folder, "none", "record", NULL);
    g_autoptr(GError) error = NULL;
    assert_true(ingot_checked_once(sample->file, &sample->right, record, NULL, &error));
    assert_null(error);
}

static void test_no_file(void **state)
{
    const Sample *sample = *state;
    g_autoptr(GError) error = NULL;
    assert_false(ingot_checked_once(sample->folder, &sample->right, sample->record, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_false(g_file_test(sample->record, G_FILE_TEST_EXISTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_other_digest, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_same_tick, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_remembered, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_no_note, set_up, tear_down),
                                       cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
