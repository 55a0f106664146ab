/* Salvage: pieces and blobs out of the packs, past whatever is damaged. Every piece is read and hashed. */
#include <ingot/error.h>

#include "server/catalogue/links.h"
#include "server/catalogue/packrows.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/pieceusers.h"
#include "server/packs/walk.h"
#include "server/storage/recovery.h"

typedef struct {
    Rebuild *rebuild;
    const Pack *pack;
    guint8 *buffer;    /* of PIECE_MAX bytes */
    guint64 done, all; /* bytes of packs: that have been walked through, of all */
} Salvage;

/* --- pieces --- */

static gboolean piece_is_whole(const Pack *pack, const IngotDigest *digest, guint64 offset, guint32 length,
                               guint8 *buffer)
{
    IngotDigest found;
    if (pack == NULL || !pack_read(pack, offset, buffer, length, NULL)) {
        return FALSE;
    }
    ingot_digest_of(buffer, length, &found);
    return ingot_digest_equal(&found, digest);
}

/* Its bytes are wrong, but a table that we wrote vouches for its name: it is there, as damaged. */
static gboolean take_damaged(Connection *writer, const Piece *piece, const WalkPlace *place, guint64 offset,
                             GError **error)
{
    PieceRow row;
    gboolean changed;
    const IngotDigest *digest = &piece->digest;
    return pieces_find(writer, &digest, 1, &row, error) &&
           (row.id != 0 || place->loose ||
            (pieces_put(writer, digest, piece->length, place->pack, offset, error) &&
             blobmap_mark_damaged(writer, digest, place->pack, offset, &changed, error)));
}

/* Of a piece that stands in two places one may be damaged: the whole one is taken. */
static gboolean take_pieces(const Table *table, const WalkPlace *place, gpointer user, GError **error)
{
    Salvage *salvage = user;
    Connection *writer = salvage->rebuild->change.writer;
    guint64 offset = place->at + SEGMENT_HEAD;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        if (!piece->fresh) {
            continue;
        }
        gboolean whole = piece_is_whole(salvage->pack, &piece->digest, offset, piece->length, salvage->buffer);
        if (!(whole ? pieces_put(writer, &piece->digest, piece->length, place->pack, offset, error)
                    : take_damaged(writer, piece, place, offset, error))) {
            return FALSE;
        }
        offset += piece->length;
        if (salvage->rebuild->options->progress != NULL) {
            salvage->rebuild->options->progress(salvage->done + offset, salvage->all, salvage->rebuild->options->user);
        }
    }
    return TRUE;
}

static void miss_segment(const Pack *pack, guint64 from, guint64 to, const char *why, gpointer user)
{
    Salvage *salvage = user;
    rebuild_doubts(salvage->rebuild, pack_number(pack));
    rebuild_lost(salvage->rebuild, "%s: its %" G_GUINT64_FORMAT " bytes are left out", why, to - from);
}

/* --- blobs --- */

/* *missing: how many of the table's pieces stand nowhere. *fits: the others are as long as it says. */
static gboolean count_missing(Connection *writer, const Table *table, guint *missing, gboolean *fits, GError **error)
{
    *missing = 0;
    *fits = TRUE;
    for (guint i = 0; *fits && i < table->pieces->len; i++) {
        PieceRow row;
        const IngotDigest *digest = &table_piece(table, i)->digest;
        if (!pieces_find(writer, &digest, 1, &row, error)) {
            return FALSE;
        }
        *missing += row.id == 0 ? 1 : 0;
        *fits = row.id == 0 || row.length == table_piece(table, i)->length;
    }
    return TRUE;
}

/* Those that stand nowhere are there as damaged: the pack that has them may be away for a while, so what else the blob
 * is made of has to stay, and so has its table. */
static gboolean vouch_for(Connection *writer, const Table *table, const WalkPlace *place, GError **error)
{
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        ok = pieces_put_placeless(writer, &piece->digest, piece->length, place->pack, error);
    }
    return ok;
}

/* Whether the pieces make the blob, by its digest: of a table that nobody vouches for. */
static gboolean makes_blob(Salvage *salvage, const Table *table)
{
    Storage *storage = salvage->rebuild->storage;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (guint i = 0; i < table->pieces->len; i++) {
        PieceRow row;
        const Piece *piece = table_piece(table, i);
        const IngotDigest *digest = &piece->digest;
        if (!pieces_find(salvage->rebuild->change.writer, &digest, 1, &row, NULL) || row.id == 0) {
            return FALSE;
        }
        g_autoptr(Pack) pack = packs_get(storage->packs, row.pack, NULL);
        if (!piece_is_whole(pack, digest, row.offset, piece->length, salvage->buffer)) {
            return FALSE;
        }
        g_checksum_update(sum, salvage->buffer, (gssize)piece->length);
    }
    IngotDigest found;
    gsize size = sizeof found.bytes;
    g_checksum_get_digest(sum, found.bytes, &size);
    return ingot_digest_equal(&found, &table->blob);
}

/* Whether the table tells the truth, and more than what is known of its blob already. */
static gboolean believes(Salvage *salvage, const Table *table, const WalkPlace *place, gint64 blob, guint missing)
{
    return missing > 0 ? !place->loose && blob == 0 : !place->loose || makes_blob(salvage, table);
}

