#include "cache/history.h"

#include <string.h>

#include "base/file.h"

#define VERSION 1
#define RECORD_MAX (64u << 20) /* bytes */
#define NAMED_MOST 3           /* changes that are named */

struct History {
    json_t *record;
};

static char *path_of(const char *cache, const Recipe *recipe)
{
    g_autofree char *base = g_path_get_basename(recipe->path);
    g_autofree char *path =
        recipe->image != NULL ? g_strdup(recipe->image) : g_build_filename(recipe->folder, base, NULL);
    g_autofree char *name = g_compute_checksum_for_string(G_CHECKSUM_SHA256, path, -1);
    g_autofree char *file = g_strconcat(name, ".json", NULL);
    return g_build_filename(cache, "plans", file, NULL);
}

History *history_load(const char *cache, const Recipe *recipe)
{
    g_autofree char *path = path_of(cache, recipe);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, NULL);
    g_autoptr(json_t) record =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
    if (json_integer_value(json_object_get(record, "version")) != VERSION) {
        return NULL;
    }
    History *history = g_new0(History, 1);
    history->record = g_steal_pointer(&record);
    return history;
}

void history_free(History *history)
{
    if (history != NULL) {
        json_decref(history->record);
        g_free(history);
    }
}

/* "shell changed", "file site/new is new": one for each name that one of both has otherwise than the other. */
static GPtrArray *differences(const json_t *before, const json_t *after)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)after, name, value)
    {
        const json_t *old = json_object_get(before, name);
        if (old == NULL || !json_equal(old, value)) {
            g_ptr_array_add(list, g_strdup_printf("%s %s", name, old == NULL ? "is new" : "changed"));
        }
    }
    json_object_foreach((json_t *)before, name, value)
    {
        if (json_object_get(after, name) == NULL) {
            g_ptr_array_add(list, g_strdup_printf("%s is gone", name));
        }
    }
    return list;
}

char *history_change(const History *history, const Plan *plan, guint i)
{
    if (history == NULL) {
        return g_strdup("not built here before");
    }
    const json_t *stage = json_array_get(json_object_get(history->record, "stages"), i);
    if (stage == NULL) {
        return g_strdup("a new step");
    }
    g_autoptr(GPtrArray) list = differences(json_object_get(stage, "inputs"), plan_stage(plan, i)->inputs);
    guint more = list->len > NAMED_MOST ? list->len - NAMED_MOST : 0;
    if (list->len == 0) {
        return NULL;
    }
    g_ptr_array_set_size(list, (int)MIN(list->len, NAMED_MOST));
    g_ptr_array_add(list, NULL);
    g_autofree char *named = g_strjoinv(", ", (char **)list->pdata);
    return more == 0 ? g_steal_pointer(&named) : g_strdup_printf("%s and %u more", named, more);
}

gboolean history_save(const char *cache, const Recipe *recipe, const Plan *plan, GError **error)
{
    g_autofree char *path = path_of(cache, recipe);
    g_autofree char *folder = g_path_get_dirname(path);
    json_t *stages = json_array();
    for (guint i = 0; i < plan->stages->len; i++) {
        json_array_append_new(stages, ingot_json_pack("{s:O}", "inputs", plan_stage(plan, i)->inputs));
    }
    g_autoptr(json_t) record = ingot_json_pack("{s:i, s:o}", "version", VERSION, "stages", stages);
    return ingot_file_make_folder(folder, error) && ingot_json_save(record, path, RECORD_MAX, 0600, error);
}
