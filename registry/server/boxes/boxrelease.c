#include "server/boxes/boxrelease.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/digests.h"
#include "base/json.h"
#include "server/boxes/boxclaims.h"
#include "server/channel/announce.h"
#include "server/storage/growth.h"
#include "server/storage/mentions.h"
#include "server/storage/movetag.h"
#include "server/views/entries.h"

/* --- drafts --- */

static char *draft_tag(const BoxProviderKey *key)
{
    return g_strdup_printf("unreleased-%s-%s-%s", key->version, key->provider, key->architecture);
}

/* The tag names what it is to name, whatever it named. */
static gboolean set_tag(Storage *storage, const StorageActor *actor, const char *name, const char *tag,
                        const IngotDigest *to, GError **error)
{
    IngotDigest before;
    gboolean found = storage_find_tag(storage, name, tag, &before, NULL);
    const StorageMoving moving = {
        .name = name, .tag = tag, .to = to, .expected = found ? &before : NULL, .actor = actor};
    return storage_move_tag(storage, &moving, error);
}

gboolean box_draft(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                   const IngotDigest *image, GError **error)
{
    g_autofree char *tag = draft_tag(key);
    return box_version_may_be(storage, name, tag, error) && set_tag(storage, actor, name, tag, image, error);
}

gboolean box_is_draft(Storage *storage, const char *name, const BoxProviderKey *key)
{
    IngotDigest image;
    g_autofree char *tag = draft_tag(key);
    return storage_find_tag(storage, name, tag, &image, NULL);
}

gboolean box_draft_drop(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                        GError **error)
{
    IngotDigest before;
    g_autofree char *tag = draft_tag(key);
    return !storage_find_tag(storage, name, tag, &before, NULL) || storage_remove_tag(storage, actor, name, tag, error);
}

/* --- what is released --- */

gboolean box_provider_is_coming(const json_t *body)
{
    return json_is_true(json_object_get(body, "came")) && json_object_get(body, "image") == NULL &&
           json_object_get(body, "problem") == NULL;
}

gboolean box_is_coming(const BoxRecords *records, const char *version, const char *provider)
{
    const GPtrArray *providers = box_records_providers(records, version);
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        if ((provider == NULL || strcmp(one->provider, provider) == 0) && box_provider_is_coming(one->body)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_ready(const BoxProviderRecord *record)
{
    return json_object_get(record->body, "image") != NULL || json_object_get(record->body, "url") != NULL;
}

static gboolean add_image_of(const BoxProviderRecord *record, GArray *images, GError **error)
{
    IngotDigest digest;
    const char *image = json_string_value(json_object_get(record->body, "image"));
    const char *problem = json_string_value(json_object_get(record->body, "problem"));
    if (json_object_get(record->body, "url") != NULL) {
        return TRUE;
    }
    if (image != NULL) {
        if (!ingot_digest_parse(image, &digest, error)) {
            return FALSE;
        }
        g_array_append_val(images, digest);
        return TRUE;
    }
    if (box_provider_is_coming(record->body)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED,
                    "the box of provider %s for %s is still being taken in: try again", record->provider,
                    record->architecture);
        return FALSE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "provider %s for %s: %s", record->provider,
                record->architecture,
                problem != NULL ? problem : "it has neither a box nor a URL: upload its box, or remove it");
    return FALSE;
}

/* GArray of IngotDigest; NULL: not all are there. ready: those that are not are passed over. */
static GArray *images_of(const BoxRecords *records, const char *name, const char *version, gboolean ready,
                         GError **error)
{
    g_autoptr(GArray) images = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    const GPtrArray *providers = box_records_providers(records, version);
    if (providers == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s %s has no provider: create one, and upload its box",
                    name, version);
        return NULL;
    }
    for (guint i = 0; i < providers->len; i++) {
        const BoxProviderRecord *record = g_ptr_array_index(providers, i);
        if ((!ready || is_ready(record)) && !add_image_of(record, images, error)) {
            g_prefix_error(error, "%s %s: ", name, version);
            return NULL;
        }
    }
    return g_steal_pointer(&images);
}

/* --- the index --- */

