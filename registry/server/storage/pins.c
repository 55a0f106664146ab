/* Pieces in use: what uploads count on is not collected under them. */
#include <ingot/error.h>

#include "server/storage/inside.h"

static gpointer key_of(gint64 piece)
{
    return GUINT_TO_POINTER((guint)piece);
}

static void touch(Storage *storage, gint64 piece)
{
    if (storage->touched != NULL) {
        g_hash_table_add(storage->touched, key_of(piece));
    }
}

gint64 pins_find(Storage *storage, Connection *reader, const IngotDigest *digest, guint32 length)
{
    gint64 piece;
    /* Under the lock, so that a collection does not take it away between the look and the pin. */
    g_mutex_lock(&storage->pins_lock);
    if (!database_number(reader, &piece, 0, NULL, "SELECT id FROM pieces WHERE digest=? AND length=? AND NOT damaged",
                         "di", digest, (gint64)length)) {
        piece = 0;
    }
    if (piece > 0) {
        guint users = GPOINTER_TO_UINT(g_hash_table_lookup(storage->pins, key_of(piece)));
        g_hash_table_insert(storage->pins, key_of(piece), GUINT_TO_POINTER(users + 1));
        touch(storage, piece);
    }
    g_mutex_unlock(&storage->pins_lock);
    return piece;
}

void pins_drop(Storage *storage, gint64 piece)
{
    g_mutex_lock(&storage->pins_lock);
    guint users = GPOINTER_TO_UINT(g_hash_table_lookup(storage->pins, key_of(piece)));
    if (users > 1) {
        g_hash_table_insert(storage->pins, key_of(piece), GUINT_TO_POINTER(users - 1));
    } else {
        g_hash_table_remove(storage->pins, key_of(piece));
    }
    g_mutex_unlock(&storage->pins_lock);
}

void pins_touch(Storage *storage, const guint32 *pieces, guint count)
{
    g_mutex_lock(&storage->pins_lock);
    for (guint i = 0; storage->touched != NULL && i < count; i++) {
        touch(storage, GUINT32_FROM_LE(pieces[i]));
    }
    g_mutex_unlock(&storage->pins_lock);
}
