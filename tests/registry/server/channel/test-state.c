/* States of a digest: what counts when, and what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "server/channel/state.h"

/* The body with one more word, in place of the one before. */
static json_t *add(json_t *body, Lifecycle state, gint64 from)
{
    g_autoptr(json_t) said = lifecycle_say(state, "why", "alice", 100, from);
    json_t *next = state_add(body, said, 100);
    json_decref(body);
    return next;
}

/* The same, as another registry says it now. */
static json_t *hear(json_t *body, Lifecycle state, gint64 from, gint64 now)
{
    g_autoptr(json_t) there = lifecycle_say(state, "there", "bob", 100, from);
    g_autoptr(json_t) said = state_mirror(body, state == LIFECYCLE_ACTIVE ? NULL : there, now);
    json_t *next = said == NULL ? json_incref(body) : state_add(body, said, now);
    json_decref(body);
    return next;
}

static size_t words_of(const json_t *body)
{
    return json_array_size(json_object_get(body, "said"));
}

static Lifecycle at(const json_t *body, gint64 now)
{
    return lifecycle_of(state_now(body, now));
}

static void test_what_counts(void **state)
{
    (void)state;
    assert_null(state_now(NULL, 100));
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_DEPRECATED, 100);
    body = add(body, LIFECYCLE_REVOKED, 500);
    assert_int_equal(at(body, 99), LIFECYCLE_ACTIVE);
    assert_int_equal(at(body, 100), LIFECYCLE_DEPRECATED);
    assert_int_equal(at(body, 499), LIFECYCLE_DEPRECATED);
    assert_int_equal(lifecycle_of(state_next(body, 499)), LIFECYCLE_REVOKED);
    assert_int_equal(at(body, 500), LIFECYCLE_REVOKED);
    assert_null(state_next(body, 500));
    assert_true(lifecycle_withholds(state_now(body, 500)));
    assert_false(lifecycle_withholds(state_now(body, 499)));
}

static void test_restored(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_REVOKED, 100);
    body = add(body, LIFECYCLE_ACTIVE, 200);
    assert_int_equal(at(body, 150), LIFECYCLE_REVOKED);
    assert_null(state_now(body, 200));
    assert_int_equal(json_array_size(json_object_get(body, "said")), 2); /* for ever */
    body = add(body, LIFECYCLE_REVOKED, 900);
    body = add(body, LIFECYCLE_ACTIVE, 300); /* takes back what has not begun */
    assert_null(state_now(body, 1000));
    assert_null(state_next(body, 300));
}

static void test_next_is_the_nearest(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_DISABLED, 300);
    body = add(body, LIFECYCLE_REVOKED, 500);
    assert_int_equal(lifecycle_of(state_next(body, 0)), LIFECYCLE_DISABLED);
    assert_int_equal(at(body, 400), LIFECYCLE_DISABLED);
    assert_int_equal(lifecycle_of(state_next(body, 400)), LIFECYCLE_REVOKED);
}

static void test_bound(void **state)
{
    (void)state;
    g_autoptr(json_t) body = NULL;
    for (gint64 i = 0; i < 2 * STATES_MOST; i++) {
        body = add(body, LIFECYCLE_DEPRECATED, i);
    }
    body = add(body, LIFECYCLE_REVOKED, 1000);
    assert_int_equal(json_array_size(json_object_get(body, "said")), STATES_MOST);
    assert_int_equal(at(body, 1000), LIFECYCLE_REVOKED);
    json_t *broken = json_pack("{s:s}", "said", "nothing");
    assert_null(state_now(broken, 1000));
    broken = add(broken, LIFECYCLE_REVOKED, 5);
    assert_int_equal(at(broken, 5), LIFECYCLE_REVOKED);
    json_decref(broken);
}

/* Neither side takes back what the other has said. */
static void test_the_stricter_side_counts(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_REVOKED, 100);
    body = hear(body, LIFECYCLE_DEPRECATED, 150, 200);
    assert_int_equal(at(body, 200), LIFECYCLE_REVOKED);
    assert_false(json_is_true(json_object_get(state_now(body, 200), "mirrored")));
    body = hear(body, LIFECYCLE_ACTIVE, 0, 300);
    assert_int_equal(at(body, 300), LIFECYCLE_REVOKED);
    body = hear(body, LIFECYCLE_REVOKED, 350, 400);
    body = add(body, LIFECYCLE_ACTIVE, 500);
    assert_int_equal(at(body, 500), LIFECYCLE_REVOKED);
    assert_true(json_is_true(json_object_get(state_now(body, 500), "mirrored")));
    body = hear(body, LIFECYCLE_ACTIVE, 0, 600);
    assert_null(state_now(body, 600));
    body = hear(body, LIFECYCLE_DISABLED, 650, 700);
    body = add(body, LIFECYCLE_REVOKED, 900);
    assert_int_equal(at(body, 700), LIFECYCLE_DISABLED);
    assert_int_equal(lifecycle_of(state_next(body, 700)), LIFECYCLE_REVOKED);
    assert_int_equal(at(body, 900), LIFECYCLE_REVOKED);
    assert_int_equal(words_of(body), 8);
}

