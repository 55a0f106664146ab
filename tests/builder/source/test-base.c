/* The record of a bootstrapped base: changed under the key's lock alone, and never that of another base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/terminal.h"
#include "source/base.h"

#define ASKED 1000 /* when the mirror was asked first */
#define AGAIN 2000

typedef struct {
    IngotWorkdir *workdir;
    char *folder, *lock, *record, *log;
    IngotProgress *progress;
    Base *base;
} Fixture;

static Base *publish(const Fixture *fixture, const char *bytes, const char *state)
{
    g_autofree char *made = ingot_workdir_file(fixture->workdir, "made");
    g_autoptr(json_t) record =
        ingot_json_pack("{s:{}, s:[], s:s, s:s}", "os", "packages", "apt", "deb …", "date", "2025-11-01");
    assert_true(g_file_set_contents(made, bytes, -1, NULL));
    Base *base = base_publish(fixture->folder, made, state, ASKED, record, fixture->progress, NULL);
    assert_non_null(base);
    return base;
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->folder = ingot_workdir_file(fixture->workdir, "key");
    fixture->lock = ingot_workdir_file(fixture->workdir, "key.lock");
    fixture->log = ingot_workdir_file(fixture->workdir, "log");
    fixture->record = g_build_filename(fixture->folder, "source.json", NULL);
    fixture->progress = terminal_progress_new(TRUE);
    assert_true(terminal_progress_log(fixture->progress, fixture->log, NULL));
    fixture->base = publish(fixture, "first", "state 1");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    base_free(fixture->base);
    ingot_progress_free(fixture->progress);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->folder);
    g_free(fixture->lock);
    g_free(fixture->record);
    g_free(fixture->log);
    g_free(fixture);
    return 0;
}

static gint64 asked(const Fixture *fixture)
{
    g_autoptr(Base) now = base_read(fixture->folder);
    assert_non_null(now);
    return now->asked;
}

static gboolean confirm(const Fixture *fixture)
{
    return base_confirm(fixture->folder, fixture->base, AGAIN, fixture->progress, NULL);
}

static void expect_words(const Fixture *fixture, const char *words)
{
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(fixture->log, &text, NULL, NULL));
    if (strstr(text, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, text);
    }
}

static void a_base_is_confirmed(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(asked(fixture), ASKED);
    assert_true(confirm(fixture));
    assert_int_equal(asked(fixture), AGAIN);
    assert_int_equal(fixture->base->asked, AGAIN);
}

static gpointer confirm_beside(gpointer user)
{
    return GINT_TO_POINTER(confirm(user));
}

/* Another build that makes a base writes the record under the lock. */
static void a_note_waits_for_the_lock(void **state)
{
    Fixture *fixture = *state;
    IngotLock *lock = ingot_lock_take(fixture->lock, TRUE, FALSE, NULL);
    assert_non_null(lock);
    GThread *thread = g_thread_new("confirm", confirm_beside, fixture);
    g_usleep(G_USEC_PER_SEC / 3);
    assert_int_equal(asked(fixture), ASKED);
    ingot_lock_release(lock);
    assert_true(GPOINTER_TO_INT(g_thread_join(thread)));
    assert_int_equal(asked(fixture), AGAIN);
}

/* It was made since this build has read the record: what is confirmed is not that one. */
static void another_base_stays_the_current_one(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Base) other = publish(fixture, "second", "state 2");
    assert_true(confirm(fixture));
    g_autoptr(Base) now = base_read(fixture->folder);
    assert_string_equal(now->disk, other->disk);
    assert_string_equal(now->state, "state 2");
    assert_int_equal(now->asked, ASKED);
}

static void a_note_that_cannot_be_taken_is_a_message(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(g_mkdir(fixture->lock, 0755), 0);
    assert_true(confirm(fixture));
    assert_int_equal(asked(fixture), ASKED);
    expect_words(fixture, "the mirror is asked again the next time");
}

/* The disk is there and whole: it serves the build that has made it. Nothing of the record is left half-written. */
static void a_base_that_cannot_be_noted_is_given(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(g_remove(fixture->record), 0);
    assert_int_equal(g_mkdir(fixture->record, 0755), 0);
    g_autoptr(Base) base = publish(fixture, "second", "state 2");
    assert_true(g_file_test(base->disk, G_FILE_TEST_IS_REGULAR));
    assert_string_equal(base->state, "state 2");
    assert_null(base_read(fixture->folder));
    expect_words(fixture, "the base is made again the next time");
    g_autoptr(GDir) names = g_dir_open(fixture->folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(names)) != NULL;) {
        assert_false(g_str_has_prefix(name, "."));
    }
}

static gboolean nobody_needs(const char *cache, const char *disk)
{
    (void)cache, (void)disk;
    return FALSE;
}

/* Also one that the record does not name, since it could not be noted. */
static void the_base_in_use_is_not_tidied_away(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *kept = NULL;
    assert_true(g_file_get_contents(fixture->record, &kept, NULL, NULL));
    g_autoptr(Base) second = publish(fixture, "second", "state 2");
    g_autoptr(Base) third = publish(fixture, "third", "state 3");
    assert_true(g_file_set_contents(fixture->record, kept, -1, NULL));
    base_tidy(fixture->folder, third->disk, "cache", nobody_needs);
    assert_true(g_file_test(fixture->base->disk, G_FILE_TEST_EXISTS));
    assert_false(g_file_test(second->disk, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(third->disk, G_FILE_TEST_EXISTS));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_base_is_confirmed),
        TEST(a_note_waits_for_the_lock),
        TEST(another_base_stays_the_current_one),
        TEST(a_note_that_cannot_be_taken_is_a_message),
        TEST(a_base_that_cannot_be_noted_is_given),
        TEST(the_base_in_use_is_not_tidied_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
