#include "server/storage/offer.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/piecebits.h"
#include "server/catalogue/pieces.h"
#include "server/storage/firsts.h"
#include "server/storage/framesum.h"

#define BATCH 4096                         /* frames that are looked up at once */
#define HASHED_FRAMES 4096u                /* at most, between two looks whether to go on... */
#define HASHED_BYTES ((guint64)32 << 20)   /* ...and bytes */
#define TURN ((guint64)256 << 20)          /* bytes that are hashed before another offer has its turn */
#define LOOK_USEC (G_TIME_SPAN_SECOND / 5) /* between two looks whether whoever waits has left */

typedef enum { IDLE, QUEUED, RUNNING } OfferHashing;

/* The blob's beginning. */
typedef struct {
    guint frames;
    guint64 size; /* bytes of them */
    Midsum whole;
} Hashed;

struct Offer {
    gatomicrefcount references;
    Storage *storage;
    char *path; /* of the segment file that the missing frames go to */
    Table *table;
    guint count;     /* frames */
    guint64 *places; /* of each frame in that file, where it stands or will; 0: it is in a pack */
    Firsts *firsts;  /* while frames are added */
    guint64 size;    /* bytes of all frames */
    guint64 missing; /* bytes of the missing frames */
    gboolean counts; /* on pieces that were here */
    guint32 come;    /* bytes of the missing frame that comes */

    GMutex lock; /* guards what follows */
    GCond stopped;
    guint next; /* the missing frame that comes */
    OfferHashing hashing;
    gboolean stopping;
    gboolean wanted; /* frames have come since its last turn began */
    guint waiting;   /* requests that wait for its end */
    Hashed told;     /* what was hashed a moment ago */

    /* Belong to whoever made it RUNNING. */
    int fd; /* of the file; -1: not open yet */
    Hashed done;
    GError *problem;
};

Offer *offer_ref(Offer *offer)
{
    g_atomic_ref_count_inc(&offer->references);
    return offer;
}

void offer_unref(Offer *offer)
{
    if (!g_atomic_ref_count_dec(&offer->references)) {
        return;
    }
    table_free(offer->table);
    g_free(offer->places);
    g_clear_pointer(&offer->firsts, firsts_free);
    ingot_fd_clear(&offer->fd);
    g_clear_error(&offer->problem);
    g_mutex_clear(&offer->lock);
    g_cond_clear(&offer->stopped);
    g_free(offer->path);
    g_free(offer);
}

void offer_free(Offer *offer)
{
    if (offer != NULL) {
        g_mutex_lock(&offer->lock);
        offer->stopping = TRUE;
        g_mutex_unlock(&offer->lock);
        offer_unref(offer);
    }
}

/* --- the whole, hashed while frames come --- */

static gboolean open_own(Offer *offer, GError **error)
{
    if (offer->fd < 0) {
        offer->fd = ingot_file_open(offer->path, O_RDONLY, 0, error);
    }
    return offer->fd >= 0;
}

static gboolean read_own(Offer *offer, guint64 at, guint8 *data, guint32 length, GError **error)
{
    return open_own(offer, error) && ingot_file_pread(offer->fd, data, length, at, offer->path, error);
}

/* One that is damaged or lost is noted, so that it is missing in the next offer. */
static gboolean read_known(Offer *offer, const Piece *piece, guint8 *data, GError **error)
{
    const IngotDigest *digest = &piece->digest;
    PieceRow row;
    {
        g_autoptr(Connection) reader = database_reader(offer->storage->catalogue, error);
        if (reader == NULL || !pieces_find(reader, &digest, 1, &row, error)) {
            return FALSE;
        }
    }
    if (row.id == 0 || row.length != piece->length) {
        return blob_unknown(error, "a frame that was here");
    }
    return proof_read(offer->storage, digest, &row, data, error);
}

/* Compaction may move a piece between the look and the read. */
static gboolean read_frame(Offer *offer, guint frame, guint8 *data, GError **error)
{
    const Piece *piece = table_piece(offer->table, frame);
    if (offer->places[frame] != 0) {
        return read_own(offer, offer->places[frame], data, piece->length, error);
    }
    return read_known(offer, piece, data, NULL) || read_known(offer, piece, data, error);
}

/* Whether a frame that is there is not hashed. Under the lock, by whoever is RUNNING, or where nobody is. */
static gboolean has_more(const Offer *offer)
{
    return !offer->stopping && offer->problem == NULL && offer->done.frames < MIN(offer->count, offer->next);
}

