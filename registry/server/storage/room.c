#include "server/storage/room.h"

#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/counters.h"
#include "server/catalogue/uploadrows.h"
#include "server/storage/lapse.h"
#include "server/storage/session.h"

#define QUOTA_STEP (1u << 20) /* bytes that come before a repository's quota is looked at again */

void room_reserve(Upload *upload)
{
    Storage *storage = upload->storage;
    guint64 bytes = upload->offer == NULL ? upload->fresh : offer_missing(upload->offer);
    g_mutex_lock(&storage->uploads_lock);
    storage->incoming += bytes - upload->reserved;
    upload->reserved = bytes;
    g_mutex_unlock(&storage->uploads_lock);
}

void room_release(Upload *upload)
{
    Storage *storage = upload->storage;
    g_mutex_lock(&storage->uploads_lock);
    storage->incoming -= upload->reserved;
    upload->reserved = 0;
    g_mutex_unlock(&storage->uploads_lock);
}

/* more: bytes beside what the storage has, and what comes of uploads. */
static gboolean room_with(Storage *storage, Connection *connection, guint64 more, GError **error)
{
    Counters counters;
    guint64 others;
    if (storage->limits.total == 0) {
        return TRUE;
    }
    if (!counters_read(connection, &counters, error) ||
        !upload_rows_staged(connection, storage->self, NULL, &others, error)) {
        return FALSE;
    }
    g_mutex_lock(&storage->uploads_lock);
    guint64 packed = counters.packed + storage->incoming + others;
    g_mutex_unlock(&storage->uploads_lock);
    if (packed > storage->limits.total || more > storage->limits.total - packed) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE, "the registry's storage limit is reached");
        return FALSE;
    }
    return TRUE;
}

gboolean room_within(Storage *storage, Connection *connection, GError **error)
{
    return room_with(storage, connection, 0, error);
}

static gboolean room_look(Storage *storage, guint64 more, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && room_with(storage, reader, more, error);
}

gboolean storage_has_room(Storage *storage, guint64 bytes, GError **error)
{
    GError *problem = NULL;
    gboolean ok = room_look(storage, bytes, &problem);
    if (!ok && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE) && uploads_drop_lapsed(storage)) {
        g_clear_error(&problem);
        ok = room_look(storage, bytes, &problem);
    }
    if (!ok) {
        g_propagate_error(error, problem);
    }
    return ok;
}

gboolean room_in_all(Storage *storage, GError **error)
{
    return storage_has_room(storage, 0, error);
}

typedef struct {
    const char *name;
    guint64 bytes;
} StagedIn;

static void room_add(Upload *upload, gpointer user)
{
    StagedIn *in = user;
    in->bytes += strcmp(upload->name, in->name) == 0 ? upload->reserved : 0;
}

/* What uploads to the repository take. */
static gboolean room_staged(Storage *storage, const char *name, guint64 *bytes, GError **error)
{
    StagedIn here = {.name = name};
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL || !upload_rows_staged(reader, storage->self, name, bytes, error)) {
        return FALSE;
    }
    session_each(storage, room_add, &here);
    *bytes += here.bytes;
    return TRUE;
}

static gboolean room_in_repository(Upload *upload, GError **error)
{
    Storage *storage = upload->storage;
    guint64 staged;
    if (storage->limits.repository == 0 || *upload->name == '\0' ||
        (upload->checked != 0 && upload->reserved < upload->checked + QUOTA_STEP)) {
        return TRUE;
    }
    if (!room_staged(storage, upload->name, &staged, error) ||
        !storage_has_quota(storage, upload->name, staged, error)) {
        return FALSE;
    }
    upload->checked = upload->reserved;
    return TRUE;
}

gboolean room_for(Upload *upload, GError **error)
{
    gboolean ok = room_in_all(upload->storage, error) && room_in_repository(upload, error);
    upload->changed |= upload->refused == ok;
    upload->refused = !ok;
    return ok;
}
