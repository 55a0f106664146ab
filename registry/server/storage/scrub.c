#include "server/storage/scrub.h"

#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "server/catalogue/packrows.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/pieceusers.h"
#include "server/storage/audit.h"

void scrub_tell(Scrub *scrub, const char *format, ...)
{
    va_list values;
    if (scrub->options->tell == NULL) {
        return;
    }
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    scrub->options->tell(line, scrub->options->user);
}

gboolean scrub_goes_on(Scrub *scrub, guint64 bytes, GError **error)
{
    scrub->report->bytes += bytes;
    if (scrub->options->stop != NULL && scrub->options->stop(scrub->options->user)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the scrub was broken off");
        return FALSE;
    }
    if (scrub->options->rate > 0) {
        gint64 due = scrub->began + (gint64)((double)scrub->report->bytes / (double)scrub->options->rate * 1e6);
        gint64 now = g_get_monotonic_time();
        if (due > now) {
            g_usleep((gulong)MIN(due - now, G_USEC_PER_SEC));
        }
    }
    return TRUE;
}

/* --- damaged pieces --- */

static gboolean put_piece(Storage *storage, const PackPiece *stored, GBytes *bytes)
{
    Change change;
    gint64 none = 0;
    g_autoptr(Table) table = table_new();
    table_add(table, &stored->digest, stored->length, TRUE);
    return change_begin(storage, &change, NULL) &&
           change_end(&change, publish_small(&change, table, g_bytes_get_data(bytes, NULL), &none, NULL), NULL);
}

/* From that place elsewhere, if it has the piece whole. */
static gboolean repair_from(Scrub *scrub, const char *name, const PieceHolder *holder, const PackPiece *stored)
{
    IngotDigest found;
    g_autoptr(GBytes) bytes = scrub->options->fetch(name, &holder->digest, holder->size, holder->offset, stored->length,
                                                    scrub->options->user);
    if (bytes == NULL || g_bytes_get_size(bytes) != stored->length) {
        return FALSE;
    }
    ingot_digest_of(g_bytes_get_data(bytes, NULL), stored->length, &found);
    return ingot_digest_equal(&found, &stored->digest) && put_piece(scrub->storage, stored, bytes);
}

static gboolean repair(Scrub *scrub, const GArray *holders, const PackPiece *stored)
{
    for (guint i = 0; scrub->options->fetch != NULL && i < holders->len; i++) {
        const PieceHolder *holder = &g_array_index(holders, PieceHolder, i);
        if (holder->piece != stored->id) {
            continue;
        }
        g_auto(GStrv) names = storage_holders(scrub->storage, &holder->digest, NULL);
        for (guint k = 0; names != NULL && names[k] != NULL; k++) {
            if (repair_from(scrub, names[k], holder, stored)) {
                return TRUE;
            }
        }
    }
    return FALSE;
}

static void tell_users(Scrub *scrub, Connection *reader, gint64 blob)
{
    g_autoptr(GArray) users = packrows_users(reader, blob, NULL);
    for (guint i = 0; users != NULL && i < users->len; i++) {
        const PackUser *user = &g_array_index(users, PackUser, i);
        scrub_tell(scrub, "  needed by %s%s%s", user->repository, user->tag == NULL ? "" : ":",
                   user->tag == NULL ? " (untagged)" : user->tag);
    }
}

static void found_damage(Scrub *scrub, gint64 number, const Pack *pack, const PackPiece *stored)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&stored->digest, text);
    blob_damaged(scrub->storage, &stored->digest, number, stored->offset);
    scrub_tell(scrub, "damaged: piece %s, %u bytes at offset %" G_GUINT64_FORMAT " of %s", text, stored->length,
               stored->offset, pack == NULL ? "a pack that is not there" : pack_path(pack));
}

/* What needs the damaged pieces of a pack (GArray of PackPiece), once for all of them; and each is repaired if it can
 * be. */
static void settle_damage(Scrub *scrub, Connection *reader, const GArray *damaged)
{
    g_autoptr(GHashTable) pieces = g_hash_table_new(NULL, NULL), told = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < damaged->len; i++) {
        g_hash_table_add(pieces, GUINT_TO_POINTER((guint)g_array_index(damaged, PackPiece, i).id));
    }
    g_autoptr(GArray) holders = damaged->len == 0 ? NULL : pieceusers_holders(reader, pieces, NULL);
    for (guint i = 0; holders != NULL && i < holders->len; i++) {
        PieceHolder *holder = &g_array_index(holders, PieceHolder, i);
        if (g_hash_table_add(told, &holder->blob)) {
            tell_users(scrub, reader, holder->blob);
        }
    }
    for (guint i = 0; i < damaged->len; i++) {
        const PackPiece *stored = &g_array_index(damaged, PackPiece, i);
        if (holders != NULL && repair(scrub, holders, stored)) {
            char text[INGOT_DIGEST_TEXT_SIZE];
            ingot_digest_write_text(&stored->digest, text);
            scrub->report->repaired++;
            scrub_tell(scrub, "repaired: piece %s", text);
        } else {
            scrub->report->damaged++;
        }
    }
}

