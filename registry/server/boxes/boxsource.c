#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/boxes/boxlist.h"
#include "server/storage/changes.h"
#include "server/storage/storage.h"

BoxSource *box_source_new(const char *shown, GError **error)
{
    const char *at = strrchr(shown, '@');
    g_autofree char *written = g_strndup(shown, at == NULL ? strlen(shown) : (gsize)(at - shown));
    g_autoptr(BoxSource) source = g_new0(BoxSource, 1);
    source->name = g_ascii_strdown(written, -1);
    source->channel = at == NULL ? NULL : g_strdup(at + 1);
    source->shown = g_strdup(shown);
    return ingot_name_check(source->name, error) && (at == NULL || ingot_tag_check(at + 1, error))
               ? g_steal_pointer(&source)
               : NULL;
}

void box_source_free(BoxSource *source)
{
    g_free(source->name);
    g_free(source->channel);
    g_free(source->shown);
    g_clear_pointer(&source->versions, g_array_unref);
    g_clear_pointer(&source->records, box_records_free);
    g_free(source);
}

/* A box may have nothing here but records: then it has no tags, and is there all the same. */
static gboolean is_recorded(const BoxSource *source)
{
    return source->channel == NULL &&
           (source->records->box != NULL || g_hash_table_size(source->records->versions) > 0);
}

gboolean box_source_look(const Server *server, BoxSource *source, GError **error)
{
    g_autoptr(GError) problem = NULL;
    source->sequence = storage_sequence(server->storage);
    if (!storage_last_event(server->storage, &source->event, error)) {
        return FALSE;
    }
    source->records = box_records_read(server->storage, source->name, error);
    if (source->records == NULL) {
        return FALSE;
    }
    source->versions =
        versions_list(server, source->name, source->channel, source->records->versions, &source->outcome, &problem);
    if (source->versions == NULL && is_recorded(source) &&
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        source->versions = g_array_new(FALSE, FALSE, sizeof(ListedVersion));
        return TRUE;
    }
    if (source->versions == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return source->versions != NULL;
}
