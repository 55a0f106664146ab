/* Pipelines: what may be applied, and which one counts for a name. */
#include <ingot/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "server/pipeline/pipeline.h"

static const char *const gate_words[] = {"tested", "soak", "signed", NULL};

/* The settings of a gate are wrong where they have "bad". */
static gboolean check_gate(const char *gate, const json_t *settings, GString *path, GError **error)
{
    (void)gate;
    if (json_object_get(settings, "bad") != NULL) {
        g_string_assign(path, "bad[0]");
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "bad is bad");
        return FALSE;
    }
    return TRUE;
}

static const PipelineGates gates = {gate_words, check_gate};

/* The mistakes in the pipeline of x, "PATH: MESSAGE" each; free it with g_strfreev. */
static char **mistakes_in(const char *body)
{
    g_autofree char *text = g_strdup_printf("{\"pipelines\": {\"team/*\": %s}}", body);
    g_autoptr(json_t) document = ingot_json_parse(text, strlen(text), "test", NULL);
    g_autoptr(GStrvBuilder) lines = g_strv_builder_new();
    assert_non_null(document);
    g_autoptr(GArray) list = pipelines_check(document, &gates);
    for (guint i = 0; i < list->len; i++) {
        const PipelineMistake *one = &g_array_index(list, PipelineMistake, i);
        g_autofree char *line = g_strconcat(one->path, ": ", one->message, NULL);
        g_strv_builder_add(lines, line);
    }
    return g_strv_builder_end(lines);
}

/* Just one mistake, which begins with the path and has those words. */
static void assert_mistake(const char *body, const char *path, const char *words)
{
    g_auto(GStrv) lines = mistakes_in(body);
    g_autofree char *all = g_strjoinv("\n", lines);
    g_autofree char *start = g_strconcat("/pipelines/team~1*", path, ": ", NULL);
    if (g_strv_length(lines) != 1 || !g_str_has_prefix(all, start) || strstr(all, words) == NULL) {
        fail_msg("%s gives '%s', not '%s…%s'", body, all, start, words);
    }
}

static void assert_good(const char *body)
{
    g_auto(GStrv) lines = mistakes_in(body);
    if (lines[0] != NULL) {
        fail_msg("%s: %s", body, lines[0]);
    }
}

#define CHANNELS(list) "{\"channels\": [" list "]}"

static void takes_what_is_right(void **state)
{
    (void)state;
    assert_good(CHANNELS("{\"name\": \"dev\"}, {\"name\": \"test\", \"from\": \"dev\", \"gates\": [\"tested\","
                         "{\"soak\": \"1d\"}, {\"signed\": {\"keys\": [\"PEM\"], \"count\": 1}}]}"));
    assert_good(CHANNELS("{\"name\": \"prod\", \"from\": [\"a\", \"b\"]}, {\"name\": \"a\", \"from\": \"root\"},"
                         "{\"name\": \"b\", \"from\": \"root\"}, {\"name\": \"root\"}"));
    assert_good("{\"require\": {\"tests\": [{\"name\": \"cis.yaml\", \"text\": \"name: cis\"}]}, \"channels\": "
                "[{\"name\": \"dev\", \"rollout\":"
                "{\"percent\": [5, 25, 100], \"wait\": \"1h\", \"stop_after_failures\": 2}}]}");
}

#define ROLLOUT(rules) CHANNELS("{\"name\": \"dev\", \"rollout\": {" rules "}}")

static void takes_rollouts(void **state)
{
    (void)state;
    assert_good(ROLLOUT("\"percent\": [100]"));
    assert_good(ROLLOUT("\"groups\": [[\"canary\"], [\"eu\", \"us\"]], \"wait\": \"1h\""));
    assert_good(ROLLOUT("\"groups\": [\"canary\", \"all\"], \"wait\": \"1h\", \"barriers\": [\"1.4.0\"]"));
    assert_good(ROLLOUT("\"stop_after_failures\": 1"));
    assert_good(ROLLOUT("\"barriers\": [\"1.4.0\", \"2.0.0\"]"));
}