/* What another registry says again and again is noted once, whatever its clock says. */
static void test_heard_once(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_REVOKED, 100);
    g_autoptr(json_t) active = lifecycle_say(LIFECYCLE_ACTIVE, NULL, "bob", 100, 100);
    assert_null(state_mirror(body, NULL, 200));
    assert_null(state_mirror(body, active, 200));
    for (gint64 now = 200; now < 200 + 2 * STATES_MOST; now++) {
        body = hear(body, LIFECYCLE_DISABLED, 1000000, now); /* its clock is ahead */
        body = hear(body, LIFECYCLE_DISABLED, 1000000 + now, now);
    }
    assert_int_equal(words_of(body), 2);
    assert_int_equal(at(body, 500), LIFECYCLE_REVOKED);
    assert_null(state_next(body, 500));
    for (gint64 now = 500; now < 500 + 2 * STATES_MOST; now++) {
        body = hear(body, LIFECYCLE_ACTIVE, 0, now);
        body = hear(body, LIFECYCLE_DEPRECATED, now, now);
    }
    assert_int_equal(words_of(body), STATES_MOST + 1);
    assert_int_equal(at(body, 2000), LIFECYCLE_REVOKED); /* no number of words pushes it out */
}

/* Words of the future do not push out the one that counts. */
static void test_what_counts_stays(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_DEPRECATED, 10);
    body = add(body, LIFECYCLE_REVOKED, 50);
    for (gint64 i = 0; i < 2 * STATES_MOST; i++) {
        body = add(body, LIFECYCLE_DEPRECATED, 5000 + i);
    }
    assert_int_equal(words_of(body), STATES_MOST);
    assert_int_equal(at(body, 100), LIFECYCLE_REVOKED);
}

/* The same, as the door has it now: whoever said it may say so everywhere, or not. */
static json_t *add_as(json_t *body, Lifecycle state, gint64 from, gboolean everywhere)
{
    g_autoptr(json_t) said = lifecycle_say(state, "why", "alice", 100, from);
    json_object_set_new(said, "everywhere", json_boolean(everywhere));
    json_t *next = state_add(body, said, 100);
    json_decref(body);
    return next;
}

/* What counts for images whose repositories do not lead to the one that says so. */
static Lifecycle elsewhere(json_t *body, gint64 now)
{
    g_autoptr(json_t) base = json_pack("{s:b, s:b, s:O}", "named", 0, "mirror", 0, "body", body);
    return lifecycle_of(state_of_base(base, now));
}

/* Words of others push out none that was said everywhere, be it one that waits. */
static void test_everywhere_has_its_own_room(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add_as(NULL, LIFECYCLE_DEPRECATED, 50, TRUE);
    body = add_as(body, LIFECYCLE_REVOKED, 500, TRUE);
    for (gint64 i = 0; i < 3 * STATES_MOST; i++) {
        body = add_as(body, LIFECYCLE_ACTIVE, 50 + i, FALSE);
    }
    assert_int_equal(words_of(body), STATES_MOST + 2);
    assert_int_equal(elsewhere(body, 100), LIFECYCLE_DEPRECATED);
    assert_int_equal(elsewhere(body, 500), LIFECYCLE_REVOKED);
    for (gint64 i = 0; i < 2 * STATES_MOST; i++) {
        body = add_as(body, LIFECYCLE_DISABLED, 60, TRUE);
    }
    assert_int_equal(words_of(body), 2 * STATES_MOST);
    assert_int_equal(elsewhere(body, 500), LIFECYCLE_DISABLED);
}

/* A word that will count stays, those go that can't any more. */
static void test_what_will_count_stays(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add_as(NULL, LIFECYCLE_REVOKED, 500, FALSE);
    for (gint64 i = 0; i < 2 * STATES_MOST; i++) {
        body = add_as(body, LIFECYCLE_DEPRECATED, 600, FALSE);
    }
    assert_int_equal(words_of(body), STATES_MOST);
    assert_int_equal(at(body, 500), LIFECYCLE_REVOKED);
    assert_int_equal(at(body, 600), LIFECYCLE_DEPRECATED);
}