/* *type: free it. */
static json_t *read_json(Storage *storage, const char *name, const IngotDigest *digest, gsize *size, char **type,
                         GError **error)
{
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, digest, type, error);
    *size = bytes == NULL ? 0 : g_bytes_get_size(bytes);
    return bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), *size, name, error);
}

/* Another than a disk of Ingot's may be what the version named before. */
static json_t *entry_new(Storage *storage, const char *name, const IngotDigest *image, GError **error)
{
    gsize size;
    g_autofree char *digest = ingot_digest_to_text(image), *type = NULL;
    g_autoptr(json_t) manifest = read_json(storage, name, image, &size, &type, error);
    g_autoptr(json_t) config = manifest == NULL ? NULL : growth_config(storage, name, manifest, error);
    g_autoptr(json_t) platform = config == NULL ? NULL : growth_platform(manifest, config);
    if (config == NULL) {
        return NULL;
    }
    if (platform == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s@%s does not say for which architecture it is", name,
                    digest);
        return NULL;
    }
    json_t *entry = ingot_json_pack("{s:s, s:s, s:I, s:O}", "mediaType", type, "digest", digest, "size",
                                    (json_int_t)size, "platform", platform);
    ingot_json_set_string(entry, "artifactType", json_string_value(json_object_get(manifest, "artifactType")));
    return entry;
}

static gboolean add_entry(Storage *storage, const char *name, json_t *entries, const IngotDigest *image, GError **error)
{
    json_t *entry = entry_new(storage, name, image, error);
    return entry != NULL && json_array_append_new(entries, entry) == 0;
}

/* What the tag names now, as the first entries: those of its index as they are, or its image. */
static json_t *first_entries(Storage *storage, const char *name, const IngotDigest *current, GError **error)
{
    gsize size;
    g_autofree char *type = NULL;
    g_autoptr(json_t) root = read_json(storage, name, current, &size, &type, error);
    const json_t *entries = json_object_get(root, "manifests");
    if (root == NULL) {
        return NULL;
    }
    if (json_is_array(entries)) {
        return json_deep_copy(entries);
    }
    g_autoptr(json_t) own = json_array();
    return add_entry(storage, name, own, current, error) ? g_steal_pointer(&own) : NULL;
}

/* Whether an index may take the place of what the version names. EXISTS: it is no growth of that; DENIED: that is
 * withheld, of which nobody would hear any more. */
static gboolean may_grow(Storage *storage, const char *name, const StorageManifest *index, const IngotDigest *current,
                         GError **error)
{
    g_autofree char *why = NULL;
    GError *problem = NULL;
    if (state_stands_in_the_way(storage, name, current, &why, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s", why);
        return FALSE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!growth_find(storage, name, index, current)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s: whoever has an image by this version would get another one: release it as a new version",
                    name);
        return FALSE;
    }
    return TRUE;
}

/* Of current NULL: the version has no tag yet. */
static gboolean put_index(Storage *storage, const StorageActor *actor, const char *name, json_t *entries,
                          const IngotDigest *current, IngotDigest *digest, GError **error)
{
    g_autoptr(json_t) root =
        ingot_json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", INGOT_TYPE_LIST, "manifests", entries);
    g_autofree char *text = ingot_json_canonical(root);
    g_autoptr(GArray) mentions = mentions_read(root);
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = INGOT_TYPE_LIST,
                                      .artifact = "",
                                      .mentions = mentions,
                                      .actor = actor};
    return (current == NULL || may_grow(storage, name, &manifest, current, error)) &&
           storage_resolve_mentions(storage, mentions, error) &&
           storage_put_manifest(storage, name, &manifest, digest, error);
}

