/* Keys of a plan: one input changed is a miss from exactly that step on. */
#include <ingot/file.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "plan/plan.h"

#define STEPS 4

typedef struct {
    char *folder;
    char *file;
    json_t *tree;
    GPtrArray *secrets;
    char *source;
} Fixture;

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->folder = g_dir_make_tmp("test-plan.XXXXXX", NULL);
    f->file = g_build_filename(f->folder, "site.html", NULL);
    assert_true(g_file_set_contents(f->file, "hello", 5, NULL));
    f->tree =
        json_pack("{s:{s:i, s:i, s:i, s:s}, s:[{s:s, s:s}, {s:s, s:s, s:s, s:s}, {s:s, s:s}, {s:s, s:s}], s:s}",
                  "machine", "cpus", 2, "memory", 1 << 30, "disk", 0, "firmware", "bios", "steps", "kind", "shell",
                  "script", "apt-get update", "kind", "file", "from", f->file, "to", "/srv/", "direction", "up", "kind",
                  "shell", "script", "true", "kind", "shell", "script", "false", "name", "web");
    f->secrets = g_ptr_array_new();
    f->source = g_strdup("source");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    ingot_file_remove_tree(f->folder, NULL);
    g_free(f->folder);
    g_free(f->file);
    g_free(f->source);
    json_decref(f->tree);
    g_ptr_array_unref(f->secrets);
    g_free(f);
    return 0;
}

static Plan *plan_of(const Fixture *f)
{
    Recipe recipe = {.path = (char *)"r.yaml",
                     .folder = f->folder,
                     .text = (char *)"",
                     .name = (char *)"web",
                     .tree = f->tree,
                     .public_tree = f->tree,
                     .secrets = f->secrets};
    GError *error = NULL;
    Plan *plan = plan_new(&recipe, f->source, &error);
    if (plan == NULL) {
        fail_msg("%s", error->message);
    }
    return plan;
}

/* Steps before `first` keep their keys; that one, all after it and the image get others. */
static void expect_miss_from(const Plan *before, const Fixture *f, guint first)
{
    g_autoptr(Plan) after = plan_of(f);
    for (guint i = 0; i < STEPS; i++) {
        const PlanStep *a = g_ptr_array_index(before->steps, i);
        const PlanStep *b = g_ptr_array_index(after->steps, i);
        assert_int_equal(ingot_digest_equal(&a->key, &b->key), i < first);
    }
    assert_false(ingot_digest_equal(&before->image, &after->image));
}

static json_t *step(const Fixture *f, size_t i)
{
    return json_array_get(json_object_get(f->tree, "steps"), i);
}

static void same_input_same_keys(void **state)
{
    g_autoptr(Plan) a = plan_of(*state);
    g_autoptr(Plan) b = plan_of(*state);
    assert_true(ingot_digest_equal(&a->image, &b->image));
}

static void text_of_a_step(void **state)
{
    g_autoptr(Plan) before = plan_of(*state);
    json_object_set_new(step(*state, 2), "script", json_string("true "));
    expect_miss_from(before, *state, 2);
}

static void byte_of_a_file(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    assert_true(g_file_set_contents(f->file, "hellO", 5, NULL));
    expect_miss_from(before, f, 1);
}

static void mode_of_a_file(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    assert_int_equal(chmod(f->file, 0755), 0);
    expect_miss_from(before, f, 1);
}

static void memory_of_the_machine(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    json_object_set_new(json_object_get(f->tree, "machine"), "memory", json_integer(2 << 20));
    expect_miss_from(before, f, 0);
}

static void another_source(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    g_free(f->source);
    f->source = g_strdup("other");
    expect_miss_from(before, f, 0);
}

static void a_secret(void **state)
{
    Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    g_ptr_array_add(f->secrets, (gpointer) "hunter2");
    expect_miss_from(before, f, 0);
}

static void order_of_steps(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Plan) before = plan_of(f);
    json_t *steps = json_object_get(f->tree, "steps");
    json_t *last = json_incref(json_array_get(steps, 3));
    json_array_remove(steps, 3);
    json_array_insert_new(steps, 2, last);
    expect_miss_from(before, f, 2);
}

static void a_missing_file_is_an_error(void **state)
{
    const Fixture *f = *state;
    json_object_set_new(step(f, 1), "from", json_string("/nonexistent/file"));
    Recipe recipe = {.folder = f->folder, .tree = f->tree, .public_tree = f->tree, .secrets = f->secrets};
    g_autoptr(GError) error = NULL;
    assert_null(plan_new(&recipe, "source", &error));
    assert_non_null(strstr(error->message, "/nonexistent/file"));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(same_input_same_keys),       CASE(text_of_a_step), CASE(byte_of_a_file), CASE(mode_of_a_file),
        CASE(memory_of_the_machine),      CASE(another_source), CASE(a_secret),       CASE(order_of_steps),
        CASE(a_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
