/* Recipes on recipes: loaded parents first, built in that order, as many at once as allowed. */
#include "../recipe/folder.h"

#include <glib/gstdio.h>

#include "graph/graph.h"

/* A recipe NAME.yaml on another one; parent NULL: on none. more: lines to add. */
static void write_recipe(const char *name, const char *parent, const char *more)
{
    g_autofree char *file = g_strconcat(name, ".yaml", NULL);
    g_autofree char *source =
        parent == NULL ? g_strdup("{from: debian}") : g_strdup_printf("{recipe: %s.yaml}", parent);
    g_autofree char *text = g_strdup_printf("name: %s\nsource: %s\n%s\n", name, source, more);
    g_autofree char *path = write_file(file, text);
}

static void write_small(const char *name, const char *parent)
{
    write_recipe(name, parent, "machine: {memory: 64M}");
}

static Graph *load_with(const char *names, const char *variable, GError **error)
{
    g_autoptr(GPtrArray) paths = paths_of(names);
    const char *const vars[] = {variable, NULL};
    const RecipeInputs inputs = {.vars = vars};
    return graph_load(paths, &inputs, error);
}

static Graph *load(const char *names)
{
    g_autoptr(GError) error = NULL;
    Graph *graph = load_with(names, NULL, &error);
    if (graph == NULL) {
        fail_msg("%s", error->message);
    }
    return graph;
}

static GraphRecipe *at(const Graph *graph, guint i)
{
    return g_ptr_array_index(graph->recipes, i);
}

static GraphRecipe *find(const Graph *graph, const char *name)
{
    for (guint i = 0; i < graph->recipes->len; i++) {
        if (strcmp(at(graph, i)->recipe->name, name) == 0) {
            return at(graph, i);
        }
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static void expect_order(const Graph *graph, const char *expected)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < graph->recipes->len; i++) {
        g_string_append_printf(names, "%s%s", i > 0 ? " " : "", at(graph, i)->recipe->name);
    }
    assert_string_equal(names->str, expected);
}

