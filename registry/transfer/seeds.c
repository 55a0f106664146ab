#include "transfer/seeds.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "image/oldindex.h"
#include "store/doubts.h"

/* A distinct index of the store, with the disk that it is of. */
typedef struct {
    IngotDigest index, disk;
    gboolean doubted;
} Source;

struct Seeds {
    IngotStore *store;
    GArray *sources;    /* of Source; number 1 is the first */
    GHashTable *wanted; /* IngotDigest, the index's -> Seed */
    guint missing;      /* of those: not found yet */
};

void seeds_free(Seeds *seeds)
{
    g_array_unref(seeds->sources);
    g_hash_table_unref(seeds->wanted);
    g_free(seeds);
}

/* --- where to look --- */

static void add_manifests(GPtrArray *manifests, GHashTable *seen, const GPtrArray *entries, const char *name,
                          gboolean same)
{
    for (guint i = entries->len; i-- > 0;) { /* the highest version first */
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if ((strcmp(entry->name, name) == 0) == same && !g_hash_table_contains(seen, &entry->manifest.digest)) {
            IngotDigest *digest = g_memdup2(&entry->manifest.digest, sizeof entry->manifest.digest);
            g_hash_table_add(seen, digest);
            g_ptr_array_add(manifests, digest);
        }
    }
}

/* The digests of all manifests, each once, those of the name first; they are the set's. */
static GPtrArray *manifests_of(IngotStore *store, const char *name, GHashTable *seen, GError **error)
{
    g_autoptr(GPtrArray) named = ingot_store_list(store, error);
    g_autoptr(GPtrArray) former = named == NULL ? NULL : ingot_store_list_former(store, error);
    if (former == NULL) {
        return NULL;
    }
    GPtrArray *manifests = g_ptr_array_new();
    for (gint same = TRUE; same >= FALSE; same--) {
        add_manifests(manifests, seen, named, name, same);
        add_manifests(manifests, seen, former, name, same);
    }
    return manifests;
}

/* --- what is there --- */

static void find_in(Seeds *seeds, const IngotIndex *index, guint source)
{
    for (guint i = 0; i < index->chunks->len && seeds->missing > 0; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        Seed *seed = chunk->hole ? NULL : g_hash_table_lookup(seeds->wanted, &chunk->digest);
        if (seed != NULL && seed->source == 0 && seed->length == chunk->stored_length) {
            seed->source = source;
            seed->offset = chunk->stored_offset;
            seeds->missing--;
        }
    }
}

/* Frames of another encoder would give another blob. A damaged image is no seed. */
static void look_into(Seeds *seeds, const IngotDiskPair *pair, const char *encoder)
{
    g_autofree char *path = ingot_store_blob_path(seeds->store, &pair->disk.digest);
    g_autoptr(GBytes) bytes = ingot_store_read(seeds->store, &pair->index.digest, OLDINDEX_MAX, NULL);
    g_autoptr(IngotIndex) index = bytes == NULL ? NULL
                                                : oldindex_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                                                 pair->disk.size, "an index of the store", NULL);
    if (index != NULL && strcmp(index->encoder, encoder) == 0) {
        const Source source = {.index = pair->index.digest,
                               .disk = pair->disk.digest,
                               .doubted = doubts_has(seeds->store, &pair->index.digest, path)};
        g_array_append_val(seeds->sources, source);
        find_in(seeds, index, seeds->sources->len);
    }
}

static void look_into_disks(Seeds *seeds, const IngotManifest *manifest, guint count, GHashTable *seen,
                            const char *encoder)
{
    for (guint i = 0; i < count && seeds->missing > 0; i++) {
        const IngotDiskPair *pair = ingot_manifest_disk(manifest, i);
        if (!g_hash_table_contains(seen, &pair->index.digest)) {
            g_hash_table_add(seen, g_memdup2(&pair->index.digest, sizeof pair->index.digest));
            look_into(seeds, pair, encoder);
        }
    }
}

static void look_through(Seeds *seeds, const GPtrArray *manifests, GHashTable *seen, const char *encoder)
{
    for (guint i = 0; i < manifests->len && seeds->missing > 0; i++) {
        g_autoptr(GBytes) bytes =
            ingot_store_read(seeds->store, g_ptr_array_index(manifests, i), INGOT_MANIFEST_MAX, NULL);
        g_autoptr(IngotManifest) manifest =
            bytes == NULL ? NULL
                          : ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                                 "a manifest of the store", NULL);
        look_into_disks(seeds, manifest, manifest == NULL ? 0 : manifest->disks->len, seen, encoder);
    }
}

static GHashTable *digest_set(void)
{
    return g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, g_free, NULL);
}

/* The chunks that are not there yet: the table's keys are the index's. */
static void note_wanted(Seeds *seeds, const IngotIndex *index, const guint8 *have)
{
    for (guint i = 0; i < index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(index, i);
        if (!chunk->hole && !have[i] && !g_hash_table_contains(seeds->wanted, &chunk->digest)) {
            Seed *seed = g_new0(Seed, 1);
            seed->length = chunk->stored_length;
            g_hash_table_insert(seeds->wanted, (gpointer)&chunk->digest, seed);
        }
    }
    seeds->missing = g_hash_table_size(seeds->wanted);
}

Seeds *seeds_find(IngotStore *store, const char *name, const SeedsWanted *wanted, const guint8 *have, GError **error)
{
    g_autoptr(GHashTable) named = digest_set(), seen = digest_set();
    g_autoptr(GPtrArray) manifests = manifests_of(store, name, named, error);
    if (manifests == NULL) {
        return NULL;
    }
    Seeds *seeds = g_new0(Seeds, 1);
    seeds->store = store;
    seeds->sources = g_array_new(FALSE, FALSE, sizeof(Source));
    seeds->wanted = g_hash_table_new_full(ingot_digest_hash, ingot_digest_equal, NULL, g_free);
    if (manifests->len > 0 || wanted->number > 0) {
        note_wanted(seeds, wanted->index, have);
    }
    look_into_disks(seeds, wanted->image, wanted->number, seen, wanted->index->encoder);
    look_through(seeds, manifests, seen, wanted->index->encoder);
    return seeds;
}

/* --- their use --- */

gboolean seeds_get(const Seeds *seeds, const IngotChunk *chunk, Seed *seed)
{
    const Seed *found = chunk->hole ? NULL : g_hash_table_lookup(seeds->wanted, &chunk->digest);
    if (found == NULL || found->source == 0 || found->length != chunk->stored_length) {
        return FALSE;
    }
    *seed = *found;
    return TRUE;
}

static const Source *source_at(const Seeds *seeds, guint source)
{
    return &g_array_index(seeds->sources, Source, source - 1);
}

int seeds_open(const Seeds *seeds, guint source)
{
    g_autofree char *path = ingot_store_blob_path(seeds->store, &source_at(seeds, source)->disk);
    return ingot_file_open(path, O_RDONLY | O_NONBLOCK, 0, NULL);
}

gboolean seeds_is_doubted(const Seeds *seeds, guint source)
{
    return source_at(seeds, source)->doubted;
}

void seeds_doubt(const Seeds *seeds, guint source)
{
    const Source *doubted = source_at(seeds, source);
    g_autofree char *path = ingot_store_blob_path(seeds->store, &doubted->disk);
    doubts_note(seeds->store, &doubted->index, path);
}