/* How many frames that are there are hashed before the next look. */
static guint next_frames(const Offer *offer)
{
    guint first = offer->done.frames, last = MIN(MIN(offer->count, offer->next), first + HASHED_FRAMES), frame = first;
    for (guint64 bytes = 0; frame < last && bytes < HASHED_BYTES; frame++) {
        bytes += table_piece(offer->table, frame)->length;
    }
    return frame - first;
}

/* How many frames are to be hashed next; 0: the turn is over. *again: it has another one, since somebody is at work on
 * the upload. What nobody brings frames of, or waits for, is not hashed. */
static guint may_hash(Offer *offer, guint64 end, gboolean *again)
{
    g_mutex_lock(&offer->lock);
    gboolean more = has_more(offer);
    guint count = more && offer->done.size < end ? next_frames(offer) : 0;
    offer->told = offer->done;
    *again = more && count == 0 && (offer->waiting > 0 || offer->wanted);
    if (count == 0) {
        offer->wanted = FALSE;
        offer->hashing = *again ? QUEUED : IDLE;
        g_cond_broadcast(&offer->stopped);
    }
    g_mutex_unlock(&offer->lock);
    return count;
}

/* One by one, each compared with its digest: what is wrong with them is found, and noted. */
static void hash_each(Offer *offer, guint count)
{
    g_autofree guint8 *data = g_malloc(PIECE_MAX);
    for (guint i = 0; i < count; i++) {
        const Piece *piece = table_piece(offer->table, offer->done.frames);
        if (!read_frame(offer, offer->done.frames, data, &offer->problem)) {
            return;
        }
        midsum_add(&offer->done.whole, data, piece->length);
        offer->done.size += piece->length;
        offer->done.frames++;
    }
}

static gboolean hash_some(Offer *offer, guint count)
{
    g_autofree SummedFrame *frames = g_new(SummedFrame, count);
    Hashed done = offer->done;
    for (guint i = 0; i < count; i++) {
        const Piece *piece = table_piece(offer->table, done.frames + i);
        guint64 at = offer->places[done.frames + i];
        frames[i] = (SummedFrame){.digest = piece->digest, .length = piece->length, .comes = at != 0, .at = at};
        done.size += piece->length;
        if (at != 0 && !open_own(offer, NULL)) {
            return FALSE;
        }
    }
    done.frames += count;
    if (!framesum_add(offer->storage, offer->fd, offer->path, frames, count, &done.whole)) {
        return FALSE;
    }
    offer->done = done;
    return TRUE;
}

/* One turn. TRUE: it goes to the end of the queue. */
static gboolean hash_frames(Offer *offer)
{
    guint count;
    gboolean again;
    guint64 end = offer->done.size + TURN;
    while ((count = may_hash(offer, end, &again)) > 0) {
        if (!hash_some(offer, count)) {
            hash_each(offer, count);
        }
    }
    return again;
}

void offer_hash(gpointer data, gpointer user)
{
    Offer *offer = data;
    (void)user;
    g_mutex_lock(&offer->lock);
    gboolean mine = offer->hashing == QUEUED;
    offer->hashing = mine ? RUNNING : offer->hashing;
    g_mutex_unlock(&offer->lock);
    if (mine && hash_frames(offer)) {
        g_thread_pool_push(offer->storage->hashers, offer, NULL);
    } else {
        offer_unref(offer);
    }
}

/* Under the lock. */
static void hash_soon(Offer *offer)
{
    if (offer->hashing == IDLE && has_more(offer)) {
        offer->hashing = QUEUED;
        g_thread_pool_push(offer->storage->hashers, offer_ref(offer), NULL);
    }
}

void offer_hash_on(Offer *offer)
{
    g_mutex_lock(&offer->lock);
    offer->wanted = TRUE;
    hash_soon(offer);
    g_mutex_unlock(&offer->lock);
}

/* Under the lock. */
static gboolean is_hashed(const Offer *offer)
{
    return offer->next == offer->count && offer->hashing == IDLE && !has_more(offer);
}

/* Whether there is nothing to wait for. Under the lock. */
static gboolean has_ended(const Offer *offer)
{
    return offer->next < offer->count || is_hashed(offer);
}

gboolean offer_is_hashed(Offer *offer)
{
    g_mutex_lock(&offer->lock);
    gboolean hashed = is_hashed(offer);
    g_mutex_unlock(&offer->lock);
    return hashed;
}

