#include "server/storage/resume.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/pieces.h"

#define KEEP_BYTES ((guint64)64 << 20) /* that come before they are kept */
#define KEEP_SECONDS 300
#define BATCH 4096u /* entries of a list that are read, and pieces that are looked up, at once */

/* --- keeping --- */

static GBytes *tell_state(Upload *upload)
{
    UploadState state = {.size = upload->size - upload->length,
                         .fresh = upload->fresh,
                         .pieces = upload->table->pieces->len,
                         .whole = upload->whole_then,
                         .splitter = upload->splitter_then,
                         .part = upload->length,
                         .offered = upload->offered};
    midsum_digest(&upload->listed, &state.list);
    midsum_digest(&upload->sum, &state.digest);
    if (upload->offer != NULL) {
        offer_tell(upload->offer, &state);
        state.pieces = upload->complete ? state.pieces : offer_table(upload->offer)->pieces->len;
    }
    return upload_state_write(&state, upload->id);
}

static gboolean keep_row(Upload *upload, GError **error)
{
    Storage *storage = upload->storage;
    Change change;
    gboolean kept = FALSE;
    g_autoptr(GBytes) state = tell_state(upload);
    gint64 now = storage_now();
    const UploadRow row = {.owner = storage->self,
                           .until = now + (upload->refused ? UPLOAD_REFUSED_AGE : UPLOAD_AGE),
                           .size = upload->size,
                           .staged = upload->reserved,
                           .state = state};
    if (!change_begin(storage, &change, error) ||
        !change_end(&change, upload_rows_keep(change.writer, upload->id, &row, &kept, error), error)) {
        return FALSE;
    }
    if (!kept) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another server has gone on with the upload");
        return FALSE;
    }
    upload->changed = FALSE;
    upload->kept_size = upload->size;
    upload->kept_end = upload->fresh + upload->length;
    upload->kept_time = now;
    return TRUE;
}

/* What could not be flushed counts as clean from then on, and another flush succeeds without it: it is forgotten here,
 * and written anew by whoever goes on. */
static gboolean flush_files(Upload *upload, GError **error)
{
    if (fdatasync(upload->pack_fd) == 0 && fdatasync(upload->list_fd) == 0) {
        return TRUE;
    }
    ingot_error_set_errno(error, errno, "%s", upload->pack);
    upload_reset(upload);
    return FALSE;
}

gboolean upload_keep(Upload *upload, GError **error)
{
    if (upload->brief || !upload->changed) {
        return TRUE;
    }
    return upload_open(upload, 0, error) && upload_flush(upload, error) && flush_files(upload, error) &&
           keep_row(upload, error);
}

gboolean upload_keep_sometimes(Upload *upload, GError **error)
{
    gint64 now = storage_now();
    return (upload->size - upload->kept_size < KEEP_BYTES && now >= upload->kept_time &&
            now < upload->kept_time + KEEP_SECONDS) ||
           upload_keep(upload, error);
}

/* --- taking in what was kept --- */

static gboolean read_entries(const Upload *upload, guint at, UploadEntry *entries, guint count)
{
    return ingot_file_pread(upload->list_fd, entries, count * sizeof *entries, (guint64)at * sizeof *entries,
                            upload->list, NULL);
}

/* Whether the entries of the list that a state tells of are what they were. */
static gboolean has_entries(Upload *upload, const UploadState *state)
{
    IngotDigest found;
    g_autofree UploadEntry *entries = g_new(UploadEntry, BATCH);
    midsum_begin(&upload->listed);
    for (guint at = 0; at < state->pieces; at += BATCH) {
        guint count = MIN(BATCH, state->pieces - at);
        if (!read_entries(upload, at, entries, count)) {
            return FALSE;
        }
        midsum_add(&upload->listed, entries, count * sizeof *entries);
    }
    midsum_digest(&upload->listed, &found);
    return ingot_digest_equal(&found, &state->list);
}

/* Whether the file of new pieces is as long as the state says. */
static gboolean has_bytes(const Upload *upload, const UploadState *state)
{
    struct stat st;
    return fstat(upload->pack_fd, &st) == 0 &&
           (state->fresh + state->part == 0 || (guint64)st.st_size >= SEGMENT_HEAD + state->fresh + state->part);
}

