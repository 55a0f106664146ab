/* The check of a file of pipelines: every mistake with its place, before any of it counts. */
#include <ingot/reference.h>
#include <string.h>

#include "base/text.h"
#include "server/pipeline/pipeline.h"
#include "server/pipeline/pipelinegraph.h"

#define MOST_PIPELINES 1000
#define MOST_CHANNELS 64
#define MOST_MISTAKES 100
#define MOST_PHASES 100
#define MOST_BARRIERS 100
#define PATTERN_MAX 255  /* as in scopes */
#define MOST_REQUIRED 16 /* tests, and outputs */
#define TEST_NAME_MAX 255
#define TEST_TEXT_MAX (64u << 10) /* bytes of a required test's recipe */

typedef struct {
    GArray *mistakes; /* of PipelineMistake */
    GString *path;    /* of the value that is looked at */
    const PipelineGates *gates;
    gboolean requires; /* the pipeline that is looked at requires something of builds */
} Check;

static void mistake_clear(gpointer data)
{
    PipelineMistake *mistake = data;
    g_free(mistake->path);
    g_free(mistake->message);
}

G_GNUC_PRINTF(2, 3) static void check_fail(Check *check, const char *format, ...)
{
    if (check->mistakes->len >= MOST_MISTAKES) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    PipelineMistake mistake = {g_strdup(check->path->str), g_strdup_vprintf(format, arguments)};
    va_end(arguments);
    g_array_append_val(check->mistakes, mistake);
}

/* Steps into a member; the result goes to check_leave. */
static gsize check_enter(Check *check, const char *member)
{
    gsize length = check->path->len;
    g_string_append_c(check->path, '/');
    for (const char *at = member; *at != '\0'; at++) {
        switch (*at) {
        case '~':
            g_string_append(check->path, "~0");
            break;
        case '/':
            g_string_append(check->path, "~1");
            break;
        default:
            g_string_append_c(check->path, *at);
        }
    }
    return length;
}

static gsize check_enter_nth(Check *check, gsize index)
{
    gsize length = check->path->len;
    g_string_append_printf(check->path, "/%zu", index);
    return length;
}

static void check_leave(Check *check, gsize length)
{
    g_string_truncate(check->path, length);
}

/* "; did you mean 'x'?" or nothing. Free it. */
static char *check_hint(const char *word, const char *const *words)
{
    const char *nearest = ingot_text_nearest(word, words);
    return nearest == NULL ? g_strdup("") : g_strdup_printf(" (did you mean '%s'?)", nearest);
}

static gboolean check_is_map(Check *check, const json_t *value, const char *noun)
{
    if (!json_is_object(value)) {
        check_fail(check, "%s must be a map", noun);
    }
    return json_is_object(value);
}

static void check_members(Check *check, const json_t *map, const char *noun, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        if (!g_strv_contains(known, key)) {
            gsize length = check_enter(check, key);
            g_autofree char *hint = check_hint(key, known);
            check_fail(check, "%s has no '%s'%s", noun, key, hint);
            check_leave(check, length);
        }
    }
}

/* --- gates --- */

/* A gate's own path into its settings, "keys[0]" or "keys.0", as a JSON pointer's end. */
static void append_gate_path(GString *path, const char *member)
{
    g_auto(GStrv) parts = g_strsplit_set(member, ".[]/", -1);
    for (guint i = 0; parts[i] != NULL; i++) {
        if (*parts[i] != '\0') {
            g_string_append_printf(path, "/%s", parts[i]);
        }
    }
}

/* Whether so many signatures can be had. */
static void check_signed(Check *check, const json_t *settings)
{
    gsize keys =
        json_array_size(json_object_get(settings, "keys")) + json_array_size(json_object_get(settings, "identities"));
    const json_t *count = json_object_get(settings, "count");
    if (keys == 0) {
        check_fail(check, "the gate 'signed' names no key, so nothing could ever pass it: name the keys that count");
    } else if (json_is_integer(count) && json_integer_value(count) > (json_int_t)keys) {
        gsize length = check_enter(check, "count");
        check_fail(check, "%lld signatures by %zu keys: nothing could ever pass that", json_integer_value(count), keys);
        check_leave(check, length);
    }
}

