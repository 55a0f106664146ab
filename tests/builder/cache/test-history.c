/* What a recipe's history tells of a change. */
#include "sample.h"

#include "cache/history.h"

#define SHELL "[{shell: one, env: {A: '1'}}, {shell: two}]"
#define UPLOAD "[{file: {from: site, to: /srv/}}]"

static const Recipe *recipe_of(const Sample *sample)
{
    return g_ptr_array_index(sample->recipes, sample->recipes->len - 1);
}

/* A build of a recipe with these steps. */
static void build(Sample *sample, const char *steps)
{
    g_autoptr(Plan) plan = sample_plan(sample, steps);
    assert_true(history_save(sample->cache, recipe_of(sample), plan, NULL));
}

/* What the next build would be told of a stage; NULL: nothing. */
static void expect_change(Sample *sample, const char *steps, guint stage, const char *expected)
{
    g_autoptr(Plan) plan = sample_plan(sample, steps);
    g_autoptr(History) history = history_load(sample->cache, recipe_of(sample));
    g_autofree char *change = history_change(history, plan, stage);
    if (g_strcmp0(change, expected) != 0) {
        fail_msg("'%s' instead of '%s'", change, expected);
    }
}

static void nothing_changed(void **state)
{
    build(*state, SHELL);
    for (guint stage = 0; stage < 3; stage++) {
        expect_change(*state, SHELL, stage, NULL);
    }
}

static void a_recipe_that_was_not_built(void **state)
{
    expect_change(*state, SHELL, 0, "not built here before");
    expect_change(*state, SHELL, 1, "not built here before");
}

static void another_recipes_history_is_not_taken(void **state)
{
    Sample *sample = *state;
    build(sample, SHELL);
    Recipe other = *recipe_of(sample);
    other.path = (char *)"other.yaml";
    g_autoptr(History) history = history_load(sample->cache, &other);
    assert_null(history);
}

static void a_text_changed(void **state)
{
    build(*state, SHELL);
    expect_change(*state, "[{shell: One, env: {A: '1'}}, {shell: two}]", 1, "script changed");
    expect_change(*state, "[{shell: One, env: {A: '1'}}, {shell: two}]", 2, NULL);
    expect_change(*state, "[{shell: One, env: {A: '2'}}, {shell: two}]", 1, "script changed, env changed");
}

static void an_input_is_new_or_has_gone(void **state)
{
    build(*state, SHELL);
    expect_change(*state, "[{shell: one, env: {A: '1'}, workdir: /srv}, {shell: two}]", 1, "workdir is new");
    build(*state, "[{shell: one, env: {A: '1'}, workdir: /srv}, {shell: two}]");
    expect_change(*state, SHELL, 1, "workdir is gone");
}

static void a_step_was_added(void **state)
{
    build(*state, SHELL);
    expect_change(*state, "[{shell: one, env: {A: '1'}}, {shell: two}, {shell: three}]", 3, "a new step");
}

static void files_are_named(void **state)
{
    Sample *sample = *state;
    g_autofree char *gone = sample_path(sample, "site/gone");
    sample_write(sample, "site/index.html", "hello");
    sample_write(sample, "site/gone", "");
    build(sample, UPLOAD);
    expect_change(sample, UPLOAD, 1, NULL);
    sample_write(sample, "site/index.html", "hellO");
    expect_change(sample, UPLOAD, 1, "file site/index.html changed");
    sample_write(sample, "site/new", "");
    assert_int_equal(g_remove(gone), 0);
    expect_change(sample, UPLOAD, 1, "file site/index.html changed, file site/new is new, file site/gone is gone");
}

static void more_than_three_are_counted(void **state)
{
    static const char *const names[] = {"site/1", "site/2", "site/3", "site/4", "site/5"};
    static const char *const expected[] = {"file site/1 changed", "file site/1 changed, file site/2 changed",
                                           "file site/1 changed, file site/2 changed, file site/3 changed",
                                           "file site/1 changed, file site/2 changed, file site/3 changed and 1 more",
                                           "file site/1 changed, file site/2 changed, file site/3 changed and 2 more"};
    Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        sample_write(sample, names[i], "before");
    }
    build(sample, UPLOAD);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        sample_write(sample, names[i], "after");
        expect_change(sample, UPLOAD, 1, expected[i]);
    }
}

static void the_newest_build_counts(void **state)
{
    build(*state, SHELL);
    build(*state, "[{shell: other}]");
    expect_change(*state, "[{shell: other}]", 1, NULL);
    expect_change(*state, SHELL, 2, "a new step");
}

static void a_broken_record_is_none(void **state)
{
    static const char *const texts[] = {"", "{", "{\"stages\":[]}", "{\"stages\":[],\"version\":1000}"};
    Sample *sample = *state;
    build(sample, SHELL);
    g_autofree char *recipe = sample_path(sample, "web.yaml");
    g_autofree char *hex = g_compute_checksum_for_string(G_CHECKSUM_SHA256, recipe, -1);
    g_autofree char *name = g_strdup_printf("cache/plans/%s.json", hex);
    g_autofree char *path = sample_path(sample, name);
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        sample_write(sample, name, texts[i]);
        expect_change(sample, SHELL, 1, "not built here before");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(nothing_changed),
        SAMPLE_TEST(a_recipe_that_was_not_built),
        SAMPLE_TEST(another_recipes_history_is_not_taken),
        SAMPLE_TEST(a_text_changed),
        SAMPLE_TEST(an_input_is_new_or_has_gone),
        SAMPLE_TEST(a_step_was_added),
        SAMPLE_TEST(files_are_named),
        SAMPLE_TEST(more_than_three_are_counted),
        SAMPLE_TEST(the_newest_build_counts),
        SAMPLE_TEST(a_broken_record_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
