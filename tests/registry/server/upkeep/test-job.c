/* A job as a verb hands it to the server: all that the server needs of it comes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "server/upkeep/job.h"

static void boxes_that_are_mirrored_come_along(void **state)
{
    char *names[] = {"team/web", "other/*", NULL};
    const Job job = {.kind = JOB_BOXES, .from = "https://boxes.example", .boxes = names};
    g_autoptr(json_t) object = job_to_json(&job);
    g_auto(Job) read = {0};
    (void)state;
    assert_true(job_from_json(object, &read, NULL));
    assert_int_equal(read.kind, JOB_BOXES);
    assert_string_equal(read.from, "https://boxes.example");
    assert_int_equal(g_strv_length(read.boxes), 2);
    assert_string_equal(read.boxes[1], "other/*");
}

static void what_lacks_its_place_is_no_job(void **state)
{
    static const struct {
        const char *kind, *from, *pattern;
        gboolean is_job;
    } cases[] = {{"boxes", NULL, NULL, FALSE},         {"boxes", "https://a", NULL, TRUE},
                 {"mirror", "https://a", NULL, FALSE}, {"mirror", NULL, "*", FALSE},
                 {"mirror", "https://a", "*", TRUE},   {"scrub", NULL, NULL, TRUE},
                 {"nothing", NULL, NULL, FALSE}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Job plain = {.kind = JOB_SCRUB};
        g_autoptr(json_t) object = job_to_json(&plain);
        g_auto(Job) read = {0};
        g_autoptr(GError) error = NULL;
        json_object_set_new(object, "kind", json_string(cases[i].kind));
        ingot_json_set_string(object, "from", cases[i].from);
        ingot_json_set_string(object, "pattern", cases[i].pattern);
        assert_int_equal(job_from_json(object, &read, &error), cases[i].is_job);
        assert_int_equal(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID), !cases[i].is_job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(boxes_that_are_mirrored_come_along),
                                       cmocka_unit_test(what_lacks_its_place_is_no_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
