#include "server/boxes/boxgroup.h"

#include <ingot/error.h>
#include <string.h>

#include "server/boxes/boxbody.h"
#include "server/boxes/boxprovider.h"
#include "server/boxes/boxrelease.h"
#include "server/server.h"

static gboolean has_group(const BoxRecords *records, const BoxPath *path, const char *provider)
{
    g_auto(GStrv) begun = box_records_begun(box_records_version(records, path->version));
    return box_records_provider(records, path->version, provider, NULL) != NULL ||
           (begun != NULL && g_strv_contains((const char *const *)begun, provider));
}

enum MHD_Result box_group_create(Request *request, BoxCall *call, const json_t *body)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    const char *provider = json_string_value(json_object_get(body, "name"));
    g_autoptr(BoxRecords) records = box_records_read(storage, path->name, &error);
    if (records == NULL || (provider != NULL && !box_provider_check(provider, &error))) {
        return box_fail(request, error);
    }
    if (provider == NULL) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "the provider's 'name' is expected");
    }
    if (box_records_version(records, path->version) == NULL) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s has no version %s to which boxes can be added", path->shown,
                          path->version);
    }
    if (has_group(records, path, provider)) {
        return box_refuse(request, MHD_HTTP_CONFLICT, "%s %s: provider %s already exists", path->shown, path->version,
                          provider);
    }
    path->provider = g_strdup(provider);
    return box_change_begun(storage, &actor, path->name, path->version, provider, TRUE, &error)
               ? box_tell(request, call)
               : box_fail(request, error);
}

enum MHD_Result box_group_change(Request *request, const BoxCall *call, const json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    return name == NULL || strcmp(name, call->path->provider) == 0
               ? box_tell(request, call)
               : box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                            "%s %s: a provider keeps its name: remove it, and create the other one", call->path->shown,
                            call->path->version);
}

/* --- removing --- */

/* Of BoxProviderRecord: those of the provider. Free it. */
static GPtrArray *records_of(const BoxRecords *records, const BoxPath *path)
{
    const GPtrArray *all = box_records_providers(records, path->version);
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; all != NULL && i < all->len; i++) {
        BoxProviderRecord *one = g_ptr_array_index(all, i);
        if (strcmp(one->provider, path->provider) == 0) {
            g_ptr_array_add(found, one);
        }
    }
    return found;
}

static const BoxProviderRecord *find_kept(Storage *storage, const char *name, const BoxRecords *records,
                                          const GPtrArray *found)
{
    for (guint i = 0; i < found->len; i++) {
        if (box_provider_is_kept(storage, name, records, g_ptr_array_index(found, i))) {
            return g_ptr_array_index(found, i);
        }
    }
    return NULL;
}

static gboolean drop_all(Storage *storage, const StorageActor *actor, const BoxPath *path, const GPtrArray *found,
                         GError **error)
{
    for (guint i = 0; i < found->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(found, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (!box_draft_drop(storage, actor, path->name, &key, error) ||
            !box_drop_provider(storage, actor, path->name, &key, error)) {
            return FALSE;
        }
    }
    return box_change_begun(storage, actor, path->name, path->version, path->provider, FALSE, error);
}

enum MHD_Result box_group_remove(Request *request, const BoxCall *call, const BoxRecords *records)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = json_object();
    Storage *storage = request->server->storage;
    BoxPath *path = call->path;
    const StorageActor actor = box_actor(request);
    g_autoptr(GPtrArray) found = records_of(records, path);
    if (!has_group(records, path, path->provider)) {
        return box_refuse(request, MHD_HTTP_NOT_FOUND, "%s %s has no provider %s that was created here", path->shown,
                          path->version, path->provider);
    }
    const BoxProviderRecord *kept = find_kept(storage, path->name, records, found);
    if (kept != NULL) {
        path->architecture = g_strdup(kept->architecture);
        return box_provider_refuse(request, path);
    }
    return drop_all(storage, &actor, path, found, &error) ? box_answer(request, body) : box_fail(request, error);
}
