/* The SHA-256 of a layout: read on all cores, hashed in order. */
#include "format/extents.h"
#include "format/parallel.h"
#include "format/segments.h"

#define PIECE ((guint64)1 << 20) /* bytes that a thread takes at once */

typedef struct {
    const IngotLayout *layout;
    IngotDisk *disk;
    const Early *early;
    IngotProgress *progress;
    IngotHasher *hasher;
} Sum;

static guint64 size_of(const Sum *sum, guint64 number)
{
    return MIN(PIECE, ingot_layout_size(sum->layout) - number * PIECE);
}

static gboolean read_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    const Sum *sum = user;
    return layout_read_early(sum->layout, number * PIECE, slot, (gsize)size_of(sum, number), sum->disk, sum->early,
                             error);
}

static gboolean hash_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    (void)error;
    const Sum *sum = user;
    ingot_hasher_add(sum->hasher, slot, (gsize)size_of(sum, number));
    ingot_progress_add(sum->progress, size_of(sum, number));
    return TRUE;
}

gboolean layout_digest_early(const IngotLayout *layout, IngotDisk *disk, const Early *early, IngotProgress *progress,
                             IngotDigest *digest, GError **error)
{
    static const ParallelWork work = {.work = read_piece, .done = hash_piece, .slot_size = PIECE};
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    Sum sum = {.layout = layout, .disk = disk, .early = early, .progress = progress, .hasher = hasher};
    if (!parallel_run(&work, extents_divide_up(ingot_layout_size(layout), PIECE), &sum, error)) {
        return FALSE;
    }
    ingot_hasher_finish(hasher, digest);
    return TRUE;
}

gboolean ingot_layout_digest(const IngotLayout *layout, IngotDisk *disk, IngotProgress *progress, IngotDigest *digest,
                             GError **error)
{
    return layout_digest_early(layout, disk, NULL, progress, digest, error);
}