gboolean offer_wait(Offer *offer, gint64 until, StorageStop stop, gpointer user)
{
    g_mutex_lock(&offer->lock);
    offer->waiting++;
    while (!has_ended(offer) && g_get_monotonic_time() < until && (stop == NULL || !stop(user))) {
        hash_soon(offer);
        g_cond_wait_until(&offer->stopped, &offer->lock, g_get_monotonic_time() + LOOK_USEC);
    }
    offer->waiting--;
    gboolean ended = has_ended(offer);
    g_mutex_unlock(&offer->lock);
    return ended;
}

/* --- the list --- */

static guint32 length_of(const guint8 *entry)
{
    guint32 length;
    memcpy(&length, entry + INGOT_DIGEST_SIZE, sizeof length);
    return GUINT32_FROM_LE(length);
}

/* The blob that the frames make is no larger than a blob may be. */
static gboolean check_sum(const Storage *storage, const guint8 *frames, gsize size, GError **error)
{
    guint64 sum = 0;
    for (gsize at = 0; at < size; at += OFFER_ENTRY) {
        sum += length_of(frames + at);
    }
    if (storage->limits.blob > 0 && sum > storage->limits.blob) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "larger than this registry takes");
        return FALSE;
    }
    return TRUE;
}

static gboolean is_list(const guint8 *frames, gsize size)
{
    for (gsize at = 0; at + OFFER_ENTRY <= size; at += OFFER_ENTRY) {
        guint32 length = length_of(frames + at);
        if (length == 0 || length > PIECE_MAX) {
            return FALSE;
        }
    }
    return size > 0 && size % OFFER_ENTRY == 0;
}

/* Whether the frame, which is the first of its digest, counts as here. */
static gboolean is_here(const PieceRow *row, guint32 length, const GByteArray *seen)
{
    return pieces_is_whole(row, length) && (seen == NULL || piecebits_has(seen, row->id, FALSE));
}

/* first: the number of the first frame of its digest; comes: it is missing. */
static void add_frame(Offer *offer, guint first, const IngotDigest *digest, guint32 length, gboolean comes)
{
    guint frame = offer->table->pieces->len;
    offer->places[frame] = first < frame ? offer->places[first] : comes ? SEGMENT_HEAD + offer->missing : 0;
    offer->missing += comes ? length : 0;
    offer->size += length;
    offer->counts |= offer->places[frame] == 0;
    table_add(offer->table, digest, length, comes);
}

/* The frames of a part of the list, looked up at once. */
static gboolean add_frames(Offer *offer, Connection *reader, const guint8 *entries, guint count, const GByteArray *seen,
                           GError **error)
{
    g_autofree IngotDigest *digests = g_new(IngotDigest, count);
    g_autofree const IngotDigest **wanted = g_new(const IngotDigest *, count);
    g_autofree PieceRow *rows = g_new(PieceRow, count);
    for (guint i = 0; i < count; i++) {
        memcpy(digests[i].bytes, entries + (gsize)i * OFFER_ENTRY, sizeof digests[i].bytes);
        wanted[i] = &digests[i];
    }
    if (!pieces_find(reader, wanted, count, rows, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        guint32 length = length_of(entries + (gsize)i * OFFER_ENTRY);
        guint first = firsts_add(offer->firsts, offer->table, &digests[i]);
        add_frame(offer, first, &digests[i], length,
                  first == offer->table->pieces->len && !is_here(&rows[i], length, seen));
    }
    return TRUE;
}

static void skip_known(Offer *offer)
{
    while (offer->next < offer->table->pieces->len && !table_piece(offer->table, offer->next)->fresh) {
        offer->next++;
    }
}

static Offer *offer_alloc(Storage *storage, const char *path, guint frames)
{
    Offer *offer = g_new0(Offer, 1);
    g_atomic_ref_count_init(&offer->references);
    g_mutex_init(&offer->lock);
    g_cond_init(&offer->stopped);
    offer->storage = storage;
    offer->path = g_strdup(path);
    offer->fd = -1;
    midsum_begin(&offer->done.whole);
    offer->told = offer->done;
    offer->table = table_sized(frames);
    offer->count = frames;
    offer->places = g_new(guint64, frames + 1);
    offer->firsts = firsts_new(frames);
    return offer;
}

Offer *offer_new(Storage *storage, const char *path, const void *frames, gsize size, StorageMaySee may_see,
                 gpointer user, GByteArray *missing, GError **error)
{
    const guint8 *list = frames;
    if (!is_list(list, size)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "malformed frame list");
        return NULL;
    }
    if (!check_sum(storage, list, size, error)) {
        return NULL;
    }
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GByteArray) seen =
        reader == NULL || may_see == NULL ? NULL : piecebits_seen(reader, may_see, user, error);
    if (reader == NULL || (may_see != NULL && seen == NULL)) {
        return NULL;
    }
    guint count = (guint)(size / OFFER_ENTRY);
    g_autoptr(Offer) offer = offer_alloc(storage, path, count);
    g_byte_array_set_size(missing, (count + 7) / 8);
    memset(missing->data, 0, missing->len);
    for (guint i = 0; i < count; i += BATCH) {
        if (!add_frames(offer, reader, list + (gsize)i * OFFER_ENTRY, MIN(BATCH, count - i), seen, error)) {
            return NULL;
        }
    }
    for (guint i = 0; i < count; i++) {
        if (table_piece(offer->table, i)->fresh) {
            missing->data[i / 8] |= (guint8)(1u << (i % 8));
        }
    }
    g_clear_pointer(&offer->firsts, firsts_free);
    skip_known(offer);
    return g_steal_pointer(&offer);
}

