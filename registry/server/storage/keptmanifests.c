#include "server/storage/keptmanifests.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/catalogue/aliasrows.h"
#include "server/catalogue/tags.h"
#include "server/storage/inside.h"
#include "server/storage/states.h"

#define OVERHEAD 256 /* bytes of tables and the like for each, about */

struct KeptManifests {
    GMutex lock;
    GHashTable *table; /* "NAME@REFERENCE" -> KeptManifest */
    guint64 sequence;  /* of the catalogue, that they are of */
    gsize size;        /* bytes */
};

void kept_manifest_unref(KeptManifest *manifest)
{
    if (manifest != NULL && g_atomic_ref_count_dec(&manifest->references)) {
        g_free(manifest->type);
        g_free(manifest->text);
        g_bytes_unref(manifest->bytes);
        json_decref(manifest->states);
        g_free(manifest);
    }
}

KeptManifests *kept_manifests_new(void)
{
    KeptManifests *kept = g_new0(KeptManifests, 1);
    g_mutex_init(&kept->lock);
    kept->table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)kept_manifest_unref);
    return kept;
}

void kept_manifests_free(KeptManifests *kept)
{
    g_hash_table_unref(kept->table);
    g_mutex_clear(&kept->lock);
    g_free(kept);
}

/* The lock is held. */
static void kept_empty(KeptManifests *kept)
{
    g_hash_table_remove_all(kept->table);
    kept->size = 0;
}

static KeptManifest *kept_look(KeptManifests *kept, const char *key, guint64 sequence)
{
    g_mutex_lock(&kept->lock);
    if (kept->sequence < sequence) {
        kept_empty(kept);
        kept->sequence = sequence;
    }
    KeptManifest *manifest = kept->sequence == sequence ? g_hash_table_lookup(kept->table, key) : NULL;
    if (manifest != NULL) {
        g_atomic_ref_count_inc(&manifest->references);
    }
    g_mutex_unlock(&kept->lock);
    return manifest;
}

/* One that was looked up when the catalogue stood at `sequence`. */
static void kept_add(KeptManifests *kept, const char *key, KeptManifest *manifest, guint64 sequence)
{
    gsize cost = OVERHEAD + strlen(key) + g_bytes_get_size(manifest->bytes) +
                 (manifest->states == NULL ? 0 : ingot_json_memory(manifest->states));
    g_mutex_lock(&kept->lock);
    if (kept->sequence == sequence && !g_hash_table_contains(kept->table, key)) {
        if (kept->size + cost > KEPT_MANIFESTS_MAX) {
            kept_empty(kept);
        }
        g_atomic_ref_count_inc(&manifest->references);
        g_hash_table_insert(kept->table, g_strdup(key), manifest);
        kept->size += cost;
    }
    g_mutex_unlock(&kept->lock);
}

static gboolean resolve(Storage *storage, const char *name, const char *reference, IngotDigest *digest, GError **error)
{
    /* No tag has a colon, and every digest has one. */
    return strchr(reference, ':') != NULL
               ? storage_digest(storage, reference, digest, error)
               : ingot_tag_check(reference, error) && storage_find_tag(storage, name, reference, digest, error);
}

/* What an answer calls it; free it. */
static char *text_of(Storage *storage, const char *name, const char *reference, const IngotDigest *digest)
{
    OciDigest alias;
    Tag row;
    gboolean found = FALSE;
    if (strchr(reference, ':') != NULL) {
        return g_strdup(reference);
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    gboolean ok = reader != NULL && tags_find(reader, name, reference, &row, NULL) && row.is_sha512 &&
                  alias_rows_find(reader, digest, &alias, &found, NULL) && found;
    return ok ? oci_digest_to_text(&alias) : ingot_digest_to_text(digest);
}

static KeptManifest *look_up(Storage *storage, const char *name, const char *reference, GError **error)
{
    IngotDigest digest;
    char *type;
    GBytes *bytes = resolve(storage, name, reference, &digest, error)
                        ? storage_manifest(storage, name, &digest, &type, error)
                        : NULL;
    if (bytes == NULL) {
        return NULL;
    }
    GError *problem = NULL;
    json_t *states = storage_states(storage, name, &digest, &problem);
    if (problem != NULL) {
        /* The manifest is whole: it is not to be looked for elsewhere, or pushed again. */
        problem->code = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ? INGOT_ERROR_FAILED : problem->code;
        g_propagate_error(error, problem);
        g_bytes_unref(bytes);
        g_free(type);
        return NULL;
    }
    KeptManifest *manifest = g_new(KeptManifest, 1);
    *manifest = (KeptManifest){.digest = digest,
                               .text = text_of(storage, name, reference, &digest),
                               .type = type,
                               .bytes = bytes,
                               .states = states};
    g_atomic_ref_count_init(&manifest->references);
    return manifest;
}

static char *key_of(const char *name, const char *reference)
{
    return g_strconcat(name, "@", reference, NULL);
}

KeptManifest *kept_manifest_find(Storage *storage, const char *name, const char *reference, GError **error)
{
    g_autofree char *key = key_of(name, reference);
    guint64 sequence = database_sequence(storage->catalogue); /* before it is looked up */
    KeptManifest *manifest = kept_look(storage->manifests, key, sequence);
    if (manifest == NULL) {
        manifest = look_up(storage, name, reference, error);
        if (manifest != NULL) {
            kept_add(storage->manifests, key, manifest, sequence);
        }
    }
    return manifest;
}

KeptManifest *kept_manifest_ready(Storage *storage, const char *name, const char *reference)
{
    g_autofree char *key = key_of(name, reference);
    return kept_look(storage->manifests, key, database_sequence(storage->catalogue));
}
