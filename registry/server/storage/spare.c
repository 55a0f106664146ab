/* What a rebuild does with what nothing leads to: garbage that is damaged goes at once; where something is lost, the
 * rest is spared for a while (catalogue/spared.h). */
#include "server/catalogue/holdings.h"
#include "server/catalogue/marks.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/pieceusers.h"
#include "server/catalogue/repositories.h"
#include "server/catalogue/spared.h"
#include "server/storage/recovery.h"

/* Whether the log tells of each name that was ever given or taken away. */
static gboolean log_is_whole(const Rebuild *rebuild)
{
    return !rebuild->no_log && !rebuild->no_picture && rebuild->replay->gaps->len == 0;
}

/* The table of a blob that was deleted may count on pieces that were deleted as well: that is no damage. Where the log
 * is damaged, nobody knows that the blob was deleted. */
static gboolean drop_damaged_garbage(Rebuild *rebuild, GError **error)
{
    if (rebuild->report->lost > 0 && !log_is_whole(rebuild)) {
        return TRUE;
    }
    g_autoptr(GArray) blobs = pieceusers_damaged(rebuild->change.writer, error);
    for (guint i = 0; blobs != NULL && i < blobs->len; i++) {
        gboolean dropped;
        const DamagedBlob *blob = &g_array_index(blobs, DamagedBlob, i);
        if (!holdings_drop_blob(rebuild->change.writer, &blob->digest, &dropped, error)) {
            return FALSE;
        }
        rebuild->report->blobs -= dropped ? 1 : 0;
    }
    return blobs != NULL;
}

static gboolean spare_pieces(Rebuild *rebuild, const GByteArray *needed, gint64 until, GError **error)
{
    g_autoptr(GArray) nameless = marks_unneeded(rebuild->change.writer, needed, error);
    gboolean ok = nameless != NULL;
    for (guint i = 0; ok && i < nameless->len; i++) {
        ok = spared_add_piece(rebuild->change.writer, g_array_index(nameless, Dead, i).piece, until, error);
    }
    return ok;
}

static gboolean spare_packs(Rebuild *rebuild, gint64 until, GError **error)
{
    GHashTableIter iterator;
    gpointer pack;
    gboolean ok = TRUE;
    g_hash_table_iter_init(&iterator, rebuild->doubtful);
    while (ok && g_hash_table_iter_next(&iterator, &pack, NULL)) {
        gboolean known;
        gint64 number = *(const gint64 *)pack;
        ok = pieces_has_pack(rebuild->change.writer, number, &known, error) &&
             (!known || spared_add_pack(rebuild->change.writer, number, until, error));
    }
    return ok;
}

static gboolean spare_repositories(Rebuild *rebuild, gint64 until, GError **error)
{
    GHashTableIter iterator;
    gpointer name;
    gboolean ok = TRUE;
    g_hash_table_iter_init(&iterator, rebuild->bereft);
    while (ok && g_hash_table_iter_next(&iterator, &name, NULL)) {
        gint64 repository = repositories_find(rebuild->change.writer, name, error);
        ok = repository == 0 ||
             (repository > 0 && spared_add_repository(rebuild->change.writer, repository, until, error));
    }
    return ok;
}

gboolean rebuild_spare(Rebuild *rebuild, GError **error)
{
    gint64 until = storage_now() + (gint64)LOST_GRACE;
    if (!drop_damaged_garbage(rebuild, error)) {
        return FALSE;
    }
    g_autoptr(GByteArray) needed = marks_needed(rebuild->change.writer, NULL, error);
    if (needed == NULL || !marks_drop_placeless(rebuild->change.writer, needed, error)) {
        return FALSE;
    }
    return (rebuild->report->lost == 0 && !rebuild->lacks) ||
           (spare_pieces(rebuild, needed, until, error) && spare_packs(rebuild, until, error) &&
            spare_repositories(rebuild, until, error));
}