static void expect_invalid(const char *names, const char *const *mentioned)
{
    g_autoptr(GError) error = NULL;
    assert_null(load_with(names, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    for (guint i = 0; mentioned[i] != NULL; i++) {
        if (strstr(error->message, mentioned[i]) == NULL) {
            fail_msg("'%s' is not in '%s'", mentioned[i], error->message);
        }
    }
}

/* --- loading --- */

static void parents_come_first_and_once(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_small("middle", "base");
    write_small("one", "middle");
    write_small("two", "middle");
    g_autoptr(Graph) graph = load("two one");
    expect_order(graph, "base middle two one");
    assert_null(at(graph, 0)->parent);
    assert_ptr_equal(at(graph, 1)->parent, at(graph, 0));
    assert_ptr_equal(at(graph, 2)->parent, at(graph, 1));
    assert_ptr_equal(at(graph, 3)->parent, at(graph, 1));
    assert_true(g_path_is_absolute(at(graph, 0)->path));
    assert_true(g_str_has_suffix(at(graph, 0)->path, "/base.yaml"));
}

static void what_was_asked_for_is_known(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_small("web", "base");
    g_autoptr(Graph) graph = load("web"), both = load("web base web");
    assert_false(find(graph, "base")->asked_for);
    assert_true(find(graph, "web")->asked_for);
    expect_order(both, "base web");
    assert_true(find(both, "base")->asked_for);
}

static void a_cycle_is_named(void **state)
{
    static const char *const mentioned[] = {"two.yaml:2:", "based on itself: one.yaml → ", NULL};
    (void)state;
    write_small("one", "three");
    write_small("two", "one");
    write_small("three", "two");
    expect_invalid("one", mentioned);
}

static void a_recipe_on_itself_is_named(void **state)
{
    static const char *const mentioned[] = {"/self.yaml", "based on itself", NULL};
    (void)state;
    write_small("self", "self");
    expect_invalid("self", mentioned);
}

static void a_missing_parent_is_named(void **state)
{
    static const char *const mentioned[] = {"/web.yaml:2:", "/nowhere.yaml", NULL};
    (void)state;
    write_small("web", "nowhere");
    expect_invalid("web", mentioned);
}

static void all_mistakes_are_told_at_once(void **state)
{
    static const char *const mentioned[] = {"/base.yaml:3:", "/other.yaml:3:", "/third.yaml", NULL};
    (void)state;
    write_recipe("base", NULL, "stepps: []");
    write_small("web", "base");
    write_recipe("other", NULL, "sealed: {}");
    expect_invalid("web other third", mentioned);
}

static void a_mistake_of_a_parent_is_told_once(void **state)
{
    (void)state;
    write_recipe("base", NULL, "stepps: []");
    write_small("one", "base");
    write_small("two", "base");
    g_autoptr(GError) error = NULL;
    assert_null(load_with("one two base", NULL, &error));
    const char *first = strstr(error->message, "'stepps'");
    assert_non_null(first);
    assert_null(strstr(first + 1, "'stepps'"));
}

static void a_folder_means_all_in_it(void **state)
{
    (void)state;
    g_autofree char *old = g_build_filename(folder, "c.yaml", NULL), *new = g_build_filename(folder, "c.yml", NULL);
    g_autofree char *note = g_build_filename(folder, "a.txt", NULL);
    write_small("d", NULL);
    write_small("c", NULL);
    write_small("b", "d");
    write_small("a", NULL);
    assert_int_equal(g_rename(old, new), 0);
    assert_true(g_file_set_contents(note, "no recipe", -1, NULL));
    g_autoptr(Graph) graph = load("");
    expect_order(graph, "a d b c");
    assert_true(find(graph, "d")->asked_for);
}

static void a_folder_without_recipes_is_a_mistake(void **state)
{
    static const char *const mentioned[] = {"no *.yaml", NULL};
    (void)state;
    expect_invalid("", mentioned);
}

static void variables_are_for_what_was_asked_for(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_recipe("web", "base", "variables: {colour: red}\ndescription: ${colour}");
    g_autoptr(Graph) graph = load_with("web", "colour=blue", NULL);
    assert_non_null(graph);
    const json_t *description = json_object_get(find(graph, "web")->recipe->tree, "description");
    assert_string_equal(json_string_value(description), "blue");
    g_autoptr(GError) error = NULL;
    assert_null(load_with("base", "colour=blue", &error));
    assert_null(load_with("web", "colur=blue", NULL));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

static void a_parent_takes_the_variables_that_it_has(void **state)
{
    (void)state;
    write_recipe("base", NULL, "variables: {colour: red}\ndescription: ${colour}");
    write_recipe("web", "base", "variables: {colour: red}");
    g_autoptr(Graph) graph = load_with("web", "colour=blue", NULL);
    const json_t *description = json_object_get(find(graph, "base")->recipe->tree, "description");
    assert_string_equal(json_string_value(description), "blue");
}

/* --- running --- */

#define PATIENCE (G_USEC_PER_SEC / 5) /* for others to start, where they may */

typedef struct {
    const char *failing; /* name of the recipe that fails */
    gboolean fail_fast;
    guint wanted; /* builds that wait for each other */
    GMutex lock;
    GCond changed;
    GString *order; /* names, as they began */
    guint running, most;
    gboolean early; /* one began before its parent had ended */
    GThread *thread;
} Builder;

static gboolean build(GraphRecipe *one, IngotProgress *progress, gpointer user, GError **error)
{
    Builder *builder = user;
    (void)progress;
    g_mutex_lock(&builder->lock);
    g_string_append_printf(builder->order, "%s%s", builder->order->len > 0 ? " " : "", one->recipe->name);
    builder->early |= one->parent != NULL && one->parent->state != GRAPH_DONE;
    builder->thread = g_thread_self();
    builder->running++;
    builder->most = MAX(builder->most, builder->running);
    g_cond_broadcast(&builder->changed);
    gint64 end = g_get_monotonic_time() + PATIENCE;
    while (builder->most < builder->wanted && g_cond_wait_until(&builder->changed, &builder->lock, end)) {
    }
    builder->running--;
    g_mutex_unlock(&builder->lock);
    if (g_strcmp0(builder->failing, one->recipe->name) == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "it is cursed");
        return FALSE;
    }
    return TRUE;
}

static gboolean run(Graph *graph, guint jobs, Builder *builder, GError **error)
{
    builder->order = g_string_new(NULL);
    return graph_run(graph, &(GraphOptions){.jobs = jobs, .fail_fast = builder->fail_fast}, NULL, build, builder,
                     error);
}

static void clear(Builder *builder)
{
    g_string_free(builder->order, TRUE);
    g_mutex_clear(&builder->lock);
    g_cond_clear(&builder->changed);
}

static void one_job_runs_in_order_in_this_thread(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_small("one", "base");
    write_small("two", "base");
    g_autoptr(Graph) graph = load("one two");
    Builder builder = {0};
    assert_true(run(graph, 1, &builder, NULL));
    assert_string_equal(builder.order->str, "base one two");
    assert_ptr_equal(builder.thread, g_thread_self());
    assert_false(builder.early);
    for (guint i = 0; i < graph->recipes->len; i++) {
        assert_int_equal(at(graph, i)->state, GRAPH_DONE);
    }
    clear(&builder);
}

/* Recipes on none, each named by a letter. */
static Graph *letters(const char *names)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; names[i] != '\0'; i++) {
        const char name[] = {names[i], '\0'};
        write_small(name, NULL);
        g_string_append_printf(list, "%s%s", i > 0 ? " " : "", name);
    }
    return load(list->str);
}