/* What would keep everything out for ever. */
static void check_lockout(Check *check, const char *gate, const json_t *settings, gboolean first)
{
    if (strcmp(gate, "signed") == 0) {
        check_signed(check, settings);
    } else if (strcmp(gate, "required") == 0 && !check->requires) {
        check_fail(check, "the gate 'required' asks for what the pipeline's `require` names, and it has none");
    } else if (strcmp(gate, "soak") == 0 && first) {
        check_fail(check, "the gate 'soak' asks how long an image has stood in the channel before, and this channel has"
                          " none: nothing could ever pass it; say 'from', or leave the gate out");
    }
}

static void check_gate(Check *check, const json_t *entry, gboolean first)
{
    const json_t *settings;
    const char *gate = pipeline_gate(entry, &settings);
    if (gate == NULL) {
        check_fail(check, "a gate is a word, or a map with one member: its name and its settings");
        return;
    }
    if (!g_strv_contains(check->gates->names, gate)) {
        g_autofree char *hint = check_hint(gate, check->gates->names);
        check_fail(check, "unknown gate '%s'%s", gate, hint);
        return;
    }
    gsize length = json_is_string(entry) ? check->path->len : check_enter(check, gate);
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) member = g_string_new(NULL);
    if (check->gates->check(gate, settings, member, &error)) {
        check_lockout(check, gate, settings, first);
    } else {
        append_gate_path(check->path, member->str);
        check_fail(check, "%s", error->message);
    }
    check_leave(check, length);
}

static void check_gates(Check *check, const json_t *gates, gboolean first)
{
    if (!json_is_array(gates)) {
        check_fail(check, "gates must be a list");
    }
    for (gsize i = 0; i < json_array_size(gates); i++) {
        gsize length = check_enter_nth(check, i);
        check_gate(check, json_array_get(gates, i), first);
        check_leave(check, length);
    }
}

/* --- rollout --- */

/* Ends in all hosts, and never takes one back. */
static void check_percent(Check *check, const json_t *list)
{
    json_int_t last = 0;
    for (gsize i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value) || json_integer_value(value) <= last || json_integer_value(value) > 100) {
            check_fail(check, "percent must be a list of numbers that ascend, each from 1 to 100");
            return;
        }
        last = json_integer_value(value);
    }
    if (last != 100) {
        check_fail(check, "percent must end in 100: the other hosts would never get the image");
    }
}

/* A host's group names its phase: each is there once. */
static void check_group(Check *check, const json_t *group, GHashTable *seen)
{
    const char *name = json_string_value(group);
    if (name == NULL || *name == '\0') {
        check_fail(check, "groups must be a list of phases, each a list of groups, as in [[canary], [eu, us]]");
    } else if (!g_hash_table_add(seen, (gpointer)name)) {
        check_fail(check, "the group '%s' is in two phases", name);
    }
}

static void check_groups(Check *check, const json_t *list)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    if (json_array_size(list) == 0 || json_array_size(list) > MOST_PHASES) {
        check_fail(check, "groups must be a list of at least one phase, and at most %d", MOST_PHASES);
        return;
    }
    for (gsize i = 0; i < json_array_size(list); i++) {
        const json_t *phase = json_array_get(list, i);
        gsize length = check_enter_nth(check, i);
        if (json_array_size(phase) == 0) {
            check_group(check, phase, seen);
        }
        for (gsize k = 0; k < json_array_size(phase); k++) {
            gsize inner = check_enter_nth(check, k);
            check_group(check, json_array_get(phase, k), seen);
            check_leave(check, inner);
        }
        check_leave(check, length);
    }
}