/* *all: whether the pieces that the upload counts on are still there; from now on they stay. */
static gboolean find_known(Upload *upload, const GArray *known, gboolean *all, GError **error)
{
    gint64 epoch;
    guint count = known->len;
    if (count == 0) {
        return TRUE;
    }
    if (!upload_hold(upload, error)) {
        return FALSE;
    }
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    g_autofree PieceRow *rows = g_new(PieceRow, count);
    g_autofree const IngotDigest **digests = g_new(const IngotDigest *, count);
    for (guint i = 0; i < count; i++) {
        digests[i] = &g_array_index(known, Piece, i).digest;
    }
    if (reader == NULL || !leases_find(reader, upload->id, &epoch, error) ||
        !pieces_find(reader, digests, count, rows, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        *all &= pieces_is_held(&rows[i], g_array_index(known, Piece, i).length, epoch);
    }
    return TRUE;
}

/* Whether it is in a pack. */
static gboolean add_piece(Upload *upload, const Piece *piece)
{
    if (upload->offer != NULL) {
        return offer_restore_frame(upload->offer, &piece->digest, piece->length, piece->fresh);
    }
    gboolean known = !piece->fresh && !g_hash_table_contains(upload->own, &piece->digest);
    upload_add_piece(upload, &piece->digest, piece->length, piece->fresh);
    return known;
}

/* The pieces of entries; known: those among them that are in packs. FALSE: an entry is none. */
static gboolean add_entries(Upload *upload, const UploadEntry *entries, guint count, GArray *known)
{
    for (guint i = 0; i < count; i++) {
        const Piece piece = {
            .digest = entries[i].digest, .length = GUINT32_FROM_LE(entries[i].length), .fresh = entries[i].fresh != 0};
        if (piece.length == 0 || piece.length > PIECE_MAX) {
            return FALSE;
        }
        if (add_piece(upload, &piece)) {
            g_array_append_val(known, piece);
        }
    }
    return TRUE;
}

/* *kept FALSE: an entry is none, or what it counts on is not there. */
static gboolean take_entries(Upload *upload, const UploadState *state, gboolean *kept, GError **error)
{
    g_autofree UploadEntry *entries = g_new(UploadEntry, BATCH);
    g_autoptr(GArray) known = g_array_new(FALSE, FALSE, sizeof(Piece));
    upload->offer = state->offered ? offer_restore(upload->storage, upload->pack, state->pieces) : NULL;
    for (guint at = 0; *kept && at < state->pieces; at += BATCH) {
        guint count = MIN(BATCH, state->pieces - at);
        g_array_set_size(known, 0);
        *kept = read_entries(upload, at, entries, count) && add_entries(upload, entries, count, known);
        if (*kept && !find_known(upload, known, kept, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean fits_state(const Upload *upload, const UploadState *state)
{
    return state->offered ? state->next <= state->pieces && state->hashed <= state->next && state->fresh == state->size
                          : upload->fresh == state->fresh;
}

/* *kept FALSE: what was kept is of no use, and what is in memory neither. */
static gboolean restore(Upload *upload, const UploadState *state, gboolean *kept, GError **error)
{
    *kept = has_entries(upload, state) && has_bytes(upload, state);
    if (*kept && !take_entries(upload, state, kept, error)) {
        return FALSE;
    }
    *kept = *kept && fits_state(upload, state);
    if (!*kept) {
        return TRUE;
    }
    upload->size = upload->kept_size = state->size;
    upload->fresh = state->fresh;
    upload->kept_end = state->fresh + state->part;
    upload->whole = upload->whole_then = state->whole;
    upload->splitter = upload->splitter_then = state->splitter;
    if (upload->offer != NULL) {
        offer_restored(upload->offer, state);
    }
    return TRUE;
}

/* The beginning of the running piece, if that is what it was. */
static gboolean take_part(Upload *upload, const UploadState *state, GError **error)
{
    IngotDigest found;
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    if (state->part == 0 || state->part > PIECE_MAX ||
        !ingot_file_pread(upload->pack_fd, data, state->part, SEGMENT_HEAD + state->fresh, upload->pack, NULL)) {
        return TRUE;
    }
    ingot_digest_of(data, state->part, &found);
    return !ingot_digest_equal(&found, &state->digest) || upload_take(upload, data, state->part, error);
}

/* --- what came behind it --- */

/* The bytes of an entry: out of the file of the upload, where new ones go on at `fresh`, or of the piece that was
 * there. */
static gboolean read_entry(Upload *upload, const UploadEntry *entry, guint64 fresh, guint8 *data, GError **error)
{
    const IngotDigest *digest = &entry->digest;
    guint32 length = GUINT32_FROM_LE(entry->length);
    const UploadOwn *own = g_hash_table_lookup(upload->own, digest);
    if (entry->fresh != 0 || own != NULL) {
        guint64 at = SEGMENT_HEAD + (entry->fresh != 0 ? fresh : own->offset);
        return ingot_file_pread(upload->pack_fd, data, length, at, upload->pack, error);
    }
    PieceRow row;
    g_autoptr(Connection) reader = database_reader(upload->storage->catalogue, error);
    if (reader == NULL || !pieces_find(reader, &digest, 1, &row, error)) {
        return FALSE;
    }
    if (row.id == 0) {
        return blob_unknown(error, "a piece that the upload counted on");
    }
    g_autoptr(Pack) pack = packs_get(upload->storage->packs, row.pack, error);
    return pack != NULL && pack_read(pack, row.offset, data, length, error);
}

/* What was new to the upload when it rested may be known by now: its own file then has room for what comes behind it,
 * which moves there, never beyond the place it comes from. *more: the entry is as the list says, and ends a piece. */
static gboolean replay_entry(Upload *upload, const UploadEntry *entry, guint64 *fresh, guint8 *data, gboolean *more,
                             GError **error)
{
    IngotDigest found;
    guint32 length = GUINT32_FROM_LE(entry->length);
    *more = length > 0 && length <= PIECE_MAX && read_entry(upload, entry, *fresh, data, NULL);
    if (*more) {
        ingot_digest_of(data, length, &found);
        *more = ingot_digest_equal(&found, &entry->digest);
    }
    *fresh += entry->fresh != 0 ? length : 0;
    if (*more && !upload_take(upload, data, length, error)) {
        return FALSE;
    }
    *more &= upload->length == 0;
    return TRUE;
}

static gboolean replay_list(Upload *upload, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    UploadEntry entry;
    guint64 fresh = upload->fresh;
    gboolean ok = TRUE, more = TRUE;
    for (gsize i = upload->table->pieces->len;
         ok && more && pread(upload->list_fd, &entry, sizeof entry, (off_t)(i * sizeof entry)) == sizeof entry; i++) {
        ok = replay_entry(upload, &entry, &fresh, data, &more, error);
    }
    return ok;
}

/* Frames that were missing and are there: each has a digest. */
static gboolean replay_frames(Upload *upload, GError **error)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    const Piece *piece;
    IngotDigest found;
    while ((piece = offer_awaits(upload->offer)) != NULL &&
           ingot_file_pread(upload->pack_fd, data, piece->length, SEGMENT_HEAD + upload->fresh, upload->pack, NULL)) {
        ingot_digest_of(data, piece->length, &found);
        if (!ingot_digest_equal(&found, &piece->digest)) {
            break;
        }
        if (!upload_take(upload, data, piece->length, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- going on --- */

/* Nothing is written over that a state which may be used again tells of. On a full disk it can be looked at what this
 * process owns. */
static gboolean take_row(Upload *upload, const UploadRow *row, gboolean kept, GError **error)
{
    Change change;
    gboolean refused = !kept && row->state != NULL;
    return (!refused && strcmp(row->owner, upload->storage->self) == 0) ||
           (change_begin(upload->storage, &change, error) &&
            change_end(&change,
                       upload_rows_take(change.writer, upload->id, upload->storage->self,
                                        storage_now() + UPLOAD_REFUSED_AGE, refused, error),
                       error));
}

/* What is known of it by its state; else nothing, and frames that were offered have to be offered again. */
static gboolean begin_again(Upload *upload, const UploadRow *row, UploadState *state, gboolean *kept, GError **error)
{
    *kept = upload_state_read(row->state, upload->id, state);
    upload->offered = *kept ? state->offered : !g_file_test(upload->list, G_FILE_TEST_EXISTS);
    if (!upload_open(upload, 0, error) || (*kept && !restore(upload, state, kept, error))) {
        return FALSE;
    }
    if (!*kept && upload->offered) {
        return blob_unknown(error, "the upload");
    }
    if (!*kept) {
        upload_reset(upload);
        *state = (UploadState){0};
    }
    return upload_open(upload, 0, error);
}

/* What came behind the pieces that were kept. Where what was kept is of no use, all comes behind it. */
static gboolean replay(Upload *upload, const UploadState *state, gboolean all, GError **error)
{
    guint64 size = upload->size;
    return (!all || (upload->offer != NULL ? replay_frames(upload, error) : replay_list(upload, error))) &&
           (upload->size != size || take_part(upload, state, error));
}

gboolean upload_resume(Upload *upload, const UploadRow *row, gboolean all, GError **error)
{
    UploadState state = {0};
    gboolean kept;
    if (!begin_again(upload, row, &state, &kept, error) || !take_row(upload, row, kept, error) ||
        !replay(upload, &state, all || !kept, error)) {
        return FALSE;
    }
    upload->changed = upload->size != row->size || !kept;
    upload->kept_time = 0; /* its row may lapse soon: the next bytes renew that */
    upload->ready = TRUE;
    return upload->offered ||
           ftruncate(upload->list_fd, (off_t)(upload->table->pieces->len * sizeof(UploadEntry))) == 0 ||
           ingot_error_set_errno(error, errno, "%s", upload->list);
}
