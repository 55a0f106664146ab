#include "server/boxes/boxrecords.h"

#include <string.h>

#include "base/json.h"

#define BEGUN "provider "

static void provider_record_free(gpointer data)
{
    BoxProviderRecord *record = data;
    g_free(record->version);
    g_free(record->provider);
    g_free(record->architecture);
    g_free(record);
}

static void take_provider(BoxRecords *records, const StorageRecord *record)
{
    g_auto(GStrv) parts = g_strsplit(record->key, " ", -1);
    if (g_strv_length(parts) != 3) {
        return;
    }
    GPtrArray *list = g_hash_table_lookup(records->providers, parts[0]);
    if (list == NULL) {
        list = g_ptr_array_new_with_free_func(provider_record_free);
        g_hash_table_insert(records->providers, g_strdup(parts[0]), list);
    }
    BoxProviderRecord *provider = g_new0(BoxProviderRecord, 1);
    *provider = (BoxProviderRecord){.version = g_strdup(parts[0]),
                                    .provider = g_strdup(parts[1]),
                                    .architecture = g_strdup(parts[2]),
                                    .body = record->body};
    g_ptr_array_insert(list, 0, provider); /* storage has the highest keys first */
}

static void take_all(BoxRecords *records)
{
    for (guint i = 0; i < records->read[0]->len; i++) {
        const StorageRecord *record = g_ptr_array_index(records->read[0], i);
        g_hash_table_insert(records->versions, g_strdup(record->key), record->body);
    }
    for (guint i = 0; i < records->read[1]->len; i++) {
        take_provider(records, g_ptr_array_index(records->read[1], i));
    }
}

BoxRecords *box_records_read(Storage *storage, const char *name, GError **error)
{
    g_autoptr(BoxRecords) records = g_new0(BoxRecords, 1);
    GError *problem = NULL;
    records->versions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    records->providers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    records->box = storage_record(storage, BOX_RECORD, name, BOX_KEY, &problem);
    records->read[0] = problem == NULL ? storage_records(storage, BOX_VERSION_RECORD, name, &problem) : NULL;
    records->read[1] = problem == NULL ? storage_records(storage, BOX_PROVIDER_RECORD, name, &problem) : NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    take_all(records);
    return g_steal_pointer(&records);
}

void box_records_free(BoxRecords *records)
{
    json_decref(records->box);
    g_hash_table_unref(records->versions);
    g_hash_table_unref(records->providers);
    g_clear_pointer(&records->read[0], g_ptr_array_unref);
    g_clear_pointer(&records->read[1], g_ptr_array_unref);
    g_free(records);
}

const json_t *box_records_version(const BoxRecords *records, const char *version)
{
    return g_hash_table_lookup(records->versions, version);
}

const GPtrArray *box_records_providers(const BoxRecords *records, const char *version)
{
    return g_hash_table_lookup(records->providers, version);
}

char *box_begun_key(const char *provider)
{
    return g_strconcat(BEGUN, provider, NULL);
}

char **box_records_begun(const json_t *version)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    gsize count = 0;
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)version, key, value)
    {
        if (g_str_has_prefix(key, BEGUN)) {
            g_strv_builder_add(names, key + strlen(BEGUN));
            count++;
        }
    }
    return count == 0 ? NULL : g_strv_builder_end(names);
}

/* The first of a provider, and the one that is its default. */
static const BoxProviderRecord *find_default(const GPtrArray *list, const char *provider)
{
    const BoxProviderRecord *first = NULL;
    for (guint i = 0; list != NULL && i < list->len; i++) {
        const BoxProviderRecord *record = g_ptr_array_index(list, i);
        if (strcmp(record->provider, provider) == 0) {
            if (json_is_true(json_object_get(record->body, "default"))) {
                return record;
            }
            first = first == NULL ? record : first;
        }
    }
    return first;
}

const BoxProviderRecord *box_records_provider(const BoxRecords *records, const char *version, const char *provider,
                                              const char *architecture)
{
    const GPtrArray *list = box_records_providers(records, version);
    if (architecture == NULL) {
        return find_default(list, provider);
    }
    for (guint i = 0; list != NULL && i < list->len; i++) {
        const BoxProviderRecord *record = g_ptr_array_index(list, i);
        if (strcmp(record->provider, provider) == 0 && strcmp(record->architecture, architecture) == 0) {
            return record;
        }
    }
    return NULL;
}

gboolean box_has_status(const BoxRecords *records, const char *version, const char *status)
{
    const json_t *record = box_records_version(records, version);
    const char *said = json_string_value(json_object_get(record, "status"));
    return record != NULL && strcmp(said == NULL ? "active" : said, status) == 0;
}

gboolean box_needs_tag(const BoxRecords *records, const char *version)
{
    gboolean images = FALSE;
    const GPtrArray *providers = box_records_providers(records, version);
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        if (json_object_get(one->body, "url") != NULL) {
            return FALSE;
        }
        images = images || json_object_get(one->body, "image") != NULL;
    }
    return images && box_records_version(records, version) != NULL && !box_has_status(records, version, "unreleased");
}

char *box_provider_key(const char *version, const char *provider, const char *architecture)
{
    return g_strjoin(" ", version, provider, architecture == NULL ? BOX_UNKNOWN : architecture, NULL);
}
