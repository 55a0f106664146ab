/* Uploads as the doors see them: one begins, bytes come, it is finished or dropped. */
#include "server/storage/upload.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/uploadrows.h"
#include "server/storage/atrest.h"
#include "server/storage/lapse.h"
#include "server/storage/longsum.h"
#include "server/storage/resume.h"
#include "server/storage/room.h"
#include "server/storage/session.h"

#define HASH_WAIT (2 * G_TIME_SPAN_SECOND) /* before a request that ends an offer hears that it takes longer */
#define SOON_MAX (16u << 20)               /* bytes that are read while others wait */
#define SOON_FRAMES 1024u                  /* frames that are looked at then */

/* The one who ends an upload, and how long that may take. */
typedef struct {
    StorageStop stop; /* may be NULL */
    gpointer user;
    gint64 until; /* monotonic */
} Ending;

/* --- beginning --- */

static gboolean count_all(Storage *storage, guint *count, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !upload_rows_count(reader, NULL, count, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->uploads_lock);
    *count += storage->brief;
    g_mutex_unlock(&storage->uploads_lock);
    return TRUE;
}

static gboolean may_begin(Storage *storage, GError **error)
{
    guint count;
    if (!count_all(storage, &count, error)) {
        return FALSE;
    }
    if (storage->limits.uploads > 0 && count >= storage->limits.uploads) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%u uploads are under way: try again later", count);
        return FALSE;
    }
    return room_in_all(storage, error);
}

char *storage_upload_new(Storage *storage, const StorageUpload *about, GError **error)
{
    notes_wait(storage->notes); /* what was found damaged does not count as there */
    g_autofree char *id = g_uuid_string_random();
    if (!may_begin(storage, error)) {
        return NULL;
    }
    Upload *upload = upload_new(storage, id);
    upload->name = g_strdup(about->name);
    upload->user = g_strdup(about->user);
    upload->brief = about->brief;
    upload->network = about->network;
    upload->sha512 = about->sha512 ? sha512_new() : NULL;
    GError *problem = NULL;
    gboolean ok = session_begin(upload, &problem);
    if (!ok && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE) && uploads_drop_refused(storage)) {
        g_clear_error(&problem);
        ok = session_begin(upload, &problem);
    }
    if (!ok) {
        g_propagate_error(error, problem);
        upload_unref(upload);
        return NULL;
    }
    return g_steal_pointer(&id);
}

typedef struct {
    const char *user;
    guint count;
} BriefOf;

static void count_brief(Upload *upload, gpointer user)
{
    BriefOf *of = user;
    of->count += upload->brief && g_strcmp0(upload->user, of->user) == 0 ? 1 : 0;
}

gboolean storage_upload_count(Storage *storage, const char *user, guint *count, GError **error)
{
    BriefOf brief = {.user = user};
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !upload_rows_count(reader, user, count, error)) {
        return FALSE;
    }
    session_each(storage, count_brief, &brief);
    *count += brief.count;
    return TRUE;
}

gboolean storage_upload_size(Storage *storage, const char *id, guint64 *size, GError **error)
{
    gboolean elsewhere;
    if (!session_peek(storage, id, size, &elsewhere, error)) {
        return FALSE;
    }
    if (elsewhere) {
        return TRUE;
    }
    Upload *upload = session_enter(storage, id, 0, error);
    if (upload == NULL) {
        return FALSE;
    }
    *size = upload->size;
    /* What is told is what another process finds. */
    gboolean ok = !storage->shared || upload_keep(upload, error);
    atrest_settle(upload);
    session_leave(upload);
    atrest_bound(storage);
    return ok;
}

/* --- bytes --- */

/* The request has its turn from now on. */
static gboolean begin_turn(Upload *upload, guint64 network, guint *turn, GError **error)
{
    Storage *storage = upload->storage;
    g_mutex_lock(&storage->uploads_lock);
    upload->network = network;
    g_mutex_unlock(&storage->uploads_lock);
    if (!atrest_leave(upload, error)) {
        return FALSE;
    }
    do {
        upload->turn = (guint)g_atomic_int_add(&storage->turns, 1) + 1;
    } while (upload->turn == 0);
    *turn = upload->turn;
    return TRUE;
}

