/* The outcome of a build as files and objects: of one that went well, of one that failed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/secrets.h"
#include "cli/outcome.h"
#include "cli/timelimit.h"

static char *folder;

/* A graph of three: built, failed in its second step, and skipped. */
static Graph *graph_new(void)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    static const char *const names[] = {"one", "two", "three"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = g_strconcat(names[i], ".yaml", NULL), *path = g_build_filename(folder, file, NULL);
        g_autofree char *text = g_strdup_printf("name: %s\nsource: {from: y}\n", names[i]);
        assert_true(g_file_set_contents(path, text, -1, NULL));
        g_ptr_array_add(paths, g_steal_pointer(&path));
    }
    const RecipeInputs inputs = {0};
    Graph *graph = graph_load(paths, &inputs, NULL);
    GraphRecipe *one = g_ptr_array_index(graph->recipes, 0), *two = g_ptr_array_index(graph->recipes, 1);
    one->state = GRAPH_DONE;
    one->report = report_new();
    report_step(one->report, "boot", REPORT_CACHED, 20);
    report_step(one->report, "install <nginx>", REPORT_RAN, 1.5);
    one->report->tested = TRUE;
    one->report->suite = g_strdup("  <testsuite name=\"one\"/>\n");
    two->state = GRAPH_FAILED;
    two->report = report_new();
    report_step(two->report, "install", REPORT_FAILED, 3);
    two->message = g_strdup("step 'install': \033[31m<exit>\033[0m\001 with sword\033[1mfish&chips");
    return graph;
}

static int set_up(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-outcome-XXXXXX", NULL);
    ingot_secrets_register("swordfish&chips");
    return folder == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_file_remove_tree(folder, NULL);
    g_clear_pointer(&folder, g_free);
    return 0;
}

/* What outcome_print_json puts on stdout. */
static json_t *printed(const Graph *graph, const GError *failure)
{
    g_autofree char *path = g_build_filename(folder, "out", NULL);
    FILE *file = fopen(path, "w+");
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_true(file != NULL && kept >= 0 && dup2(fileno(file), STDOUT_FILENO) >= 0);
    outcome_print_json(graph, failure);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    fclose(file);
    json_t *value = json_load_file(path, 0, NULL);
    assert_non_null(value);
    return value;
}

static void json_tells_of_a_failure(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    g_autoptr(GError) failure = g_error_new_literal(INGOT_ERROR, INGOT_ERROR_FAILED, "2 of 3 failed");
    g_autoptr(json_t) outcome = printed(graph, failure);
    assert_true(json_is_false(json_object_get(outcome, "ok")));
    const json_t *recipes = json_object_get(outcome, "recipes");
    static const char *const states[] = {"built", "failed", "skipped"};
    for (guint i = 0; i < G_N_ELEMENTS(states); i++) {
        assert_string_equal(json_string_value(json_object_get(json_array_get(recipes, i), "state")), states[i]);
    }
    const json_t *one = json_array_get(recipes, 0), *two = json_array_get(recipes, 1);
    assert_true(json_is_true(json_object_get(one, "tested")));
    assert_non_null(json_object_get(one, "digest"));
    assert_null(json_object_get(two, "digest"));
    assert_string_equal(json_string_value(json_object_get(two, "error")), "step 'install': <exit> with ***");
    const json_t *step = json_array_get(json_object_get(one, "steps"), 0);
    assert_true(json_is_true(json_object_get(step, "cached")));
    assert_string_equal(json_string_value(json_object_get(step, "title")), "boot");
}

/* No image is made of a recipe that is only checked, and that of an earlier build is not its outcome. */
static void json_tells_of_a_check(void **state)
{
    (void)state;
    for (guint cached = 0; cached < 2; cached++) {
        g_autoptr(Graph) graph = graph_new();
        GraphRecipe *one = g_ptr_array_index(graph->recipes, 0);
        one->checked_only = TRUE;
        one->cached = cached;
        g_autoptr(json_t) outcome = printed(graph, NULL);
        const json_t *entry = json_array_get(json_object_get(outcome, "recipes"), 0);
        assert_string_equal(json_string_value(json_object_get(entry, "state")), "checked");
        assert_int_equal(json_is_true(json_object_get(entry, "cached")), cached);
        assert_null(json_object_get(entry, "digest"));
    }
}

static void junit_tells_of_a_failure(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    g_autofree char *path = g_build_filename(folder, "junit.xml", NULL), *text = NULL;
    assert_true(outcome_write_junit(graph, path, NULL));
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_non_null(strstr(text, "<testsuite name=\"one\"/>"));
    assert_non_null(strstr(text, "<error message=\"step &apos;install&apos;: &lt;exit&gt; with ***\"/>"));
    assert_non_null(strstr(text, "<testsuite name=\"three\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\">"));
    assert_null(strstr(text, "swordfish"));
    assert_null(strstr(text, "&#x"));
    g_autofree char *below = g_build_filename(path, "below", NULL);
    g_autoptr(GError) error = NULL;
    assert_false(outcome_write_junit(graph, below, &error));
    assert_non_null(error);
}

