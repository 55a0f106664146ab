#include "server/boxes/boxchange.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/boxes/boxrecords.h"
#include "server/storage/channels.h"

#define VERSIONS_MAX 5000u          /* of a name, with a record */
#define PROVIDERS_MAX 100u          /* of a version, with one */
#define DESCRIPTIONS_MAX (4u << 20) /* bytes, of all versions of a name: a catalogue reads all of them */
#define PROVIDER_MAX (16u << 10)    /* bytes that a provider's record has, about */
#define RECORDS_MAX (16u << 20)     /* bytes of all records of a name's versions and providers, about */

/* One change of a record: sets members of its body. */
typedef struct {
    const json_t *members;
    const char *upload; /* the record must have it; NULL: any */
    gboolean fresh;     /* it must not be there */
    gboolean may_begin; /* it need not be there */
    enum { CHANGE_DONE, CHANGE_EXISTS, CHANGE_LACKS } outcome;
} RecordChange;

static gint64 seconds_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static gboolean is_of_upload(const json_t *body, const char *upload)
{
    return upload == NULL || g_strcmp0(json_string_value(json_object_get(body, "upload")), upload) == 0;
}

/* For storage_change_record. */
static json_t *set_members(const json_t *body, gpointer user)
{
    RecordChange *change = user;
    change->outcome = body != NULL && change->fresh ? CHANGE_EXISTS
                      : (body == NULL && !change->fresh && !change->may_begin) || !is_of_upload(body, change->upload)
                          ? CHANGE_LACKS
                          : CHANGE_DONE;
    if (change->outcome != CHANGE_DONE) {
        return NULL;
    }
    json_t *next = body == NULL ? json_object() : json_deep_copy(body), *value;
    const char *key;
    json_object_foreach((json_t *)change->members, key, value)
    {
        if (json_is_null(value)) {
            json_object_del(next, key);
        } else {
            json_object_set(next, key, value);
        }
    }
    gint64 now = seconds_now();
    if (json_object_get(next, "created") == NULL) {
        json_object_set_new(next, "created", json_integer(now));
    }
    json_object_set_new(next, "updated", json_integer(now));
    return next;
}

/* what names the thing in errors. */
static gboolean change_record(Storage *storage, const StorageActor *actor, const char *kind, const char *name,
                              const char *key, RecordChange *change, const char *what, GError **error)
{
    if (!storage_change_record(storage, actor, kind, name, key, set_members, change, error)) {
        return FALSE;
    }
    if (change->outcome == CHANGE_EXISTS) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s already exists", what);
    } else if (change->outcome == CHANGE_LACKS) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no such thing", what);
    }
    return change->outcome == CHANGE_DONE;
}

static void set_given(json_t *members, const char *key, const json_t *value)
{
    if (value != NULL) {
        json_object_set(members, key, (json_t *)value);
    }
}

static gsize length_of(const json_t *text)
{
    return json_string_length(text);
}

gboolean box_change(Storage *storage, const StorageActor *actor, const char *name, const BoxSaid *said, gboolean fresh,
                    GError **error)
{
    g_autoptr(json_t) members = json_object();
    RecordChange change = {.members = members, .fresh = fresh, .may_begin = TRUE};
    g_autofree char *what = g_strdup_printf("the box %s", said->tag == NULL ? name : said->tag);
    ingot_json_set_string(members, "tag", said->tag);
    set_given(members, "short_description", said->short_description);
    set_given(members, "description", said->description);
    set_given(members, "private", said->private);
    if (length_of(said->short_description) + length_of(said->description) > BOX_SAID_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: more than %u KiB are said of it", what,
                    BOX_SAID_MAX >> 10);
        return FALSE;
    }
    return change_record(storage, actor, BOX_RECORD, name, BOX_KEY, &change, what, error);
}

/* --- how much is said of a name --- */