gboolean storage_upload_begin(Storage *storage, const char *id, guint64 network, const guint64 *from, guint *turn,
                              guint64 *size, GError **error)
{
    gboolean elsewhere;
    *turn = 0;
    if (!session_peek(storage, id, size, &elsewhere, error)) {
        return FALSE;
    }
    if (elsewhere && from != NULL && *from < *size) {
        return TRUE;
    }
    /* A client that does not say where its bytes begin goes on where it was told that the upload stands. */
    Upload *upload = elsewhere && (from == NULL || *from == *size) ? session_enter_kept(storage, id, error)
                                                                   : session_enter(storage, id, 0, error);
    if (upload == NULL) {
        return FALSE;
    }
    *size = upload->size;
    gboolean ok = (from != NULL && *from != *size) || begin_turn(upload, network, turn, error);
    atrest_settle(upload);
    session_leave(upload);
    atrest_bound(storage);
    return ok;
}

/* The bytes that come are those that are next, and the blob may have them. */
static gboolean may_add(Upload *upload, guint64 at, gsize size, GError **error)
{
    guint64 limit = upload->storage->limits.blob;
    if (upload->complete) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more bytes came than were missing");
        return FALSE;
    }
    if (at != upload->size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another request has gone on with the upload");
        return FALSE;
    }
    if (limit > 0 && at + size > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "larger than this registry takes");
        return FALSE;
    }
    return !upload->refused || room_for(upload, error);
}

static void shelve(Upload *upload, const GError *problem)
{
    gboolean full = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE);
    session_shelve(upload);
    if (full) {
        uploads_drop_refused(upload->storage);
        upload_refuse(upload);
    }
}