Offer *offer_restore(Storage *storage, const char *path, guint frames)
{
    return offer_alloc(storage, path, frames);
}

gboolean offer_restore_frame(Offer *offer, const IngotDigest *digest, guint32 length, gboolean fresh)
{
    guint frame = offer->table->pieces->len;
    add_frame(offer, firsts_add(offer->firsts, offer->table, digest), digest, length, fresh);
    return offer->places[frame] == 0;
}

void offer_restored(Offer *offer, const UploadState *state)
{
    g_clear_pointer(&offer->firsts, firsts_free);
    offer->next = state->next;
    offer->done = (Hashed){.frames = state->hashed, .size = state->hashed_size, .whole = state->whole};
    offer->told = offer->done;
}

gsize offer_memory(guint frames)
{
    return frames * (sizeof(Piece) + sizeof(guint64));
}

guint offer_count(const Offer *offer)
{
    return offer->count;
}

guint64 offer_size(const Offer *offer)
{
    return offer->size;
}

const Table *offer_table(const Offer *offer)
{
    return offer->table;
}

guint64 offer_place(const Offer *offer, guint frame)
{
    return offer->places[frame];
}

const Piece *offer_awaits(const Offer *offer)
{
    return offer->next == offer->table->pieces->len ? NULL : table_piece(offer->table, offer->next);
}

void offer_tell(Offer *offer, UploadState *state)
{
    g_mutex_lock(&offer->lock);
    state->next = offer->next;
    state->hashed = offer->told.frames;
    state->hashed_size = offer->told.size;
    state->whole = offer->told.whole;
    g_mutex_unlock(&offer->lock);
}

guint64 offer_missing(const Offer *offer)
{
    return offer->missing;
}

gboolean offer_is_new(const Offer *offer)
{
    return !offer->counts;
}

/* --- frames that come --- */

gsize offer_take(Offer *offer, gsize size, gboolean *ends)
{
    *ends = FALSE;
    if (offer->next == offer->table->pieces->len) {
        return 0;
    }
    guint32 length = table_piece(offer->table, offer->next)->length;
    gsize count = MIN(size, length - offer->come);
    offer->come += (guint32)count;
    *ends = offer->come == length;
    return count;
}

gboolean offer_got(Offer *offer, const IngotDigest *digest, GError **error)
{
    if (!ingot_digest_equal(digest, &table_piece(offer->table, offer->next)->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a frame does not have the digest that was told");
        return FALSE;
    }
    g_mutex_lock(&offer->lock);
    offer->next++;
    skip_known(offer);
    g_mutex_unlock(&offer->lock);
    offer->come = 0;
    return TRUE;
}

gboolean offer_complete(Offer *offer, Table **table, GError **error)
{
    if (offer->next != offer->table->pieces->len) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "frames that are missing have not come");
        return FALSE;
    }
    if (!offer_is_hashed(offer)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the blob is still being hashed: end it again");
        return FALSE;
    }
    if (offer->problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&offer->problem));
        return FALSE;
    }
    midsum_digest(&offer->done.whole, &offer->table->blob);
    offer->table->size = offer->done.size;
    *table = g_steal_pointer(&offer->table);
    return TRUE;
}
