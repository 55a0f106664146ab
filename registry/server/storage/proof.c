#include "server/storage/proof.h"

#include <ingot/error.h>
#include <string.h>

#include "server/packs/splitter.h"
#include "server/storage/inside.h"

#define SLOTS (1u << 18) /* pieces that are remembered, at most: 2 MiB */

struct Proof {
    GMutex lock;
    guint64 *slots; /* each a key, or 0 */
};

Proof *proof_new(void)
{
    Proof *proof = g_new0(Proof, 1);
    g_mutex_init(&proof->lock);
    proof->slots = g_new0(guint64, SLOTS);
    return proof;
}

void proof_free(Proof *proof)
{
    g_mutex_clear(&proof->lock);
    g_free(proof->slots);
    g_free(proof);
}

/* --- what is remembered --- */

static guint64 proof_mix(guint64 value)
{
    value = (value ^ (value >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* Of a piece at its place, in the pack's file as it is now; 0: nobody knows how the file is. */
static guint64 proof_key(const IngotDigest *digest, const PieceRow *row, const Pack *pack)
{
    guint64 stamp = pack_stamp(pack), key;
    memcpy(&key, digest->bytes, sizeof key);
    return stamp == 0 ? 0 : proof_mix(key ^ proof_mix((guint64)row->pack ^ proof_mix(row->offset ^ stamp)));
}

static gboolean proof_is_kept(Proof *proof, guint64 key)
{
    g_mutex_lock(&proof->lock);
    gboolean kept = key != 0 && proof->slots[key % SLOTS] == key;
    g_mutex_unlock(&proof->lock);
    return kept;
}

static void proof_keep(Proof *proof, guint64 key)
{
    g_mutex_lock(&proof->lock);
    proof->slots[key % SLOTS] = key;
    g_mutex_unlock(&proof->lock);
}

/* --- looking --- */

/* The pack that should have the piece; a lost one is noted. */
static Pack *proof_open(Storage *storage, const PieceRow *row, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Pack) pack = packs_get(storage->packs, row->pack, &problem);
    if (pack != NULL && !pack_is_there(pack)) { /* its bytes last for as long as somebody reads them */
        g_set_error(&problem, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: not there any more", pack_path(pack));
        g_clear_pointer(&pack, pack_unref);
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        blob_pack_lost(storage, row->pack);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return g_steal_pointer(&pack);
}

/* A piece that can't be read is as good as damaged. */
static gboolean proof_look(Storage *storage, const IngotDigest *digest, const PieceRow *row, const Pack *pack,
                           guint8 *data, GError **error)
{
    IngotDigest found;
    gboolean ok = pack_read(pack, row->offset, data, row->length, NULL);
    if (ok) {
        ingot_digest_of(data, row->length, &found);
        ok = ingot_digest_equal(&found, digest);
    }
    if (!ok) {
        blob_damaged(storage, digest, row->pack, row->offset);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the piece at offset %" G_GUINT64_FORMAT " is damaged",
                    pack_path(pack), row->offset);
    }
    return ok;
}

gboolean proof_read(Storage *storage, const IngotDigest *digest, const PieceRow *row, guint8 *data, GError **error)
{
    g_autoptr(Pack) pack = proof_open(storage, row, error);
    return pack != NULL && proof_look(storage, digest, row, pack, data, error);
}

gboolean proof_holds(Storage *storage, const IngotDigest *digest, const PieceRow *row, gboolean *holds, GError **error)
{
    GError *problem = NULL;
    g_autoptr(Pack) pack = proof_open(storage, row, &problem);
    guint64 key = pack == NULL ? 0 : proof_key(digest, row, pack);
    *holds = proof_is_kept(storage->proof, key);
    if (pack != NULL && !*holds) {
        g_autofree guint8 *data = g_malloc(row->length);
        *holds = proof_look(storage, digest, row, pack, data, &problem);
        if (*holds) {
            proof_keep(storage->proof, key);
        }
    }
    if (problem == NULL || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_clear_error(&problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean proof_find(Storage *storage, const IngotDigest *digest, PieceRow *row, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && pieces_find(reader, &digest, 1, row, error);
}

/* One that does not hold where it was looked up may have been moved meanwhile. */
static gboolean proof_piece(Storage *storage, const Piece *piece, gboolean *holds, GError **error)
{
    PieceRow row, before = {0};
    *holds = FALSE;
    for (;;) {
        if (!proof_find(storage, &piece->digest, &row, error)) {
            return FALSE;
        }
        if (row.id == 0 || row.length != piece->length || row.damaged) {
            *holds = piece->fresh && before.id == 0; /* a new one is not there yet */
            return TRUE;
        }
        if (row.pack == before.pack && row.offset == before.offset) {
            return TRUE;
        }
        if (!proof_holds(storage, &piece->digest, &row, holds, error) || *holds) {
            return *holds;
        }
        before = row;
    }
}

gboolean proof_table(Storage *storage, const Table *table, Proven *proven, gint64 until, StorageStop stop,
                     gpointer user, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    while (proven->count < table->pieces->len) {
        const Piece *piece = table_piece(table, proven->count);
        gboolean holds = TRUE;
        if (stop != NULL && stop(user)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the client has left");
            return FALSE;
        }
        if (g_hash_table_add(seen, (gpointer)&piece->digest) && !proof_piece(storage, piece, &holds, error)) {
            return FALSE;
        }
        proven->lack |= !holds;
        proven->count++;
        if (proven->count < table->pieces->len && g_get_monotonic_time() >= until) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the frames are still being read: end it again");
            return FALSE;
        }
    }
    return TRUE;
}