/* Bytes of the descriptions of all versions but one. */
static gsize described(const BoxRecords *records, const char *version)
{
    GHashTableIter iter;
    gpointer key, body;
    gsize size = 0;
    g_hash_table_iter_init(&iter, records->versions);
    while (g_hash_table_iter_next(&iter, &key, &body)) {
        size += strcmp(key, version) == 0 ? 0 : length_of(json_object_get(body, "description"));
    }
    return size;
}

/* Whether so many bytes may come to what is said of a name: all of it is read at once. */
static gboolean has_room_in_all(Storage *storage, const char *name, gsize more, GError **error)
{
    guint64 versions, providers;
    if (!storage_records_size(storage, BOX_VERSION_RECORD, name, &versions, error) ||
        !storage_records_size(storage, BOX_PROVIDER_RECORD, name, &providers, error)) {
        return FALSE;
    }
    if (versions + providers + more > RECORDS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: what is said of its versions and providers has more than %u MiB", name, RECORDS_MAX >> 20);
        return FALSE;
    }
    return TRUE;
}

static gboolean has_record(Storage *storage, const char *name, const char *version)
{
    g_autoptr(json_t) record = storage_record(storage, BOX_VERSION_RECORD, name, version, NULL);
    return record != NULL;
}

/* Whoever may push a name writes what everybody reads. A change of a record that says no more needs no room. */
static gboolean has_room(Storage *storage, const char *name, const char *version, const json_t *description,
                         GError **error)
{
    if (description == NULL && has_record(storage, name, version)) {
        return TRUE;
    }
    g_autoptr(BoxRecords) records = has_room_in_all(storage, name, strlen(version) + length_of(description), error)
                                        ? box_records_read(storage, name, error)
                                        : NULL;
    if (records == NULL) {
        return FALSE;
    }
    if (box_records_version(records, version) == NULL && g_hash_table_size(records->versions) >= VERSIONS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: more than %u versions are not described", name,
                    VERSIONS_MAX);
        return FALSE;
    }
    if (description != NULL && described(records, version) + length_of(description) > DESCRIPTIONS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: its versions' descriptions have more than %u MiB", name,
                    DESCRIPTIONS_MAX >> 20);
        return FALSE;
    }
    return TRUE;
}

/* Of a provider that is new: of an old one the text alone can grow. */
static gboolean has_room_for_provider(Storage *storage, const char *name, const BoxProviderKey *key,
                                      const json_t *members, gboolean fresh, GError **error)
{
    g_autofree char *text = ingot_json_canonical(members);
    if (strlen(text) > PROVIDER_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s %s: more than %u KiB are said of provider %s", name,
                    key->version, PROVIDER_MAX >> 10, key->provider);
        return FALSE;
    }
    gboolean says_more = fresh || json_is_string(json_object_get(members, "url"));
    if (says_more && !has_room_in_all(storage, name, strlen(text), error)) {
        return FALSE;
    }
    g_autoptr(BoxRecords) records = fresh ? box_records_read(storage, name, error) : NULL;
    const GPtrArray *providers = records == NULL ? NULL : box_records_providers(records, key->version);
    if (providers != NULL && providers->len >= PROVIDERS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s %s: a version has %u providers at most", name,
                    key->version, PROVIDERS_MAX);
        return FALSE;
    }
    return !fresh || records != NULL;
}

/* --- changes --- */

gboolean box_version_may_be(Storage *storage, const char *name, const char *version, GError **error)
{
    if (storage_is_channel(storage, name, version)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s:%s is a channel, and no version can have its name",
                    name, version);
        return FALSE;
    }
    return TRUE;
}

gboolean box_change_version(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                            const json_t *description, const char *status, gboolean fresh, GError **error)
{
    g_autoptr(json_t) members = json_object();
    RecordChange change = {.members = members, .fresh = fresh, .may_begin = TRUE};
    g_autofree char *what = g_strdup_printf("%s: version %s", name, version);
    set_given(members, "description", description);
    ingot_json_set_string(members, "status", fresh ? "unreleased" : status);
    return box_version_may_be(storage, name, version, error) && has_room(storage, name, version, description, error) &&
           change_record(storage, actor, BOX_VERSION_RECORD, name, version, &change, what, error);
}

