#include "server/storage/longsum.h"

#include <ingot/error.h>

#include "base/file.h"
#include "server/catalogue/aliasrows.h"
#include "server/catalogue/pieces.h"

struct LongSum {
    guint count;     /* pieces that were read */
    Sha512 *sha512;  /* of them; NULL: it is in `found` */
    Midsum whole;    /* the SHA-256 once more: of bytes that have been compared with their pieces' digests */
    OciDigest found; /* of all of them */
};

static LongSum *longsum_new(void)
{
    LongSum *sum = g_new0(LongSum, 1);
    sum->sha512 = sha512_new();
    midsum_begin(&sum->whole);
    return sum;
}

void longsum_free(LongSum *sum)
{
    g_clear_pointer(&sum->sha512, sha512_free);
    g_free(sum);
}

/* Compaction may move the piece between the look and the read. */
static gboolean read_known(Storage *storage, const Piece *piece, guint8 *data, GError **error)
{
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
    return proof_read(storage, digest, &row, data, error);
}

/* Where it stands in the upload's file; 0: in a pack. */
static guint64 place_of(const Upload *upload, guint piece)
{
    if (upload->offer != NULL) {
        return offer_place(upload->offer, piece);
    }
    const UploadOwn *own = g_hash_table_lookup(upload->own, &table_piece(upload->table, piece)->digest);
    return own == NULL ? 0 : SEGMENT_HEAD + own->offset;
}

static gboolean read_piece(const Upload *upload, guint number, guint8 *data, GError **error)
{
    const Piece *piece = table_piece(upload->table, number);
    guint64 at = place_of(upload, number);
    if (at != 0) {
        return ingot_file_pread(upload->pack_fd, data, piece->length, at, upload->pack, error);
    }
    return read_known(upload->storage, piece, data, NULL) || read_known(upload->storage, piece, data, error);
}

/* The blob is known here by what was hashed first. */
static gboolean is_what_was_hashed(const Upload *upload, GError **error)
{
    IngotDigest digest;
    midsum_digest(&upload->longsum->whole, &digest);
    if (!ingot_digest_equal(&digest, &upload->table->blob)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "a frame that was here was read in two ways: push the blob again");
        return FALSE;
    }
    return TRUE;
}

/* What was not read yet. */
static gboolean read_on(Upload *upload, gint64 until, StorageStop stop, gpointer user, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    LongSum *sum = upload->longsum;
    while (sum->count < upload->table->pieces->len) {
        if (stop != NULL && stop(user)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the client has left");
            return FALSE;
        }
        if (!read_piece(upload, sum->count, data, error)) {
            return FALSE;
        }
        guint32 length = table_piece(upload->table, sum->count)->length;
        sha512_add(sum->sha512, data, length);
        midsum_add(&sum->whole, data, length);
        sum->count++;
        if (sum->count < upload->table->pieces->len && g_get_monotonic_time() >= until) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the blob is still being hashed: end it again");
            return FALSE;
        }
    }
    return TRUE;
}

/* More may have come since all was read. */
static gboolean read_all(Upload *upload, gint64 until, StorageStop stop, gpointer user, GError **error)
{
    if (upload->longsum == NULL || upload->longsum->sha512 == NULL) {
        g_clear_pointer(&upload->longsum, longsum_free);
        upload->longsum = longsum_new();
    }
    if (!read_on(upload, until, stop, user, error) || !is_what_was_hashed(upload, error)) {
        return FALSE;
    }
    sha512_finish(upload->longsum->sha512, &upload->longsum->found);
    g_clear_pointer(&upload->longsum->sha512, sha512_free);
    return TRUE;
}

static gboolean is_read(const Upload *upload)
{
    return upload->longsum != NULL && upload->longsum->sha512 == NULL &&
           upload->longsum->count == upload->table->pieces->len;
}

/* As its bytes came. */
static void take_sum(Upload *upload)
{
    g_clear_pointer(&upload->longsum, longsum_free);
    upload->longsum = longsum_new();
    upload->longsum->count = upload->table->pieces->len;
    sha512_finish(upload->sha512, &upload->longsum->found);
    g_clear_pointer(&upload->sha512, sha512_free);
    g_clear_pointer(&upload->longsum->sha512, sha512_free);
}

/* What is known of the blob, if it was here under a SHA-512 before. */
static gboolean find_known(Upload *upload, OciDigest *found, gboolean *known, GError **error)
{
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    return reader != NULL && alias_rows_find(reader, &upload->table->blob, found, known, error);
}

gboolean upload_has_digest(Upload *upload, const OciDigest *digest, gint64 until, StorageStop stop, gpointer user,
                           gboolean *same, GError **error)
{
    OciDigest found = oci_digest_from_sha256(&upload->table->blob);
    gboolean known = !digest->is_sha512;
    if (!known && !find_known(upload, &found, &known, error)) {
        return FALSE;
    }
    if (!known && upload->sha512 != NULL) {
        take_sum(upload);
    }
    if (!known && !is_read(upload)) {
        g_atomic_int_set(&upload->summing, TRUE);
        gboolean read = read_all(upload, until, stop, user, error);
        g_atomic_int_set(&upload->summing, FALSE);
        if (!read) {
            return FALSE;
        }
    }
    found = known ? found : upload->longsum->found;
    *same = oci_digest_equal(&found, digest);
    return TRUE;
}
