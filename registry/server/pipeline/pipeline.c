#include "server/pipeline/pipeline.h"

#include <string.h>

#include "base/json.h"

static void pipeline_channel_free(gpointer data)
{
    PipelineChannel *channel = data;
    g_free(channel->name);
    g_ptr_array_unref(channel->from);
    json_decref(channel->gates);
    json_decref(channel->rollout);
    g_free(channel);
}

static PipelineChannel *pipeline_channel_new(const char *name)
{
    PipelineChannel *channel = g_new0(PipelineChannel, 1);
    channel->name = g_strdup(name);
    channel->from = g_ptr_array_new_with_free_func(g_free);
    return channel;
}

static void channel_read(PipelineChannel *channel, const json_t *entry)
{
    const json_t *from = json_object_get(entry, "from");
    const json_t *gates = json_object_get(entry, "gates");
    if (json_is_string(from)) {
        g_ptr_array_add(channel->from, g_strdup(json_string_value(from)));
    }
    for (gsize i = 0; i < json_array_size(from); i++) {
        g_ptr_array_add(channel->from, g_strdup(json_string_value(json_array_get(from, i))));
    }
    channel->gates = json_is_array(gates) ? json_incref((json_t *)gates) : json_array();
    channel->rollout = json_incref(json_object_get(entry, "rollout"));
}

static Pipeline *pipeline_empty(const char *pattern)
{
    Pipeline *pipeline = g_atomic_rc_box_new0(Pipeline);
    pipeline->pattern = g_strdup(pattern);
    pipeline->channels = g_ptr_array_new_with_free_func(pipeline_channel_free);
    return pipeline;
}

Pipeline *pipeline_new(const char *pattern, const json_t *body)
{
    Pipeline *pipeline = pipeline_empty(pattern);
    const json_t *channels = json_object_get(body, "channels");
    for (gsize i = 0; i < json_array_size(channels); i++) {
        const json_t *entry = json_array_get(channels, i);
        PipelineChannel *channel = pipeline_channel_new(json_string_value(json_object_get(entry, "name")));
        channel_read(channel, entry);
        g_ptr_array_add(pipeline->channels, channel);
    }
    pipeline->require = json_incref(json_object_get(body, "require"));
    pipeline->body = json_incref((json_t *)body);
    return pipeline;
}

Pipeline *pipeline_default(void)
{
    static const char *const channels[] = {"dev", "test", "prod"};
    Pipeline *pipeline = pipeline_empty(NULL);
    json_t *list = json_array();
    for (guint i = 0; i < G_N_ELEMENTS(channels); i++) {
        PipelineChannel *channel = pipeline_channel_new(channels[i]);
        channel->gates = json_array();
        g_ptr_array_add(pipeline->channels, channel);
        json_array_append_new(list, ingot_json_pack("{s:s}", "name", channels[i]));
    }
    pipeline->body = ingot_json_pack("{s:o}", "channels", list);
    return pipeline;
}

static void pipeline_clear(gpointer data)
{
    Pipeline *pipeline = data;
    g_free(pipeline->pattern);
    g_ptr_array_unref(pipeline->channels);
    json_decref(pipeline->require);
    json_decref(pipeline->body);
}

Pipeline *pipeline_ref(Pipeline *pipeline)
{
    return g_atomic_rc_box_acquire(pipeline);
}

void pipeline_unref(Pipeline *pipeline)
{
    if (pipeline != NULL) {
        g_atomic_rc_box_release_full(pipeline, pipeline_clear);
    }
}

gboolean pipeline_equal(const Pipeline *one, const Pipeline *other)
{
    return one == other || (g_strcmp0(one->pattern, other->pattern) == 0 && json_equal(one->body, other->body));
}

const PipelineChannel *pipeline_channel(const Pipeline *pipeline, const char *name)
{
    for (guint i = 0; i < pipeline->channels->len; i++) {
        const PipelineChannel *channel = g_ptr_array_index(pipeline->channels, i);
        if (strcmp(channel->name, name) == 0) {
            return channel;
        }
    }
    return NULL;
}

gboolean pipeline_guards(const Pipeline *pipeline, const char *name)
{
    return pipeline->pattern != NULL && pipeline_channel(pipeline, name) != NULL;
}

const char **pipeline_names(const Pipeline *pipeline)
{
    const char **names = g_new0(const char *, pipeline->channels->len + 1);
    for (guint i = 0; i < pipeline->channels->len; i++) {
        names[i] = ((const PipelineChannel *)g_ptr_array_index(pipeline->channels, i))->name;
    }
    return names;
}

const char *pipeline_gate(const json_t *entry, const json_t **settings)
{
    *settings = NULL;
    if (json_is_string(entry)) {
        return json_string_value(entry);
    }
    void *member = json_object_size(entry) == 1 ? json_object_iter((json_t *)entry) : NULL;
    if (member == NULL) {
        return NULL;
    }
    *settings = json_object_iter_value(member);
    return json_object_iter_key(member);
}

gboolean pipeline_gate_always(const json_t *settings)
{
    return json_is_true(json_object_get(settings, "always"));
}

/* How well a pattern says which names are meant: an exact one best. */
static gsize pattern_rank(const char *pattern)
{
    gsize literal = strcspn(pattern, "*");
    return pattern[literal] == '\0' ? G_MAXSIZE : literal;
}

static gboolean pattern_beats(const char *one, const char *other)
{
    gsize rank = pattern_rank(one), other_rank = pattern_rank(other);
    if (rank != other_rank) {
        return rank > other_rank;
    }
    return strlen(one) != strlen(other) ? strlen(one) > strlen(other) : strcmp(one, other) < 0;
}

Pipeline *pipelines_find(const GPtrArray *pipelines, const char *name)
{
    Pipeline *best = NULL;
    for (guint i = 0; i < pipelines->len; i++) {
        Pipeline *one = g_ptr_array_index(pipelines, i);
        if (g_pattern_match_simple(one->pattern, name) &&
            (best == NULL || pattern_beats(one->pattern, best->pattern))) {
            best = one;
        }
    }
    return best;
}