static void check_barriers(Check *check, const json_t *list)
{
    gboolean good = json_array_size(list) > 0 && json_array_size(list) <= MOST_BARRIERS;
    for (gsize i = 0; good && i < json_array_size(list); i++) {
        const char *version = json_string_value(json_array_get(list, i));
        good = version != NULL && ingot_tag_is_version(version);
    }
    if (!good) {
        check_fail(check, "barriers must be a list of versions, as in [1.4.0], at most %d", MOST_BARRIERS);
    }
}

static void check_wait(Check *check, const json_t *value)
{
    guint64 seconds;
    if (!json_is_string(value) || !ingot_text_parse_duration(json_string_value(value), &seconds, NULL)) {
        check_fail(check, "wait must be a time, as in 30m or 1h");
    }
}

static void check_most_failures(Check *check, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 1) {
        check_fail(check, "stop_after_failures must be a number of hosts, 1 or more");
    }
}

/* What is there may not fit together. */
static void check_phases(Check *check, const json_t *rollout)
{
    const json_t *percent = json_object_get(rollout, "percent"), *groups = json_object_get(rollout, "groups");
    gsize phases = MAX(json_array_size(percent), json_array_size(groups));
    gboolean waits = json_object_get(rollout, "wait") != NULL;
    if (percent != NULL && groups != NULL) {
        check_fail(check, "a rollout goes by percent or by groups, not by both");
    } else if (phases > 1 && !waits) {
        check_fail(check, "without 'wait', all %zu phases of the rollout would open at once", phases);
    } else if (percent == NULL && groups == NULL && waits) {
        check_fail(check, "'wait' is the time from one phase to the next: say percent or groups as well");
    }
}

static void check_rollout(Check *check, const json_t *rollout)
{
    static const char *const known[] = {"percent", "groups", "wait", "stop_after_failures", "barriers", NULL};
    static void (*const checks[])(Check *, const json_t *) = {check_percent, check_groups, check_wait,
                                                              check_most_failures, check_barriers};
    if (!check_is_map(check, rollout, "rollout")) {
        return;
    }
    check_members(check, rollout, "rollout", known);
    for (guint i = 0; known[i] != NULL; i++) {
        const json_t *value = json_object_get(rollout, known[i]);
        if (value != NULL) {
            gsize length = check_enter(check, known[i]);
            checks[i](check, value);
            check_leave(check, length);
        }
    }
    check_phases(check, rollout);
}

/* --- channels --- */

static const char *check_name(const json_t *channels, gsize index)
{
    const char *name = json_string_value(json_object_get(json_array_get(channels, index), "name"));
    return name == NULL ? "" : name;
}

/* All names, for hints. Free the array. */
static const char **check_names(const json_t *channels)
{
    const char **names = g_new0(const char *, json_array_size(channels) + 1);
    for (gsize i = 0; i < json_array_size(channels); i++) {
        names[i] = check_name(channels, i);
    }
    return names;
}

static void check_channel_name(Check *check, const json_t *channels, gsize index)
{
    const json_t *value = json_object_get(json_array_get(channels, index), "name");
    g_autoptr(GError) error = NULL;
    if (!json_is_string(value)) {
        check_fail(check, "a channel needs a name");
        return;
    }
    gsize length = check_enter(check, "name");
    const char *name = json_string_value(value);
    if (!ingot_tag_check(name, &error)) {
        check_fail(check, "%s", error->message);
    } else if (ingot_tag_is_version(name)) {
        check_fail(check, "the channel '%s' is named like a version, and a version never moves", name);
    }
    for (gsize i = 0; i < index; i++) {
        if (strcmp(check_name(channels, i), name) == 0) {
            check_fail(check, "the channel '%s' is there twice", name);
            break;
        }
    }
    check_leave(check, length);
}

static void check_from_name(Check *check, const json_t *channels, const json_t *from)
{
    g_autofree const char **names = check_names(channels);
    if (!json_is_string(from)) {
        check_fail(check, "from must be a channel, or a list of channels");
    } else if (!g_strv_contains((const char *const *)names, json_string_value(from))) {
        g_autofree char *hint = check_hint(json_string_value(from), (const char *const *)names);
        check_fail(check, "from: this pipeline has no channel '%s'%s", json_string_value(from), hint);
    }
}

