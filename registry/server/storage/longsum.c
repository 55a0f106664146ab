#include "server/storage/longsum.h"

#include <ingot/error.h>
#include <ingot/file.h>

#include "server/catalogue/aliasrows.h"
#include "server/catalogue/pieces.h"

typedef struct {
    Upload *upload;
    GHashTable *own; /* digest (in the table) -> offset in the upload's file: new pieces */
    guint64 next;    /* where the next of them stands */
    guint8 *data;    /* of one piece */
    Midsum whole;    /* the SHA-256 once more: of bytes that have been compared with their pieces' digests */
} LongSum;

/* Compaction may move the piece between the look and the read. */
static gboolean read_known(const LongSum *sum, const Piece *piece, GError **error)
{
    Storage *storage = sum->upload->storage;
    const IngotDigest *digest = &piece->digest;
    PieceRow row;
    {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
        if (reader == NULL || !pieces_find(reader, &digest, 1, &row, error)) {
            return FALSE;
        }
    }
    if (row.id == 0 || row.length != piece->length) {
        return blob_unknown(error, "a piece that the upload counted on");
    }
    return proof_read(storage, digest, &row, sum->data, error);
}

static gboolean read_piece(LongSum *sum, const Piece *piece, GError **error)
{
    const Upload *upload = sum->upload;
    gpointer at;
    if (piece->fresh) {
        g_hash_table_insert(sum->own, (gpointer)&piece->digest, GSIZE_TO_POINTER(sum->next));
        sum->next += piece->length;
    }
    if (g_hash_table_lookup_extended(sum->own, &piece->digest, NULL, &at)) {
        return ingot_file_pread(upload->pack_fd, sum->data, piece->length, GPOINTER_TO_SIZE(at), upload->pack, error);
    }
    return read_known(sum, piece, NULL) || read_known(sum, piece, error);
}

/* The blob is known here by what was hashed first. */
static gboolean is_what_was_hashed(const LongSum *sum, GError **error)
{
    IngotDigest digest;
    midsum_digest(&sum->whole, &digest);
    if (!ingot_digest_equal(&digest, &sum->upload->table->blob)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "a frame that was here was read in two ways: push the blob again");
        return FALSE;
    }
    return TRUE;
}

static gboolean read_all(Upload *upload, StorageStop stop, gpointer user, OciDigest *found, GError **error)
{
    g_autoptr(GHashTable) own = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    g_autoptr(Sha512) sha512 = sha512_new();
    LongSum sum = {.upload = upload, .own = own, .next = SEGMENT_HEAD, .data = data};
    midsum_begin(&sum.whole);
    for (guint i = 0; i < upload->table->pieces->len; i++) {
        const Piece *piece = table_piece(upload->table, i);
        if (stop != NULL && stop(user)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the client has left");
            return FALSE;
        }
        if (!read_piece(&sum, piece, error)) {
            return FALSE;
        }
        sha512_add(sha512, data, piece->length);
        midsum_add(&sum.whole, data, piece->length);
    }
    sha512_finish(sha512, found);
    return is_what_was_hashed(&sum, error);
}

/* What is known of the blob, if it was here under a SHA-512 before. */
static gboolean find_known(Upload *upload, OciDigest *found, gboolean *known, GError **error)
{
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    return reader != NULL && alias_rows_find(reader, &upload->table->blob, found, known, error);
}

gboolean upload_has_digest(Upload *upload, const OciDigest *digest, StorageStop stop, gpointer user, gboolean *same,
                           GError **error)
{
    OciDigest found = oci_digest_from_sha256(&upload->table->blob);
    gboolean known = !digest->is_sha512;
    if (!known && !find_known(upload, &found, &known, error)) {
        return FALSE;
    }
    if (!known && upload->sha512 != NULL) {
        sha512_finish(upload->sha512, &found);
        g_clear_pointer(&upload->sha512, sha512_free);
        known = TRUE;
    }
    if (!known) {
        g_atomic_int_set(&upload->summing, TRUE);
        known = read_all(upload, stop, user, &found, error);
        g_atomic_int_set(&upload->summing, FALSE);
    }
    if (!known) {
        return FALSE;
    }
    *same = oci_digest_equal(&found, digest);
    return TRUE;
}