static void never_more_than_its_jobs_at_once(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = letters("abcdef");
    for (guint jobs = 1; jobs <= 3; jobs++) {
        /* One more than may be: all wait for it in vain. */
        Builder builder = {.wanted = jobs + 1};
        assert_true(run(graph, jobs, &builder, NULL));
        assert_int_equal(builder.most, jobs);
        clear(&builder);
        for (guint i = 0; i < graph->recipes->len; i++) {
            at(graph, i)->state = GRAPH_WAITING;
        }
    }
}

static void children_wait_for_their_parent(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_small("one", "base");
    write_small("two", "base");
    write_small("three", "two");
    g_autoptr(Graph) graph = load("one two three");
    Builder builder = {.wanted = 2};
    assert_true(run(graph, 4, &builder, NULL));
    assert_false(builder.early);
    assert_true(g_str_has_prefix(builder.order->str, "base "));
    assert_int_equal(builder.most, 2);
    assert_ptr_not_equal(builder.thread, g_thread_self());
    clear(&builder);
}

/* However much the first one gives back. */
static void a_machine_larger_than_the_host_runs_alone(void **state)
{
    (void)state;
    write_recipe("a", NULL, "machine: {memory: 64T}");
    write_recipe("b", NULL, "machine: {memory: 16T}");
    write_recipe("c", NULL, "machine: {memory: 16T}");
    g_autoptr(Graph) graph = load("a b c");
    Builder builder = {.wanted = 2};
    assert_true(run(graph, 3, &builder, NULL));
    assert_int_equal(builder.most, 1);
    clear(&builder);
}

static void a_failure_takes_what_is_based_on_it(void **state)
{
    (void)state;
    write_small("base", NULL);
    write_small("child", "base");
    write_small("grandchild", "child");
    write_small("other", NULL);
    for (guint jobs = 1; jobs <= 2; jobs++) {
        g_autoptr(Graph) graph = load("grandchild other");
        g_autoptr(GError) error = NULL;
        Builder builder = {.failing = "base"};
        assert_false(run(graph, jobs, &builder, &error));
        assert_null(strstr(builder.order->str, "child"));
        assert_int_equal(find(graph, "base")->state, GRAPH_FAILED);
        assert_int_equal(find(graph, "child")->state, GRAPH_SKIPPED);
        assert_int_equal(find(graph, "grandchild")->state, GRAPH_SKIPPED);
        assert_int_equal(find(graph, "other")->state, GRAPH_DONE);
        assert_string_equal(find(graph, "base")->error->message, "it is cursed");
        assert_non_null(strstr(error->message, "3 of 4 recipes"));
        clear(&builder);
    }
}

