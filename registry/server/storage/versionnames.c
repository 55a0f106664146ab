#include "server/storage/versionnames.h"

#include <ingot/reference.h>

#include "server/storage/changes.h"
#include "server/storage/growth.h"
#include "server/storage/inside.h"
#include "server/storage/mentions.h"

#define ENTRIES_MAX 256u           /* of an index; what stands behind them has no version by it... */
#define ENTRIES_BYTES (256u << 10) /* ...nor has any of a larger index */
#define DIGESTS_MAX 65536u         /* digests of all tables, about 150 bytes each; past it, all go */

/* Nobody changes it once others have it. */
typedef struct {
    GHashTable *versions; /* digest as text -> version */
    guint64 sequence;     /* the catalogue's, as of which it is good */
    guint64 event;        /* the last one then */
} Kept;

struct VersionNames {
    GMutex lock;
    GHashTable *tables; /* repository -> Kept */
    guint digests;      /* in all of them */
};

static void kept_free(gpointer data)
{
    Kept *kept = data;
    g_hash_table_unref(kept->versions);
    g_free(kept);
}

VersionNames *version_names_new(void)
{
    VersionNames *names = g_new0(VersionNames, 1);
    g_mutex_init(&names->lock);
    names->tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, kept_free);
    return names;
}

void version_names_free(VersionNames *names)
{
    g_hash_table_unref(names->tables);
    g_mutex_clear(&names->lock);
    g_free(names);
}

/* --- what is kept --- */

static GHashTable *find_by_sequence(VersionNames *names, const char *name, guint64 sequence)
{
    g_mutex_lock(&names->lock);
    const Kept *kept = g_hash_table_lookup(names->tables, name);
    GHashTable *versions = kept != NULL && kept->sequence == sequence ? g_hash_table_ref(kept->versions) : NULL;
    g_mutex_unlock(&names->lock);
    return versions;
}

/* The sequence was read before the event: if that is the last one still, the table is good as of it. */
static GHashTable *find_by_event(VersionNames *names, const char *name, guint64 sequence, guint64 event)
{
    GHashTable *versions = NULL;
    g_mutex_lock(&names->lock);
    Kept *kept = g_hash_table_lookup(names->tables, name);
    if (kept != NULL && kept->event == event) {
        kept->sequence = sequence;
        versions = g_hash_table_ref(kept->versions);
    }
    g_mutex_unlock(&names->lock);
    return versions;
}

/* Both numbers were read before the table was. */
static void keep(VersionNames *names, const char *name, GHashTable *versions, guint64 sequence, guint64 event)
{
    guint digests = g_hash_table_size(versions);
    if (digests > DIGESTS_MAX) {
        return;
    }
    Kept *kept = g_new(Kept, 1);
    *kept = (Kept){.versions = g_hash_table_ref(versions), .sequence = sequence, .event = event};
    g_mutex_lock(&names->lock);
    const Kept *before = g_hash_table_lookup(names->tables, name);
    names->digests -= before == NULL ? 0 : g_hash_table_size(before->versions);
    if (names->digests + digests > DIGESTS_MAX) {
        g_hash_table_remove_all(names->tables);
        names->digests = 0;
    }
    names->digests += digests;
    g_hash_table_replace(names->tables, g_strdup(name), kept);
    g_mutex_unlock(&names->lock);
}

/* --- making it --- */

/* The highest counts. */
static void name_version(GHashTable *versions, const IngotDigest *digest, const char *tag)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    const char *other = g_hash_table_lookup(versions, text);
    if (other == NULL || ingot_tag_compare(tag, other) > 0) {
        g_hash_table_insert(versions, g_steal_pointer(&text), g_strdup(tag));
    }
}

/* What an index has is of its version, too: what the version named before it grew. FALSE: it can't be read, and names
 * nothing but itself. */
static gboolean name_entries(Storage *storage, const char *name, const StorageVersion *row, GHashTable *versions)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, &row->digest, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    if (mentions == NULL || !storage_resolve_mentions(storage, mentions, NULL)) {
        return FALSE;
    }
    for (guint i = 0; i < MIN(mentions->len, ENTRIES_MAX); i++) {
        name_version(versions, &g_array_index(mentions, Mention, i).digest, row->tag);
    }
    return TRUE;
}

/* *whole: all indexes could be read. */
static GHashTable *make_table(Storage *storage, const char *name, gboolean *whole, GError **error)
{
    g_autoptr(GArray) rows = storage_versions(storage, name, NULL, G_MAXUINT - 1, error);
    g_autoptr(GHashTable) versions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    *whole = TRUE;
    for (guint i = 0; rows != NULL && i < rows->len; i++) {
        const StorageVersion *row = &g_array_index(rows, StorageVersion, i);
        if (!ingot_tag_is_version(row->tag)) {
            continue;
        }
        name_version(versions, &row->digest, row->tag);
        if (growth_is_index(row->type) && row->size <= ENTRIES_BYTES) {
            *whole = name_entries(storage, name, row, versions) && *whole;
        }
    }
    return rows == NULL ? NULL : g_steal_pointer(&versions);
}

GHashTable *storage_version_names(Storage *storage, const char *name, GError **error)
{
    VersionNames *names = storage->version_names;
    guint64 sequence = storage_sequence(storage), event;
    GHashTable *found = find_by_sequence(names, name, sequence);
    if (found != NULL) {
        return found;
    }
    if (!storage_last_event(storage, &event, error)) {
        return NULL;
    }
    found = find_by_event(names, name, sequence, event);
    if (found != NULL) {
        return found;
    }
    gboolean whole;
    found = make_table(storage, name, &whole, error);
    if (found != NULL && whole) {
        keep(names, name, found, sequence, event);
    }
    return found;
}

char *storage_version_of(Storage *storage, const char *name, const IngotDigest *digest)
{
    g_autoptr(GHashTable) versions = storage_version_names(storage, name, NULL);
    g_autofree char *text = ingot_digest_to_text(digest);
    return versions == NULL ? NULL : g_strdup(g_hash_table_lookup(versions, text));
}