/* Packing comes after the tests: they passed, the build did not. */
static void junit_tells_of_a_failure_after_the_tests(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    GraphRecipe *one = g_ptr_array_index(graph->recipes, 0);
    one->state = GRAPH_FAILED;
    one->message = g_strdup("pack: no space left");
    for (guint failures = 0; failures < 2; failures++) {
        g_autofree char *path = g_build_filename(folder, "junit.xml", NULL), *text = NULL;
        one->report->failures = failures;
        assert_true(outcome_write_junit(graph, path, NULL));
        assert_true(g_file_get_contents(path, &text, NULL, NULL));
        assert_non_null(strstr(text, "<testsuite name=\"one\"/>"));
        assert_true((strstr(text, "<error message=\"pack: no space left\"/>") != NULL) == (failures == 0));
    }
}

static void expect_whole(const char *text)
{
    assert_true(g_str_has_prefix(text, "<?xml"));
    assert_non_null(strstr(text, "</testsuites>"));
}

/* A link stays one, as /dev/stdout is, and what it leads to gets the text; a pipe and a device stay what they are.
 */
static void junit_is_written_to_what_is_no_plain_file(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    g_autofree char *link = g_build_filename(folder, "link", NULL), *file = g_build_filename(folder, "file", NULL);
    g_autofree char *null = g_build_filename(folder, "null", NULL), *linked = NULL;
    struct stat is;
    assert_int_equal(symlink("file", link), 0);
    assert_true(outcome_write_junit(graph, link, NULL) && outcome_write_junit(graph, link, NULL));
    assert_true(lstat(link, &is) == 0 && S_ISLNK(is.st_mode));
    assert_true(g_file_get_contents(file, &linked, NULL, NULL));
    expect_whole(linked);
    assert_int_equal(symlink("/dev/null", null), 0);
    assert_true(outcome_write_junit(graph, null, NULL));
    assert_true(lstat(null, &is) == 0 && S_ISLNK(is.st_mode));
    assert_true(stat("/dev/null", &is) == 0 && S_ISCHR(is.st_mode));
}

static void junit_goes_through_a_pipe(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    g_autofree char *pipe = g_build_filename(folder, "pipe", NULL);
    struct stat is;
    char text[16384] = "";
    assert_int_equal(mkfifo(pipe, 0600), 0);
    int fd = open(pipe, O_RDONLY | O_NONBLOCK);
    assert_true(outcome_write_junit(graph, pipe, NULL));
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    expect_whole(text);
    assert_true(lstat(pipe, &is) == 0 && S_ISFIFO(is.st_mode));
}

/* A stdout that is a file keeps what is printed before and after. */
static void junit_and_stdout_share_a_file(void **state)
{
    (void)state;
    g_autoptr(Graph) graph = graph_new();
    g_autofree char *out = g_build_filename(folder, "out", NULL), *name = g_build_filename(folder, "stdout", NULL);
    g_autofree char *text = NULL;
    assert_int_equal(symlink("out", name), 0);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), fd = open(out, O_WRONLY | O_CREAT, 0600);
    assert_true(kept >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    printf("before\n");
    gboolean ok = outcome_write_junit(graph, name, NULL);
    printf("after\n");
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(fd);
    assert_true(ok && g_file_get_contents(out, &text, NULL, NULL));
    assert_true(g_str_has_prefix(text, "before\n<?xml") && g_str_has_suffix(text, "\nafter\n"));
}

static void a_time_limit_interrupts_in_words(void **state)
{
    (void)state;
    g_autoptr(GError) wrong = NULL, over = NULL;
    TimeLimit *ended = NULL;
    assert_false(time_limit_begin("soon", &ended, &wrong));
    assert_true(time_limit_begin(NULL, &ended, NULL));
    assert_null(ended);
    assert_non_null(strstr(wrong->message, "--timeout 'soon'"));
    assert_true(time_limit_begin("1h", &ended, NULL));
    time_limit_free(ended);
    assert_true(ingot_interrupt_check(NULL));
    g_autoptr(TimeLimit) limit = NULL;
    assert_true(time_limit_begin("1s", &limit, NULL));
    gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (ingot_interrupt_check(&over) && g_get_monotonic_time() < end) {
        g_usleep(G_USEC_PER_SEC / 50);
    }
    assert_string_equal(over->message, "took longer than --timeout 1s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(json_tells_of_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_tells_of_a_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junit_tells_of_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junit_tells_of_a_failure_after_the_tests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junit_is_written_to_what_is_no_plain_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junit_goes_through_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(junit_and_stdout_share_a_file, set_up, tear_down),
        cmocka_unit_test(a_time_limit_interrupts_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