/* It could not be read for a while: nothing has to replace it. */
static void found_whole(Storage *storage, gint64 number, const PackPiece *stored)
{
    Change change;
    if (change_begin(storage, &change, NULL)) {
        change.moved = TRUE;
        change_end(&change, packrows_heal(change.writer, &stored->digest, number, stored->offset, NULL), NULL);
    }
}

/* --- packs --- */

static gboolean is_whole(const Pack *pack, const PackPiece *stored, guint8 *buffer)
{
    IngotDigest found;
    if (stored->length > PIECE_MAX || !pack_read(pack, stored->offset, buffer, stored->length, NULL)) {
        return FALSE;
    }
    ingot_digest_of(buffer, stored->length, &found);
    return ingot_digest_equal(&found, &stored->digest);
}

/* Whether the piece still stands where it was when the list was made: garbage is collected meanwhile. */
static gboolean still_there(Connection *reader, const PackPiece *stored, gint64 pack)
{
    gboolean stands;
    return !packrows_stands(reader, stored, pack, &stands, NULL) || stands;
}

/* Its time is over: it pauses there. */
static gboolean scrub_pauses(Scrub *scrub, gint64 pack, guint64 offset)
{
    guint64 slice = scrub->options->slice;
    if (slice == 0 || g_get_monotonic_time() - scrub->began < (gint64)slice * G_USEC_PER_SEC) {
        return FALSE;
    }
    scrub->report->place = (ScrubPlace){.pack = pack, .offset = offset};
    return TRUE;
}

static gboolean scrub_pack(Scrub *scrub, Connection *reader, gint64 number, guint64 from, GError **error)
{
    g_autoptr(GArray) list = packrows_pieces(reader, number, from, error);
    g_autoptr(GError) problem = NULL;
    g_autoptr(Pack) pack = list == NULL ? NULL : packs_get(scrub->storage->packs, number, &problem);
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        /* Too many open files, or a disk that is away for a while: that says nothing of its pieces. */
        scrub_tell(scrub, "skipped: %s", problem->message);
        return TRUE;
    }
    if (list != NULL && pack == NULL) {
        blob_pack_lost(scrub->storage, number);
    }
    g_autofree guint8 *buffer = g_malloc(PIECE_MAX);
    g_autoptr(GArray) damaged = g_array_new(FALSE, FALSE, sizeof(PackPiece));
    gboolean ok = list != NULL;
    for (guint i = 0; ok && i < list->len; i++) {
        const PackPiece *stored = &g_array_index(list, PackPiece, i);
        gboolean whole = pack != NULL && is_whole(pack, stored, buffer);
        if (!whole && still_there(reader, stored, number)) {
            found_damage(scrub, number, pack, stored);
            g_array_append_vals(damaged, stored, 1);
        } else if (whole && stored->damaged) {
            found_whole(scrub->storage, number, stored);
        }
        scrub->report->pieces++;
        ok = scrub_goes_on(scrub, stored->length, error);
        if (ok && scrub_pauses(scrub, number, stored->offset + 1)) {
            break;
        }
    }
    settle_damage(scrub, reader, damaged);
    return ok;
}

gboolean storage_scrub(Storage *storage, const ScrubOptions *options, ScrubReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    Scrub scrub = {.storage = storage, .options = options, .report = report, .began = g_get_monotonic_time()};
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    const ScrubPlace *from = &options->from;
    if (reader == NULL || (from->pack == 0 && !audit_catalogue(&scrub, reader, error))) {
        return FALSE;
    }
    g_autoptr(GArray) packs = pieces_list_packs(reader, error);
    for (guint i = 0; packs != NULL && i < packs->len && report->place.pack == 0; i++) {
        gint64 number = g_array_index(packs, gint64, i);
        guint64 offset = number == from->pack ? from->offset : 0;
        if (number < from->pack) {
            continue;
        }
        if ((offset == 0 && !audit_pack(&scrub, reader, number, error)) ||
            !scrub_pack(&scrub, reader, number, offset, error)) {
            return FALSE;
        }
    }
    return packs != NULL;
}