/* Of current NULL: the version has no tag yet. there: the images that it has. */
static gboolean name_images(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                            const GArray *images, const IngotDigest *current, const GArray *there, GError **error)
{
    g_autoptr(json_t) entries = current == NULL ? json_array() : first_entries(storage, name, current, error);
    gboolean ok = entries != NULL;
    size_t before = json_array_size(entries);
    for (guint i = 0; ok && i < images->len; i++) {
        const IngotDigest *image = &g_array_index(images, IngotDigest, i);
        if (!digests_have(there, image)) {
            ok = add_entry(storage, name, entries, image, error);
        }
    }
    if (!ok || (current != NULL && json_array_size(entries) == before)) {
        return ok;
    }
    IngotDigest digest = g_array_index(images, IngotDigest, 0);
    if (json_array_size(entries) > 1 && !put_index(storage, actor, name, entries, current, &digest, error)) {
        return FALSE;
    }
    const StorageMoving moving = {.name = name, .tag = version, .to = &digest, .expected = current, .actor = actor};
    return storage_move_tag(storage, &moving, error);
}

/* Two boxes may have become the same image. */
static GArray *each_once(const GArray *images)
{
    GArray *once = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; i < images->len; i++) {
        const IngotDigest *image = &g_array_index(images, IngotDigest, i);
        if (!digests_have(once, image)) {
            g_array_append_val(once, *image);
        }
    }
    return once;
}

/* A box that is being taken in keeps its own. */
static gboolean drop_drafts(Storage *storage, const StorageActor *actor, const char *name, const GPtrArray *providers,
                            GError **error)
{
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (is_ready(one) && !box_draft_drop(storage, actor, name, &key, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean claims_nothing_taken(Storage *storage, const char *name, const BoxRecords *records,
                                     const BoxProviderRecord *record, const GArray *there, const GArray *images,
                                     GError **error)
{
    IngotDigest own;
    const char *image = json_string_value(json_object_get(record->body, "image"));
    const BoxProviderKey key = {record->version, record->provider, record->architecture};
    return image == NULL || json_object_get(record->body, "url") != NULL ||
           (ingot_digest_parse(image, &own, error) &&
            (digests_have(there, &own) || (box_claims_check(storage, name, records, &key, &own, there, error) &&
                                           box_claims_check(storage, name, records, &key, &own, images, error))));
}

/* Whether each box that comes to the version now will be listed. */
static gboolean claims_settled(Storage *storage, const char *name, const BoxRecords *records,
                               const GPtrArray *providers, const GArray *there, const GArray *images, GError **error)
{
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        if (!claims_nothing_taken(storage, name, records, one, there, images, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean box_is_gone(Storage *storage, const char *name, const char *version, const BoxRecords *records)
{
    IngotDigest current;
    const GPtrArray *providers = box_records_providers(records, version);
    if (!box_has_status(records, version, "active") || storage_find_tag(storage, name, version, &current, NULL)) {
        return FALSE;
    }
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (json_object_get(one->body, "image") != NULL && !box_is_draft(storage, name, &key)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* One that was pushed by other means has its boxes by its tag, and was revoked before. */
static gboolean release(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                        gboolean ready, GError **error)
{
    IngotDigest current;
    g_autoptr(BoxRecords) records = box_records_read(storage, name, error);
    if (records == NULL || !box_version_may_be(storage, name, version, error)) {
        return FALSE;
    }
    if (ready && box_is_gone(storage, name, version, records)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: the tag of version %s has been removed", name,
                    version);
        return FALSE;
    }
    const GPtrArray *providers = box_records_providers(records, version);
    gboolean tagged = storage_find_tag(storage, name, version, &current, NULL);
    g_autoptr(GArray) all = providers == NULL && tagged ? g_array_new(FALSE, FALSE, sizeof(IngotDigest))
                                                        : images_of(records, name, version, ready, error);
    g_autoptr(GArray) images = all == NULL ? NULL : each_once(all);
    g_autoptr(GArray) there =
        tagged ? view_entries(storage, name, &current) : g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    return images != NULL && claims_settled(storage, name, records, providers, there, images, error) &&
           (images->len == 0 ||
            name_images(storage, actor, name, version, images, tagged ? &current : NULL, there, error)) &&
           box_change_version(storage, actor, name, version, NULL, "active", FALSE, error) &&
           drop_drafts(storage, actor, name, providers, error);
}

gboolean box_release(Storage *storage, const StorageActor *actor, const char *name, const char *version, GError **error)
{
    return release(storage, actor, name, version, FALSE, error);
}

gboolean box_release_ready(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                           GError **error)
{
    return release(storage, actor, name, version, TRUE, error);
}