static void names_wrong_rollouts(void **state)
{
    (void)state;
    static const struct {
        const char *body, *path, *words;
    } cases[] = {
        {ROLLOUT("\"percent\": [5, 50], \"wait\": \"1h\""), "percent", "must end in 100"},
        {ROLLOUT("\"percent\": [50, 5, 100], \"wait\": \"1h\""), "percent", "ascend"},
        {ROLLOUT("\"percent\": [5, 100]"), NULL, "without 'wait', all 2 phases"},
        {ROLLOUT("\"groups\": [\"a\", \"b\"]"), NULL, "without 'wait'"},
        {ROLLOUT("\"wait\": \"1h\""), NULL, "say percent or groups"},
        {ROLLOUT("\"percent\": [100], \"groups\": [\"a\"]"), NULL, "not by both"},
        {ROLLOUT("\"percent\": [5, 100], \"wait\": 3600"), "wait", "must be a time"},
        {ROLLOUT("\"stop_after_failures\": 0"), "stop_after_failures", "1 or more"},
        {ROLLOUT("\"groups\": []"), "groups", "at least one phase"},
        {ROLLOUT("\"groups\": [[\"a\"], []], \"wait\": \"1h\""), "groups/1", "a list of groups"},
        {ROLLOUT("\"groups\": [[\"a\"], [\"b\", 1]], \"wait\": \"1h\""), "groups/1/1", "a list of groups"},
        {ROLLOUT("\"groups\": [[\"a\"], [\"b\", \"a\"]], \"wait\": \"1h\""), "groups/1/1", "in two phases"},
        {ROLLOUT("\"barriers\": \"1.4.0\""), "barriers", "a list of versions"},
        {ROLLOUT("\"barriers\": [\"prod\"]"), "barriers", "a list of versions"},
        {ROLLOUT("\"barrier\": \"1.4.0\""), "barrier", "did you mean 'barriers'?"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strconcat("/channels/0/rollout", cases[i].path == NULL ? NULL : "/", cases[i].path, NULL);
        assert_mistake(cases[i].body, path, cases[i].words);
    }
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    assert_mistake("{\"channelz\": [], \"channels\": [{\"name\": \"dev\"}]}", "/channelz", "did you mean 'channels'?");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gate\": []}"), "/channels/0/gate", "did you mean 'gates'?");
    assert_mistake(CHANNELS("{\"name\": \"dev\"}, {\"name\": \"dev\"}"), "/channels/1/name", "there twice");
    assert_mistake(CHANNELS("{\"name\": \"1.2.3\"}"), "/channels/0/name", "a version never moves");
    assert_mistake(CHANNELS("{\"name\": \"dev\"}, {\"name\": \"test\", \"from\": \"devv\"}"), "/channels/1/from",
                   "did you mean 'dev'?");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [\"testd\"]}"), "/channels/0/gates/0",
                   "did you mean 'tested'?");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [{\"tested\": {\"bad\": 1}}]}"),
                   "/channels/0/gates/0/tested/bad/0", "bad is bad");
    assert_mistake("{\"channels\": []}", "/channels", "at least one");
    assert_mistake("{}", "", "needs channels");
    assert_mistake("{\"require\": {\"test\": [\"a\"]}, \"channels\": [{\"name\": \"dev\"}]}", "/require/test",
                   "did you mean 'tests'?");
    assert_mistake("{\"require\": {\"tests\": [\"cis.yaml\"]}, \"channels\": [{\"name\": \"dev\"}]}",
                   "/require/tests/0", "must be a map");
}

