/* A follower's folder: what has begun is not done until it has ended well, and both last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/follow/place.h"

static guint synced; /* folders */

/* In the place of the system's. */
int fsync(int fd)
{
    struct stat st;
    synced += fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return (int)syscall(SYS_fsync, fd);
}

typedef struct {
    IngotWorkdir *workdir;
    Place *place;
    IngotDigest one, two;
} Case;

static int set_up(void **state)
{
    Case *its = g_new0(Case, 1);
    its->workdir = ingot_workdir_new(NULL);
    its->place = place_open(ingot_workdir_path(its->workdir), NULL);
    assert_non_null(its->place);
    ingot_digest_of("1", 1, &its->one);
    ingot_digest_of("2", 1, &its->two);
    synced = 0;
    *state = its;
    return 0;
}

static int tear_down(void **state)
{
    Case *its = *state;
    place_free(its->place);
    ingot_workdir_free(its->workdir);
    g_free(its);
    return 0;
}

static gboolean stands(const Case *its, const IngotDigest *digest)
{
    IngotDigest found;
    gint64 since;
    return place_stands(its->place, &found, &since) && ingot_digest_equal(&found, digest);
}

static gboolean was_done(const Case *its, const IngotDigest *digest)
{
    IngotDigest found;
    gint64 since;
    return place_done(its->place, &found, &since) && ingot_digest_equal(&found, digest);
}

/* Whatever it has put in the place of what was there before. */
static void what_has_begun_stands_no_more(void **state)
{
    const Case *its = *state;
    assert_true(place_begin(its->place, &its->one, 1, 1000, NULL));
    assert_false(stands(its, &its->one) || was_done(its, &its->one));
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(stands(its, &its->one));
    assert_true(place_begin(its->place, &its->two, 1, 1000, NULL));
    assert_false(stands(its, &its->one));
    assert_true(was_done(its, &its->one));
    assert_true(place_begin(its->place, &its->one, 1, 1000, NULL)); /* the same again: that of before does not count */
    assert_false(stands(its, &its->one));
    assert_true(was_done(its, &its->one));
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(stands(its, &its->one));
}

static void how_it_failed_is_kept(void **state)
{
    const Case *its = *state;
    g_auto(Attempt) none = {0}, begun = {0}, found = {0};
    g_auto(Attempt)
        failed = {.digest = its->two, .tries = 3, .since = 1000, .failure = g_strdup("status 7"), .interrupted = TRUE};
    assert_false(place_begun(its->place, &none));
    assert_true(place_begin(its->place, &its->two, 3, 1000, NULL));
    assert_true(place_begun(its->place, &begun));
    assert_true(begun.tries == 3 && begun.failure == NULL && !begun.interrupted);
    assert_true(place_fail(its->place, &failed, NULL));
    assert_true(place_begun(its->place, &found));
    assert_true(ingot_digest_equal(&found.digest, &its->two));
    assert_true(found.tries == 3 && found.since == 1000 && found.interrupted);
    assert_string_equal(found.failure, "status 7");
    assert_true(place_finish(its->place, &its->two, NULL)); /* it has ended well all the same */
    assert_true(place_fail(its->place, &failed, NULL));
    assert_false(place_begun(its->place, &none));
    assert_true(stands(its, &its->two));
}

static void what_can_not_be_read_has_begun(void **state)
{
    const Case *its = *state;
    Attempt begun;
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(g_file_set_contents(place_note(its->place), "{\"digest\": 1}", -1, NULL));
    assert_false(stands(its, &its->one));
    assert_false(place_begun(its->place, &begun));
}