static void check_from(Check *check, const json_t *channels, const json_t *from)
{
    gsize length = check_enter(check, "from");
    if (!json_is_array(from)) {
        check_from_name(check, channels, from);
    }
    for (gsize i = 0; i < json_array_size(from); i++) {
        gsize inner = check_enter_nth(check, i);
        check_from_name(check, channels, json_array_get(from, i));
        check_leave(check, inner);
    }
    check_leave(check, length);
}

static gboolean has_from(const json_t *entry)
{
    const json_t *from = json_object_get(entry, "from");
    return json_is_string(from) || json_array_size(from) > 0;
}

/* A cycle is told once: at the first of its channels. */
static void check_cycle(Check *check, const json_t *channels, gsize index)
{
    g_autofree char *cycle = pipeline_graph_cycle(channels, index);
    for (gsize i = 0; cycle != NULL && i < index; i++) {
        g_autofree char *earlier = pipeline_graph_cycle(channels, i);
        g_auto(GStrv) names = g_strsplit(earlier == NULL ? "" : earlier, " ← ", -1);
        if (g_strv_contains((const char *const *)names, check_name(channels, index))) {
            return;
        }
    }
    if (cycle != NULL) {
        gsize length = check_enter(check, "from");
        check_fail(check, "the channels go in a circle, so none of them could ever be reached: %s", cycle);
        check_leave(check, length);
    }
}

static void check_channel(Check *check, const json_t *channels, gsize index)
{
    static const char *const known[] = {"name", "from", "gates", "rollout", NULL};
    const json_t *entry = json_array_get(channels, index);
    const json_t *from = json_object_get(entry, "from"), *gates = json_object_get(entry, "gates");
    const json_t *rollout = json_object_get(entry, "rollout");
    if (!check_is_map(check, entry, "a channel")) {
        return;
    }
    check_members(check, entry, "a channel", known);
    check_channel_name(check, channels, index);
    if (from != NULL) {
        check_from(check, channels, from);
    }
    if (gates != NULL) {
        gsize length = check_enter(check, "gates");
        check_gates(check, gates, !has_from(entry));
        check_leave(check, length);
    }
    if (rollout != NULL) {
        gsize length = check_enter(check, "rollout");
        check_rollout(check, rollout);
        check_leave(check, length);
    }
    check_cycle(check, channels, index);
}

static void check_channels(Check *check, const json_t *body)
{
    const json_t *channels = json_object_get(body, "channels");
    if (channels == NULL) {
        check_fail(check, "a pipeline needs channels");
        return;
    }
    gsize length = check_enter(check, "channels");
    if (json_array_size(channels) == 0 || json_array_size(channels) > MOST_CHANNELS) {
        check_fail(check, "channels must be a list of at least one channel, and at most %d", MOST_CHANNELS);
    }
    for (gsize i = 0; i < MIN(json_array_size(channels), MOST_CHANNELS); i++) {
        gsize inner = check_enter_nth(check, i);
        check_channel(check, channels, i);
        check_leave(check, inner);
    }
    check_leave(check, length);
}

/* --- what every build must have --- */

static void check_output(Check *check, const json_t *output)
{
    const char *name = json_string_value(output);
    if (name == NULL || *name == '\0') {
        check_fail(check, "an output is the name of a format");
    }
}

/* As `ingot pipeline` sends a test: the name of a file, and its text. */
static void check_test(Check *check, const json_t *test)
{
    static const char *const known[] = {"name", "text", NULL};
    if (!check_is_map(check, test, "a required test, as `ingot pipeline apply` sends it,")) {
        return;
    }
    check_members(check, test, "a required test", known);
    const char *name = json_string_value(json_object_get(test, "name"));
    const char *text = json_string_value(json_object_get(test, "text"));
    if (name == NULL || *name == '\0' || strlen(name) > TEST_NAME_MAX || strchr(name, '/') != NULL) {
        check_fail(check, "a required test needs the name of its file, without a folder");
    }
    if (text == NULL || *text == '\0' || strlen(text) > TEST_TEXT_MAX) {
        check_fail(check, "a required test needs its recipe's text, of at most %u KiB", TEST_TEXT_MAX >> 10);
    }
}