/* What an older version has kept counts everywhere, as it did, until another word is said here. */
static void test_old_words(void **state)
{
    (void)state;
    g_autoptr(json_t) body = add(NULL, LIFECYCLE_REVOKED, 50);
    assert_int_equal(elsewhere(body, 100), LIFECYCLE_REVOKED);
    body = hear(body, LIFECYCLE_DEPRECATED, 60, 100);
    assert_int_equal(elsewhere(body, 100), LIFECYCLE_REVOKED);
    body = add_as(body, LIFECYCLE_ACTIVE, 70, FALSE);
    assert_int_equal(elsewhere(body, 100), LIFECYCLE_ACTIVE);
    assert_int_equal(at(body, 100), LIFECYCLE_DEPRECATED); /* there */
    body = add_as(body, LIFECYCLE_REVOKED, 80, FALSE);
    assert_int_equal(elsewhere(body, 100), LIFECYCLE_ACTIVE);
}

static void test_dates(void **state)
{
    (void)state;
    gint64 day, time, zone;
    assert_true(lifecycle_date("2026-11-30", &day, NULL));
    assert_true(lifecycle_date("2026-11-30T05:00:00Z", &time, NULL));
    assert_true(lifecycle_date("2026-11-30T07:00:00+02:00", &zone, NULL));
    assert_int_equal(time - day, 5 * 3600);
    assert_int_equal(time, zone);
    const char *const wrong[] = {"",           "tomorrow",  "2026-13-01",          "2026-11-30T05:00:00",
                                 "20261130",   "2026",      "2026-11-30 05:00:00", "2026-11-30T25:00:00Z",
                                 "1969-01-01", "2026-11-3x"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(lifecycle_date(wrong[i], &day, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

static void test_words(void **state)
{
    (void)state;
    Lifecycle found;
    g_autoptr(GError) error = NULL;
    assert_true(lifecycle_parse("disabled", &found, NULL));
    assert_int_equal(found, LIFECYCLE_DISABLED);
    assert_false(lifecycle_parse("revokd", &found, &error));
    assert_non_null(strstr(error->message, "did you mean 'revoked'?"));
    assert_true(lifecycle_check_reason("CVE-2026-1, fixed in 1.2.3", NULL));
    assert_false(lifecycle_check_reason("two\nlines", NULL));
    assert_false(lifecycle_check_reason("\x1b[31m", NULL));
    g_autofree char *longest = g_strnfill(LIFECYCLE_REASON_MAX, 'x'), *longer = g_strconcat(longest, "x", NULL);
    assert_true(lifecycle_check_reason(longest, NULL));
    assert_false(lifecycle_check_reason(longer, NULL));
}

static void test_from_elsewhere(void **state)
{
    (void)state;
    g_autoptr(json_t) said = lifecycle_say(LIFECYCLE_REVOKED,
                                           "gr\xc3\xb6\xc3\x9f"
                                           "er",
                                           "alice", 0, 86400);
    g_autofree char *text = lifecycle_write(said);
    for (const char *p = text; *p != '\0'; p++) {
        assert_true(*p >= ' ' && *p <= '~');
    }
    g_autoptr(json_t) read = lifecycle_read(text);
    assert_true(json_equal(said, read));
    g_autofree char *told = lifecycle_tell(read);
    assert_string_equal(told, "revoked by alice, from 1970-01-02T00:00:00Z on: gr\xc3\xb6\xc3\x9f"
                              "er");
    assert_null(lifecycle_read("{\"state\":\"gone\"}"));
    assert_null(lifecycle_read("nonsense"));
    assert_null(lifecycle_read("[]"));
    g_autoptr(json_t) wild = lifecycle_read("{\"state\":\"revoked\",\"reason\":\"\\u001b[31mred\\nline\",\"more\":1}");
    assert_non_null(wild);
    assert_null(strchr(json_string_value(json_object_get(wild, "reason")), '\x1b'));
    assert_null(json_object_get(wild, "more"));
    g_autofree char *bare = lifecycle_tell(NULL);
    assert_string_equal(bare, "active");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_counts),
                                       cmocka_unit_test(test_restored),
                                       cmocka_unit_test(test_next_is_the_nearest),
                                       cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_the_stricter_side_counts),
                                       cmocka_unit_test(test_heard_once),
                                       cmocka_unit_test(test_what_counts_stays),
                                       cmocka_unit_test(test_everywhere_has_its_own_room),
                                       cmocka_unit_test(test_what_will_count_stays),
                                       cmocka_unit_test(test_old_words),
                                       cmocka_unit_test(test_dates),
                                       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_from_elsewhere)};
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