static gboolean take_blob(const Table *table, const WalkPlace *place, gpointer user, GError **error)
{
    Salvage *salvage = user;
    Rebuild *rebuild = salvage->rebuild;
    Connection *writer = rebuild->change.writer;
    guint missing;
    gboolean fits;
    gint64 blob = names_blob(writer, &table->blob, error);
    if (blob < 0 || !table_has_blob(table)) {
        return blob >= 0;
    }
    if (!count_missing(writer, table, &missing, &fits, error)) {
        return FALSE;
    }
    if (!fits || !believes(salvage, table, place, blob, missing)) {
        rebuild_doubts(rebuild, place->pack);
        return TRUE;
    }
    if (missing > 0 && !vouch_for(writer, table, place, error)) {
        return FALSE;
    }
    g_autoptr(Table) known = table_new(); /* its new pieces have their rows already */
    known->blob = table->blob;
    known->size = table->size;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        table_add(known, &piece->digest, piece->length, FALSE);
    }
    /* One that is there, and is damaged as it is cut there, may have been mended by a push that cut it so. */
    rebuild->report->blobs += blob == 0;
    return publish_rows(&rebuild->change, known, place->pack, place->at, &blob, error);
}

static void miss_nothing(const Pack *pack, guint64 from, guint64 to, const char *why, gpointer user)
{
    (void)pack, (void)from, (void)to, (void)why, (void)user; /* has been told */
}

/* --- packs --- */

/* NULL: it can't be read, which is told on the first way. */
static Pack *open_pack(Rebuild *rebuild, gint64 number, guint64 *size, gboolean tell)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(Pack) pack = packs_get(rebuild->storage->packs, number, &problem);
    if (pack != NULL && pack_size(pack, size, &problem)) {
        return g_steal_pointer(&pack);
    }
    if (tell) {
        rebuild_lost(rebuild, "%s: what stands in this pack is had again by a rebuild once it can be read",
                     problem->message);
    }
    return NULL;
}

/* A pack in which nothing whole stands is none of the catalogue's: nothing removes it then. */
static gboolean salvage_pieces(Salvage *salvage, gint64 number, GError **error)
{
    Rebuild *rebuild = salvage->rebuild;
    Connection *writer = rebuild->change.writer;
    guint64 size, end;
    g_autoptr(Pack) pack = open_pack(rebuild, number, &size, TRUE);
    if (pack == NULL) {
        return TRUE;
    }
    salvage->pack = pack;
    if (!pieces_add_pack(writer, number, size, error) ||
        !pack_walk(pack, size, take_pieces, miss_segment, salvage, &end, error)) {
        return FALSE;
    }
    salvage->done += size;
    rebuild->report->packs += end > 0;
    return end > 0 ? pieces_resize_pack(writer, number, end, error) : packrows_drop(writer, number, error);
}

static gboolean salvage_blobs(Salvage *salvage, gint64 number, GError **error)
{
    guint64 size;
    g_autoptr(Pack) pack = open_pack(salvage->rebuild, number, &size, FALSE);
    return pack == NULL || pack_walk(pack, size, take_blob, miss_nothing, salvage, NULL, error);
}

static guint64 bytes_of_all(Rebuild *rebuild, const GArray *packs)
{
    guint64 all = 0, size;
    for (guint i = 0; i < packs->len; i++) {
        g_autoptr(Pack) pack = open_pack(rebuild, g_array_index(packs, gint64, i), &size, FALSE);
        all += pack == NULL ? 0 : size;
    }
    return all;
}

gboolean salvage_packs(Rebuild *rebuild, GError **error)
{
    g_autoptr(GArray) packs = packs_list(rebuild->storage->packs, error);
    if (packs == NULL) {
        return FALSE;
    }
    g_autofree guint8 *buffer = g_malloc(PIECE_MAX);
    Salvage salvage = {.rebuild = rebuild, .buffer = buffer, .all = bytes_of_all(rebuild, packs)};
    for (guint i = 0; i < packs->len; i++) {
        if (!salvage_pieces(&salvage, g_array_index(packs, gint64, i), error)) {
            return FALSE;
        }
    }
    /* When all pieces are known: a blob counts on those of other packs. */
    for (guint i = 0; i < packs->len; i++) {
        if (!salvage_blobs(&salvage, g_array_index(packs, gint64, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- damage --- */

static gboolean name_users(Rebuild *rebuild, const DamagedBlob *blob, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&blob->digest, text);
    g_autoptr(GArray) users = packrows_users(rebuild->change.writer, blob->blob, error);
    for (guint i = 0; users != NULL && i < users->len; i++) {
        const PackUser *user = &g_array_index(users, PackUser, i);
        rebuild_lost(rebuild, "%s%s%s needs %s, %u pieces of which are damaged: push it again", user->repository,
                     user->tag == NULL ? "" : ":", user->tag == NULL ? " (untagged)" : user->tag, text, blob->damaged);
    }
    if (users == NULL || users->len > 0) {
        return users != NULL;
    }
    g_auto(GStrv) holders = links_holders(rebuild->change.writer, &blob->digest, error);
    for (guint i = 0; holders != NULL && holders[i] != NULL; i++) {
        rebuild_lost(rebuild, "%s@%s: %u pieces of it are damaged: push it again", holders[i], text, blob->damaged);
    }
    return holders != NULL;
}

gboolean salvage_name_damage(Rebuild *rebuild, GError **error)
{
    g_autoptr(GArray) blobs = pieceusers_damaged(rebuild->change.writer, error);
    for (guint i = 0; blobs != NULL && i < blobs->len; i++) {
        if (!name_users(rebuild, &g_array_index(blobs, DamagedBlob, i), error)) {
            return FALSE;
        }
    }
    return blobs != NULL;
}