static void check_required_list(Check *check, const char *key, const json_t *list,
                                void (*check_one)(Check *check, const json_t *one))
{
    gsize length = check_enter(check, key);
    if (json_array_size(list) == 0 || json_array_size(list) > MOST_REQUIRED) {
        check_fail(check, "%s must be a list of at least one, and at most %d", key, MOST_REQUIRED);
    }
    for (gsize i = 0; i < MIN(json_array_size(list), MOST_REQUIRED); i++) {
        gsize inner = check_enter_nth(check, i);
        check_one(check, json_array_get(list, i));
        check_leave(check, inner);
    }
    check_leave(check, length);
}

static void check_require(Check *check, const json_t *require)
{
    static const char *const known[] = {"tests", "outputs", NULL};
    gsize length = check_enter(check, "require");
    if (check_is_map(check, require, "require")) {
        const json_t *tests = json_object_get(require, "tests"), *outputs = json_object_get(require, "outputs");
        check_members(check, require, "require", known);
        if (json_object_size(require) == 0) {
            check_fail(check, "require names nothing: tests or outputs are expected");
        }
        if (tests != NULL) {
            check_required_list(check, "tests", tests, check_test);
        }
        if (outputs != NULL) {
            check_required_list(check, "outputs", outputs, check_output);
        }
    }
    check_leave(check, length);
}

static void check_pattern(Check *check, const char *pattern)
{
    if (*pattern == '\0' || strlen(pattern) > PATTERN_MAX ||
        strspn(pattern, "abcdefghijklmnopqrstuvwxyz0123456789._-/*") != strlen(pattern)) {
        check_fail(check,
                   "'%.300s' is not a pattern: a repository's name is expected, in which * stands for any run of"
                   " characters, as in team/*",
                   pattern);
    }
}

static void check_pipeline(Check *check, const char *pattern, const json_t *body)
{
    static const char *const known[] = {"channels", "require", NULL};
    const json_t *require = json_object_get(body, "require");
    check_pattern(check, pattern);
    if (!check_is_map(check, body, "a pipeline")) {
        return;
    }
    check_members(check, body, "a pipeline", known);
    check->requires = require != NULL;
    check_channels(check, body);
    if (require != NULL) {
        check_require(check, require);
    }
}

static void check_document(Check *check, const json_t *document)
{
    static const char *const known[] = {"pipelines", NULL};
    const json_t *pipelines = json_object_get(document, "pipelines");
    if (!check_is_map(check, document, "the file")) {
        return;
    }
    check_members(check, document, "the file", known);
    gsize length = check_enter(check, "pipelines");
    if (!json_is_object(pipelines) || json_object_size(pipelines) > MOST_PIPELINES) {
        check_fail(check, "pipelines must be a map: of patterns and their pipelines, at most %d", MOST_PIPELINES);
    }
    const char *pattern;
    json_t *body;
    json_object_foreach((json_t *)pipelines, pattern, body)
    {
        gsize inner = check_enter(check, pattern);
        check_pipeline(check, pattern, body);
        check_leave(check, inner);
    }
    check_leave(check, length);
}

GArray *pipelines_check(const json_t *document, const PipelineGates *gates)
{
    GArray *mistakes = g_array_new(FALSE, FALSE, sizeof(PipelineMistake));
    g_autoptr(GString) path = g_string_new(NULL);
    Check check = {.mistakes = mistakes, .path = path, .gates = gates};
    g_array_set_clear_func(mistakes, mistake_clear);
    check_document(&check, document);
    return mistakes;
}