gboolean box_begin_mirrored(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                            const json_t *description, GError **error)
{
    g_autoptr(json_t) members = ingot_json_pack("{s:s, s:b}", "status", "unreleased", "mirrored", 1);
    RecordChange change = {.members = members, .fresh = TRUE, .may_begin = TRUE};
    g_autofree char *what = g_strdup_printf("%s: version %s", name, version);
    set_given(members, "description", description);
    return box_version_may_be(storage, name, version, error) && has_room(storage, name, version, description, error) &&
           change_record(storage, actor, BOX_VERSION_RECORD, name, version, &change, what, error);
}

gboolean box_change_provider(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                             const json_t *members, gboolean fresh, GError **error)
{
    RecordChange change = {.members = members, .fresh = fresh};
    g_autofree char *text = box_provider_key(key->version, key->provider, key->architecture);
    g_autofree char *what =
        g_strdup_printf("%s %s: provider %s for %s", name, key->version, key->provider, key->architecture);
    return has_room_for_provider(storage, name, key, members, fresh, error) &&
           change_record(storage, actor, BOX_PROVIDER_RECORD, name, text, &change, what, error);
}

static gboolean has_room_to_begin(Storage *storage, const char *name, const char *version, GError **error)
{
    g_autoptr(json_t) record = storage_record(storage, BOX_VERSION_RECORD, name, version, NULL);
    g_auto(GStrv) begun = box_records_begun(record);
    if (begun != NULL && g_strv_length(begun) >= PROVIDERS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s %s: a version has %u providers at most", name, version,
                    PROVIDERS_MAX);
        return FALSE;
    }
    return TRUE;
}

gboolean box_change_begun(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                          const char *provider, gboolean begun, GError **error)
{
    g_autofree char *key = box_begun_key(provider), *what = g_strdup_printf("%s: version %s", name, version);
    g_autoptr(json_t) members = json_object();
    RecordChange change = {.members = members};
    json_object_set_new(members, key, begun ? json_true() : json_null());
    return (!begun || has_room_to_begin(storage, name, version, error)) &&
           change_record(storage, actor, BOX_VERSION_RECORD, name, version, &change, what, error);
}

gboolean box_change_upload(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                           const char *upload, const json_t *members, GError **error)
{
    RecordChange change = {.members = members, .upload = upload};
    g_autofree char *text = box_provider_key(key->version, key->provider, key->architecture);
    return change_record(storage, actor, BOX_PROVIDER_RECORD, name, text, &change, "the upload", error);
}

gboolean box_drop_provider(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                           GError **error)
{
    g_autofree char *text = box_provider_key(key->version, key->provider, key->architecture);
    return storage_put_record(storage, actor, BOX_PROVIDER_RECORD, name, text, NULL, error);
}

gboolean box_drop_version(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                          const BoxRecords *records, GError **error)
{
    const GPtrArray *providers = box_records_providers(records, version);
    for (guint i = 0; providers != NULL && i < providers->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(providers, i);
        const BoxProviderKey key = {one->version, one->provider, one->architecture};
        if (!box_drop_provider(storage, actor, name, &key, error)) {
            return FALSE;
        }
    }
    return box_records_version(records, version) == NULL ||
           storage_put_record(storage, actor, BOX_VERSION_RECORD, name, version, NULL, error);
}

gboolean box_drop(Storage *storage, const StorageActor *actor, const char *name, GError **error)
{
    g_autoptr(BoxRecords) records = box_records_read(storage, name, error);
    GHashTableIter iter;
    gpointer version;
    if (records == NULL) {
        return FALSE;
    }
    g_hash_table_iter_init(&iter, records->versions);
    while (g_hash_table_iter_next(&iter, &version, NULL)) {
        if (!box_drop_version(storage, actor, name, version, records, error)) {
            return FALSE;
        }
    }
    return records->box == NULL || storage_put_record(storage, actor, BOX_RECORD, name, BOX_KEY, NULL, error);
}