static void a_failure_ends_all_where_that_is_asked_for(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = letters("abc");
    Builder builder = {.failing = "a", .fail_fast = TRUE};
    assert_false(run(graph, 1, &builder, NULL));
    assert_string_equal(builder.order->str, "a");
    assert_int_equal(at(graph, 1)->state, GRAPH_SKIPPED);
    assert_int_equal(at(graph, 2)->state, GRAPH_SKIPPED);
    assert_string_equal(at(graph, 0)->message, "it is cursed");
    clear(&builder);
}

static void a_failure_alone_is_told_as_it_is(void **state)
{
    (void)state;
    for (guint jobs = 1; jobs <= 2; jobs++) {
        g_autoptr(Graph) graph = letters("abc");
        g_autoptr(GError) error = NULL;
        Builder builder = {.failing = "b"};
        assert_false(run(graph, jobs, &builder, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "/b.yaml: it is cursed"));
        assert_int_equal(find(graph, "a")->state, GRAPH_DONE);
        assert_int_equal(find(graph, "c")->state, GRAPH_DONE);
        clear(&builder);
    }
}

static void two_images_of_one_name_are_refused(void **state)
{
    static const char *const mores[] = {"", "version: 1.0.0"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(mores); i++) {
        g_autofree char *path = g_build_filename(folder, "b.yaml", NULL);
        g_autofree char *text = g_strdup_printf("name: a\nsource: {recipe: a.yaml}\n%s\n", mores[i]);
        g_autoptr(GError) error = NULL;
        write_recipe("a", NULL, mores[i]);
        assert_true(g_file_set_contents(path, text, -1, NULL));
        g_autoptr(Graph) graph = load_with("b", NULL, &error);
        assert_non_null(graph);
        assert_true(graph_refuse_twins(graph, "a:2.0.0", NULL)); /* by -t */
        assert_false(graph_refuse_twins(graph, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "/a.yaml"));
        assert_non_null(strstr(error->message, "/b.yaml"));
        assert_non_null(strstr(error->message, i == 0 ? "a:latest" : "a:1.0.0"));
    }
}

static void other_versions_of_a_name_are_fine(void **state)
{
    (void)state;
    g_autofree char *path = g_build_filename(folder, "b.yaml", NULL);
    write_recipe("a", NULL, "version: 1.0.0");
    assert_true(g_file_set_contents(path, "name: a\nsource: {recipe: a.yaml}\nversion: 1.0.1\n", -1, NULL));
    g_autoptr(Graph) graph = load_with("b", NULL, NULL);
    assert_non_null(graph);
    assert_true(graph_refuse_twins(graph, NULL, NULL));
}

/* What a command is about that takes one recipe: not the parent, and not one of many. */
static void one_recipe_is_not_several(void **state)
{
    (void)state;
    write_small("a", NULL);
    write_small("b", "a");
    g_autoptr(Graph) one = load("b"), both = load("");
    g_autoptr(GError) error = NULL;
    const GraphRecipe *only = graph_only(one, NULL);
    assert_true(only->asked_for);
    assert_string_equal(only->recipe->name, "b");
    assert_null(graph_only(both, &error));
    assert_non_null(strstr(error->message, "a.yaml"));
    assert_non_null(strstr(error->message, "b.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_recipe_is_not_several),
        TEST(parents_come_first_and_once),
        TEST(what_was_asked_for_is_known),
        TEST(a_cycle_is_named),
        TEST(a_recipe_on_itself_is_named),
        TEST(a_missing_parent_is_named),
        TEST(all_mistakes_are_told_at_once),
        TEST(a_mistake_of_a_parent_is_told_once),
        TEST(a_folder_means_all_in_it),
        TEST(a_folder_without_recipes_is_a_mistake),
        TEST(variables_are_for_what_was_asked_for),
        TEST(a_parent_takes_the_variables_that_it_has),
        TEST(one_job_runs_in_order_in_this_thread),
        TEST(never_more_than_its_jobs_at_once),
        TEST(children_wait_for_their_parent),
        TEST(a_machine_larger_than_the_host_runs_alone),
        TEST(a_failure_takes_what_is_based_on_it),
        TEST(a_failure_ends_all_where_that_is_asked_for),
        TEST(a_failure_alone_is_told_as_it_is),
        TEST(two_images_of_one_name_are_refused),
        TEST(other_versions_of_a_name_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