static gboolean add(Upload *upload, const void *data, gsize size, GError **error)
{
    guint64 fresh = upload->fresh;
    GError *problem = NULL;
    if (!upload_open(upload, 0, &problem) || !upload_take(upload, data, size, &problem)) {
        shelve(upload, problem);
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (upload->fresh != fresh) {
        room_reserve(upload);
        if (!room_for(upload, error)) {
            return FALSE;
        }
    }
    return upload_keep_sometimes(upload, error);
}

gboolean storage_upload_add(Storage *storage, const char *id, guint turn, guint64 at, const void *data, gsize size,
                            GError **error)
{
    Upload *upload = session_enter(storage, id, turn, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = may_add(upload, at, size, error) && add(upload, data, size, error);
    session_leave(upload);
    return ok;
}

gboolean storage_upload_settle(Storage *storage, const char *id, guint turn, guint64 *size, GError **error)
{
    Upload *upload = session_enter(storage, id, turn, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = upload_keep(upload, error);
    *size = upload->size;
    session_leave(upload);
    return ok;
}

void storage_upload_pause(Storage *storage, const char *id)
{
    g_autoptr(Upload) known = session_known(storage, id);
    if (known == NULL) {
        return;
    }
    atrest_return(known);
    Upload *upload = session_at_hand(storage, id);
    if (upload != NULL) {
        upload_keep(upload, NULL); /* where that fails, less of it is found again */
        upload_close(upload);
        atrest_settle(upload);
        session_leave(upload);
    }
    atrest_bound(storage);
}

/* --- an offer --- */

/* Room for what is missing is set aside; without it the upload is as if nothing had been offered. */
static gboolean offer_fits(Upload *upload, GError **error)
{
    room_reserve(upload);
    if (room_for(upload, error)) {
        return TRUE;
    }
    g_clear_pointer(&upload->offer, offer_free);
    room_reserve(upload);
    upload->refused = FALSE;
    return FALSE;
}

static void let_go(Upload *upload)
{
    Change change;
    if (upload->leased != 0 && change_begin(upload->storage, &change, NULL)) {
        change_end(&change, leases_drop(change.writer, upload->id, NULL), NULL);
        upload->leased = 0;
    }
}

static gboolean take_offer(Upload *upload, const void *frames, gsize size, StorageMaySee may_see, gpointer user,
                           GByteArray *missing, GError **error)
{
    if (upload->size != 0 || upload->offer != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "frames are offered before any bytes come");
        return FALSE;
    }
    upload->offer = upload_hold(upload, error) && atrest_hold(upload, (guint)(size / OFFER_ENTRY), error)
                        ? offer_new(upload->storage, upload->pack, frames, size, may_see, user, missing, error)
                        : NULL;
    g_clear_pointer(&upload->sha512, sha512_free); /* not all bytes will come */
    gboolean ok = upload->offer != NULL && offer_fits(upload, error);
    if (!ok) {
        atrest_hold(upload, 0, NULL);
    }
    if (ok ? offer_is_new(upload->offer) : upload->leased != 0) {
        let_go(upload);
    }
    return ok;
}

gboolean storage_upload_offer(Storage *storage, const char *id, const void *frames, gsize size, StorageMaySee may_see,
                              gpointer user, GByteArray *missing, GError **error)
{
    Upload *upload = session_enter(storage, id, 0, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = take_offer(upload, frames, size, may_see, user, missing, error);
    if (ok && !(upload_list_frames(upload, error) && upload_keep(upload, error))) {
        ok = FALSE;
        session_end(upload); /* nobody knows which of its lists counts */
    }
    atrest_settle(upload);
    session_leave(upload);
    atrest_bound(storage);
    return ok;
}

/* --- the end --- */

/* While a thread hashes the rest: then there is little left to flush. */
static gboolean flush_frames(const Upload *upload, GError **error)
{
    return fdatasync(upload->pack_fd) == 0 || ingot_error_set_errno(error, errno, "%s", upload->pack);
}

/* The table and the blob's digest. */
static gboolean complete(Upload *upload, GError **error)
{
    if (upload->complete) {
        return TRUE;
    }
    if (upload->offer == NULL) {
        midsum_digest(&upload->whole, &upload->table->blob);
        upload->table->size = upload->size;
        return TRUE;
    }
    g_autoptr(Table) table = NULL;
    if (!flush_frames(upload, error) || !offer_complete(upload->offer, &table, error)) {
        return FALSE;
    }
    table_free(upload->table);
    upload->table = g_steal_pointer(&table);
    upload->complete = TRUE;
    return TRUE;
}

/* Whether what an offer counts on is whole: what was hashed was not what the client has. Another try goes on with it.
 */
static gboolean counts_on_whole(Upload *upload, const Ending *ending, GError **error)
{
    if (upload->offer == NULL) {
        return TRUE;
    }
    g_atomic_int_set(&upload->summing, TRUE);
    gboolean looked =
        proof_table(upload->storage, upload->table, &upload->proven, ending->until, ending->stop, ending->user, error);
    g_atomic_int_set(&upload->summing, FALSE);
    if (!looked) {
        return FALSE;
    }
    if (upload->proven.lack) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a frame that was here is damaged: push the blob again");
    }
    return !upload->proven.lack;
}

static gboolean fits(Upload *upload, const OciDigest *digest, const Ending *ending, GError **error)
{
    gboolean same;
    /* Who brought bytes would bring them once more, if it were told to end it again. */
    gint64 until = upload->offer == NULL ? G_MAXINT64 : ending->until;
    if (!upload_has_digest(upload, digest, until, ending->stop, ending->user, &same, error)) {
        return FALSE;
    }
    if (!same) {
        if (!counts_on_whole(upload, ending, error)) {
            return FALSE;
        }
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the bytes do not have the digest that was given");
        return FALSE;
    }
    return TRUE;
}

/* What can be done without the write lock: the segment is completed and flushed. */
static gboolean prepare(Upload *upload, guint64 *size, GError **error)
{
    if (!segment_finish(upload->pack_fd, 0, upload->fresh, upload->table, size, upload->pack, error)) {
        return FALSE;
    }
    return (ftruncate(upload->pack_fd, (off_t)*size) == 0 && fdatasync(upload->pack_fd) == 0) ||
           ingot_error_set_errno(error, errno, "%s", upload->pack);
}

static gboolean drop_rows(Change *change, Upload *upload, GError **error)
{
    return leases_drop(change->writer, upload->id, error) &&
           (upload->brief || upload_rows_drop(change->writer, upload->id, error));
}

static gboolean store(Upload *upload, const StorageActor *actor, const char *name, const OciDigest *named,
                      GError **error)
{
    Change change;
    const IngotDigest *digest = &upload->table->blob;
    guint64 size;
    if (!room_in_all(upload->storage, error) || !prepare(upload, &size, error) ||
        !publish_prove(upload->storage, upload->table, error) || !change_begin(upload->storage, &change, error)) {
        return FALSE;
    }
    change.actor = actor;
    gint64 blob = names_blob(change.writer, digest, error);
    gboolean brings = FALSE;
    g_autofree PieceRow *found = NULL;
    gboolean ok = blob >= 0 && publish_brings(&change, upload->table, blob, &brings, &found, error) &&
                  (!brings || (room_within(upload->storage, change.writer, error) &&
                               publish_file(&change, upload->table, found, upload->pack, size, &blob, error))) &&
                  names_link(&change, name, blob, digest, error) && names_alias(&change, name, named, digest, error) &&
                  drop_rows(&change, upload, error);
    upload->stored = change_end(&change, ok, error);
    return upload->stored;
}

static gboolean finish(Upload *upload, const StorageActor *actor, const char *name, const OciDigest *digest,
                       const Ending *ending, GError **error)
{
    GError *problem = NULL;
    if (!upload_open(upload, 0, &problem) || (upload->length > 0 && !upload_end_piece(upload, &problem))) {
        shelve(upload, problem);
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (complete(upload, &problem) && fits(upload, digest, ending, &problem) &&
        store(upload, actor, name, digest, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_LIMIT)) {
        upload->refused = upload->changed = TRUE;
        upload_refuse(upload);
    } else if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        upload->changed = TRUE; /* more of it is hashed than was kept */
    } else if (upload->offer != NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        session_end(upload); /* what was hashed of it was damaged, and it counts on that */
    } else if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        shelve(upload, problem); /* what it counted on may have gone, or what it wrote has not come to the disk */
    }
    g_propagate_error(error, problem);
    return FALSE;
}

/* Its lock is nobody's while this waits. */
static void await_hash(Storage *storage, const char *id, guint turn, const Ending *ending)
{
    Upload *upload = session_enter(storage, id, turn, NULL);
    if (upload == NULL) {
        return;
    }
    g_autoptr(Offer) offer = upload->offer == NULL || upload->complete ? NULL : offer_ref(upload->offer);
    session_leave(upload);
    if (offer != NULL) {
        offer_wait(offer, ending->until, ending->stop, ending->user);
    }
}

gboolean storage_upload_ends_late(Storage *storage, const char *id, gboolean by_sha512)
{
    Upload *upload = session_at_hand(storage, id);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean late = upload->offer != NULL && (!offer_is_hashed(upload->offer) || offer_size(upload->offer) > SOON_MAX ||
                                              offer_count(upload->offer) > SOON_FRAMES);
    late |= by_sha512 && upload->sha512 == NULL && upload->size > SOON_MAX;
    session_leave(upload);
    return late;
}

gboolean storage_upload_finish(Storage *storage, const StorageActor *actor, const char *id, guint turn,
                               const char *name, const IngotDigest *digest, GError **error)
{
    const OciDigest named = oci_digest_from_sha256(digest);
    return storage_upload_finish_named(storage, actor, id, turn, name, &named, NULL, NULL, error);
}

gboolean storage_upload_finish_named(Storage *storage, const StorageActor *actor, const char *id, guint turn,
                                     const char *name, const OciDigest *digest, StorageStop stop, gpointer user,
                                     GError **error)
{
    const Ending ending = {
        .stop = stop, .user = user, .until = stop == NULL ? G_MAXINT64 : g_get_monotonic_time() + HASH_WAIT};
    await_hash(storage, id, turn, &ending);
    Upload *upload = session_enter(storage, id, turn, error);
    if (upload == NULL) {
        return FALSE;
    }
    gboolean ok = finish(upload, actor, name, digest, &ending, error);
    if (ok) {
        session_end(upload);
    }
    session_leave(upload);
    return ok;
}

gboolean storage_upload_drop(Storage *storage, const char *id, GError **error)
{
    Upload *upload = session_seize(storage, id, error);
    if (upload == NULL) {
        return FALSE;
    }
    session_end(upload);
    session_leave(upload);
    return TRUE;
}
