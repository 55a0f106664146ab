/* Fetches: what was found is told to those who wait and kept for nobody else; what is absent is remembered. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "server/mirror/fetches.h"

#define REMEMBER 60 /* seconds */
#define LONG (60 * G_TIME_SPAN_SECOND)

typedef struct {
    gboolean there;
    gint asked, freed; /* atomic */
} Thing;

static gboolean find(gpointer data, char **result, GError **error)
{
    Thing *thing = data;
    g_atomic_int_inc(&thing->asked);
    if (!thing->there) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "not there");
        return FALSE;
    }
    *result = g_strdup("found");
    return TRUE;
}

static void let_go(gpointer data)
{
    g_atomic_int_inc(&((Thing *)data)->freed);
}

/* What has ended holds nothing of what it worked on, be it remembered or not. */
static void wait_until_freed(const Thing *thing, gint times)
{
    for (guint k = 0; k < 1000 && g_atomic_int_get(&thing->freed) < times; k++) {
        g_usleep(10000);
    }
    assert_int_equal(g_atomic_int_get(&thing->freed), times);
}

static void test_a_result_is_not_kept(void **state)
{
    (void)state;
    Thing thing = {.there = TRUE};
    Fetches *fetches = fetches_new(REMEMBER, 4, 8);
    for (gint i = 1; i <= 3; i++) {
        g_autofree char *result = NULL;
        assert_int_equal(fetches_get(fetches, "key", find, &thing, let_go, LONG, &result, NULL, NULL), FETCH_DONE);
        assert_string_equal(result, "found");
        wait_until_freed(&thing, i); /* while the table lives on */
        assert_int_equal(thing.asked, i);
    }
    fetches_free(fetches);
}

static void is_told(gpointer data, gpointer user)
{
    gint *times = user;
    assert_non_null(data);
    ++*times;
}

static void test_what_is_absent_is_remembered(void **state)
{
    (void)state;
    Thing thing = {.there = FALSE};
    gint told = 0;
    Fetches *fetches = fetches_new(REMEMBER, 4, 8);
    for (gint i = 1; i <= 3; i++) {
        assert_int_equal(fetches_get(fetches, "key", find, &thing, let_go, LONG, NULL, is_told, &told), FETCH_ABSENT);
        wait_until_freed(&thing, i);
    }
    assert_int_equal(thing.asked, 1);
    assert_int_equal(told, 1); /* nobody hears of what has ended */
    fetches_free(fetches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_result_is_not_kept),
        cmocka_unit_test(test_what_is_absent_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