static void names_a_cycle_in_full_and_once(void **state)
{
    (void)state;
    assert_mistake(CHANNELS("{\"name\": \"root\"}, {\"name\": \"a\", \"from\": [\"root\", \"c\"]},"
                            "{\"name\": \"b\", \"from\": \"a\"}, {\"name\": \"c\", \"from\": \"b\"}"),
                   "/channels/1/from", "a ← c ← b ← a");
    assert_mistake(CHANNELS("{\"name\": \"a\", \"from\": \"a\"}"), "/channels/0/from", "a ← a");
}

static void refuses_what_nothing_could_pass(void **state)
{
    (void)state;
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [{\"signed\": {\"keys\": []}}]}"),
                   "/channels/0/gates/0/signed", "nothing could ever pass");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [\"signed\"]}"), "/channels/0/gates/0",
                   "nothing could ever pass");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [{\"signed\": {\"keys\": [\"a\"], \"count\": 2}}]}"),
                   "/channels/0/gates/0/signed/count", "nothing could ever pass");
    assert_mistake(CHANNELS("{\"name\": \"dev\", \"gates\": [{\"soak\": \"1d\"}]}"), "/channels/0/gates/0/soak",
                   "nothing could ever pass");
}

static void pipeline_add(GPtrArray *list, const char *pattern)
{
    g_autoptr(json_t) body = ingot_json_pack("{s:[{s:s}]}", "channels", "name", "edge");
    g_ptr_array_add(list, pipeline_new(pattern, body));
}

static void the_most_specific_pattern_counts(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    static const char *const patterns[] = {"*", "team/*", "team/web", "team/w*", "*/web", "team/*/x", NULL};
    static const char *const wins[][2] = {{"team/web", "team/web"}, {"team/west", "team/w*"}, {"team/a/b", "team/*"},
                                          {"other/web", "*/web"},   {"other/a", "*"},         {"team/a/x", "team/*/x"}};
    for (guint i = 0; patterns[i] != NULL; i++) {
        pipeline_add(list, patterns[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(wins); i++) {
        assert_string_equal(pipelines_find(list, wins[i][0])->pattern, wins[i][1]);
    }
    g_ptr_array_remove_index(list, 0);
    assert_null(pipelines_find(list, "other/a"));
}

static void reads_a_pipeline(void **state)
{
    (void)state;
    const char *text =
        "{\"channels\": [{\"name\": \"a\"}, {\"name\": \"b\", \"from\": \"a\", \"gates\": [\"tested\","
        "{\"soak\": {\"for\": \"1d\", \"always\": true}}]}, {\"name\": \"c\", \"from\": [\"a\", \"b\"]}]}";
    g_autoptr(json_t) body = ingot_json_parse(text, strlen(text), "test", NULL);
    g_autoptr(Pipeline) pipeline = pipeline_new("x", body);
    const json_t *settings;
    const PipelineChannel *b = pipeline_channel(pipeline, "b");
    assert_int_equal(pipeline_channel(pipeline, "c")->from->len, 2);
    assert_null(pipeline_channel(pipeline, "d"));
    assert_string_equal(g_ptr_array_index(b->from, 0), "a");
    assert_string_equal(pipeline_gate(json_array_get(b->gates, 0), &settings), "tested");
    assert_null(settings);
    assert_string_equal(pipeline_gate(json_array_get(b->gates, 1), &settings), "soak");
    assert_true(pipeline_gate_always(settings));
    g_autoptr(Pipeline) usual = pipeline_default();
    g_autofree const char **names = pipeline_names(usual);
    g_autofree char *joined = g_strjoinv(" ", (char **)names);
    assert_string_equal(joined, "dev test prod");
    assert_null(usual->pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(takes_rollouts),
        cmocka_unit_test(names_wrong_rollouts),
        cmocka_unit_test(names_a_cycle_in_full_and_once),
        cmocka_unit_test(refuses_what_nothing_could_pass),
        cmocka_unit_test(the_most_specific_pattern_counts),
        cmocka_unit_test(reads_a_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
