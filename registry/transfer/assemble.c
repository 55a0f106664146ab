#include "transfer/assemble.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/encoder.h"
#include "remote/spans.h"
#include "store/blobs.h"
#include "transfer/assembly.h"

/* A disk on its way into the store. */
typedef struct {
    Assembly work;
    IngotRemote *remote;
    const char *name; /* in the registry */
    const IngotDescriptor *blob;
    const GArray *ranges; /* of IngotRange: what is fetched now */
    guint64 *received;
} Disk;

/* --- what must be fetched --- */

static gboolean is_to_fetch(const Assembly *work, guint i)
{
    return work->states[i] == FRAME_LATE || (work->states[i] == FRAME_MISSING && !assembly_has_local(work, i));
}

static GArray *missing_ranges(const Assembly *work)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(IngotRange));
    for (guint i = 0; i < work->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(work->index, i);
        if (is_to_fetch(work, i)) {
            ranges_join(ranges, chunk->stored_offset, chunk->stored_length);
        }
    }
    return ranges;
}

static gboolean got_range(guint64 offset, const void *bytes, gsize size, gpointer user, GError **error)
{
    Disk *disk = user;
    return assembly_add(&disk->work, offset, bytes, size, error);
}

static gboolean fetch(gpointer user, GError **error)
{
    Disk *disk = user;
    return ingot_remote_get_ranges(disk->remote, disk->name, &disk->blob->digest, disk->blob->size,
                                   (const IngotRange *)(gpointer)disk->ranges->data, disk->ranges->len, got_range, disk,
                                   disk->received, error);
}

static gboolean is_complete(const Assembly *work)
{
    return work->behind == work->index->chunks->len;
}

/* What is missing is told before any thread places frames. Seeds that can't be read after all are fetched in a second
 * round. */
static gboolean place_and_fetch(Disk *disk, GError **error)
{
    for (guint round = 0; round < 2; round++) {
        g_autoptr(GArray) ranges = missing_ranges(&disk->work);
        disk->ranges = ranges;
        if (!assembly_run(&disk->work, fetch, disk, error)) {
            return FALSE;
        }
        if (is_complete(&disk->work)) {
            return TRUE;
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: not all frames have come", disk->work.name);
    return FALSE;
}

/* --- the whole --- */

/* FALSE with CORRUPT: it is not the disk. */
static gboolean finish(Disk *disk, GError **error)
{
    Assembly *work = &disk->work;
    g_autoptr(GBytes) table = ingot_seek_table(work->index);
    gsize size = g_bytes_get_size(table);
    IngotDigest digest;
    if (!ingot_file_pwrite(work->fd, g_bytes_get_data(table, NULL), size, work->index->blob_size, work->name, error)) {
        return FALSE;
    }
    if (ftruncate(work->fd, (off_t)disk->blob->size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", work->name);
    }
    if (!assembly_end(work, error)) {
        return FALSE;
    }
    ingot_hasher_add(work->hasher, g_bytes_get_data(table, NULL), size);
    ingot_hasher_finish(work->hasher, &digest);
    if (!ingot_digest_equal(&digest, &disk->blob->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "%s: the assembled disk does not have the digest that the manifest names", work->name);
        return FALSE;
    }
    return TRUE;
}

/* Notes the seeds whose frames are not what their indexes say. */
static void doubt_seeds(const Assembly *work)
{
    g_autoptr(GHashTable) doubted = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < work->index->chunks->len; i++) {
        Seed seed;
        if (work->states[i] == FRAME_MISSING && seeds_get(work->seeds, ingot_index_chunk(work->index, i), &seed) &&
            g_hash_table_add(doubted, GUINT_TO_POINTER(seed.source))) {
            seeds_doubt(work->seeds, seed.source);
        }
    }
}

/* Each frame is checked, and those that are not what they should be are fetched. */
static gboolean mend(Disk *disk, GError **error)
{
    if (!assembly_recognize(&disk->work, error)) {
        return FALSE;
    }
    doubt_seeds(&disk->work);
    disk->work.seeds = NULL;
    disk->work.own_encoder = FALSE;
    return place_and_fetch(disk, error);
}

/* What was found here may have been damaged, or not what it was said to be, and what came may have been spoilt on its
 * way: what is wrong is fetched once more. *wrong: there is nothing for the next pull to go on from. Where all frames
 * are right and the whole is not, each pull that kept them would end like this one. */
static gboolean assemble(Disk *disk, gboolean *wrong, GError **error)
{
    for (gboolean mended = FALSE;; mended = TRUE) {
        GError *problem = NULL;
        if (!(mended ? mend : place_and_fetch)(disk, error)) {
            return FALSE;
        }
        if (finish(disk, &problem)) {
            return TRUE;
        }
        gboolean corrupt = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
        if (!corrupt || mended) {
            *wrong = corrupt && !assembly_is_partly_right(&disk->work);
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
    }
}

static gboolean assemble_in(Disk *disk, IngotStore *store, const IngotReference *reference, const SeedsWanted *wanted,
                            gboolean fresh, gboolean *wrong, GError **error)
{
    Assembly *work = &disk->work;
    g_autofree char *local = g_strdup_printf("%s/%s", reference->host, reference->name);
    if (!fresh && !assembly_recognize(work, error)) {
        return FALSE;
    }
    g_autoptr(Seeds) seeds = seeds_find(store, local, wanted, work->states, error);
    work->seeds = seeds;
    if (seeds == NULL) {
        return FALSE;
    }
    return assemble(disk, wrong, error);
}

gboolean assemble_disk(IngotStore *store, IngotRemote *remote, const IngotReference *reference,
                       const SeedsWanted *wanted, IngotProgress *progress, guint64 *received, GError **error)
{
    gboolean fresh, wrong = FALSE;
    const IngotDescriptor *blob = &ingot_manifest_disk(wanted->image, wanted->number)->disk;
    IngotStoreFile *file = ingot_store_resume(store, &blob->digest, &fresh, error);
    if (file == NULL) {
        return FALSE;
    }
    Disk disk = {.work = {.fd = file->fd,
                          .name = file->path,
                          .own_encoder = strcmp(wanted->index->encoder, ingot_encoder_name()) == 0,
                          .progress = progress},
                 .remote = remote,
                 .name = reference->name,
                 .blob = blob,
                 .received = received};
    assembly_init(&disk.work, wanted->index);
    gboolean ok = assemble_in(&disk, store, reference, wanted, fresh, &wrong, error);
    assembly_clear(&disk.work);
    if (ok) {
        return ingot_store_adopt(store, file, &blob->digest, error);
    }
    /* Wrong bytes would be fetched along again; what was cut off is what the next pull goes on from. */
    if (wrong) {
        ingot_store_discard(file);
    } else {
        ingot_store_suspend(file);
    }
    return FALSE;
}