/* The folder is as it was before, whatever that was. */
static void what_has_not_begun_is_taken_back(void **state)
{
    const Case *its = *state;
    g_auto(Attempt) none = {0}, found = {0};
    const Attempt failed = {.digest = its->two, .tries = 2, .since = 1000, .failure = (char *)"status 7"};
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(place_begin(its->place, &its->two, 1, 2000, NULL));
    guint before = synced;
    assert_true(place_take_back(its->place, NULL));
    assert_true(synced > before && stands(its, &its->one));
    assert_false(place_begun(its->place, &none));
    assert_true(place_begin(its->place, &its->two, 2, 1000, NULL));
    assert_true(place_fail(its->place, &failed, NULL));
    assert_true(place_begin(its->place, &its->one, 1, 2000, NULL));
    assert_true(place_take_back(its->place, NULL));
    assert_true(place_begun(its->place, &found));
    assert_true(ingot_digest_equal(&found.digest, &its->two) && found.tries == 2);
    assert_string_equal(found.failure, "status 7");
    assert_false(stands(its, &its->one));
    assert_int_equal(g_unlink(place_note(its->place)), 0);
    assert_int_equal(g_mkdir(place_note(its->place), 0700), 0); /* that can't be read is not taken for nothing */
    assert_false(place_begin(its->place, &its->two, 1, 2000, NULL));
    assert_true(place_take_back(its->place, NULL));
    assert_false(stands(its, &its->one));
}

/* The shell was killed between its two steps. */
static void what_ended_well_is_completed(void **state)
{
    const Case *its = *state;
    g_auto(Attempt) begun = {0}, none = {0};
    g_autofree char *text = ingot_digest_to_text(&its->two);
    assert_true(place_complete(its->place, NULL));
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(place_complete(its->place, NULL));
    assert_true(stands(its, &its->one));
    assert_true(place_begin(its->place, &its->two, 1, 1000, NULL));
    assert_true(place_complete(its->place, NULL));
    assert_true(place_begun(its->place, &begun));
    assert_true(g_file_set_contents(place_note(its->place), text, -1, NULL));
    guint before = synced;
    assert_true(place_complete(its->place, NULL));
    assert_true(synced > before && stands(its, &its->two));
    assert_false(place_begun(its->place, &none));
}

/* A command of before that has the turn, until it was waited for so often. */
typedef struct {
    int turn;
    guint waits;
} Other;

static void other_waits(gpointer user)
{
    Other *other = user;
    if (++other->waits == 3) {
        close(other->turn);
    }
}

static void whoever_waits_says_so(void **state)
{
    const Case *its = *state;
    g_autofree char *path = ingot_workdir_file(its->workdir, "running");
    Other other = {.turn = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    assert_int_equal(flock(other.turn, LOCK_EX), 0);
    int turn = place_take_turn(its->place, 1, other_waits, &other, NULL);
    assert_true(turn >= 0);
    assert_int_equal(other.waits, 3);
    close(turn);
    turn = place_take_turn(its->place, 1, other_waits, &other, NULL);
    assert_int_equal(other.waits, 3);
    close(turn);
}

/* As the shell marks it; its own sync may not have come. */
static void the_names_last(void **state)
{
    const Case *its = *state;
    g_autofree char *text = ingot_digest_to_text(&its->one);
    assert_true(g_file_set_contents(place_marker(its->place), text, -1, NULL));
    guint before = synced;
    assert_true(place_finish(its->place, &its->one, NULL));
    assert_true(synced > before);
    before = synced;
    assert_true(place_begin(its->place, &its->two, 1, 1000, NULL));
    assert_true(synced > before);
    before = synced;
    assert_true(place_finish(its->place, &its->two, NULL));
    assert_true(synced > before);
}

static void a_folder_keeps_its_id(void **state)
{
    Case *its = *state;
    g_autofree char *id = g_strdup(place_id(its->place)), *path = ingot_workdir_file(its->workdir, "other");
    g_autoptr(Place) other = place_open(path, NULL);
    assert_string_not_equal(place_id(other), id);
    place_free(its->place);
    its->place = place_open(ingot_workdir_path(its->workdir), NULL);
    assert_string_equal(place_id(its->place), id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_begun_stands_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(how_it_failed_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_can_not_be_read_has_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_not_begun_is_taken_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_ended_well_is_completed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_waits_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_names_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_keeps_its_id, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
