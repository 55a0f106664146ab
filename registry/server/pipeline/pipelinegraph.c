#include "server/pipeline/pipelinegraph.h"

#include <string.h>

static const char *channel_name(const json_t *channels, gsize index)
{
    const char *name = json_string_value(json_object_get(json_array_get(channels, index), "name"));
    return name == NULL ? "" : name;
}

/* The index of a channel; the array's size: there is none of that name. */
static gsize channel_index(const json_t *channels, const char *name)
{
    gsize index = 0;
    while (index < json_array_size(channels) && strcmp(channel_name(channels, index), name) != 0) {
        index++;
    }
    return index;
}

typedef struct {
    const json_t *channels;
    gsize target;
    gboolean *seen;
    GPtrArray *path; /* of const char *: the way so far */
} CycleSearch;

static gboolean cycle_search(CycleSearch *search, gsize at);

static gboolean cycle_follow(CycleSearch *search, const json_t *from)
{
    const char *name = json_string_value(from);
    gsize next = name == NULL ? json_array_size(search->channels) : channel_index(search->channels, name);
    if (next == search->target) {
        return TRUE;
    }
    return next < json_array_size(search->channels) && !search->seen[next] && cycle_search(search, next);
}

/* Depth first, each channel once; no deeper than a pipeline has channels. */
static gboolean cycle_search(CycleSearch *search, gsize at)
{
    const json_t *from = json_object_get(json_array_get(search->channels, at), "from");
    search->seen[at] = TRUE;
    g_ptr_array_add(search->path, (gpointer)channel_name(search->channels, at));
    if (json_is_string(from) && cycle_follow(search, from)) {
        return TRUE;
    }
    for (gsize i = 0; i < json_array_size(from); i++) {
        if (cycle_follow(search, json_array_get(from, i))) {
            return TRUE;
        }
    }
    g_ptr_array_set_size(search->path, (gint)search->path->len - 1);
    return FALSE;
}

char *pipeline_graph_cycle(const json_t *channels, gsize index)
{
    g_autofree gboolean *seen = g_new0(gboolean, json_array_size(channels) + 1);
    g_autoptr(GPtrArray) path = g_ptr_array_new();
    CycleSearch search = {.channels = channels, .target = index, .seen = seen, .path = path};
    if (!cycle_search(&search, index)) {
        return NULL;
    }
    g_ptr_array_add(path, (gpointer)channel_name(channels, index));
    g_ptr_array_add(path, NULL);
    return g_strjoinv(" ← ", (char **)path->pdata);
}
