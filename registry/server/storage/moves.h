/* Moves: what the channels of a name have named, since when, by whom and why. They are never changed or forgotten.
 * Thread safe. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    guint64 number; /* of the name's moves, from 1 */
    char *tag;
    IngotDigest digest;      /* that the channel names since; not set where it is gone */
    gboolean gone;           /* the channel was removed */
    gint64 at;               /* seconds */
    char *by, *reason, *how; /* how: promote, rollback, push, remove, or upstream, from where a cache has it; by and
                              * reason NULL: not known */
    gboolean forced;         /* although gates refused */
    char *request;           /* the key of the request that moved it; NULL: it had none */
    json_t *gates;           /* array of {"gate", "passed", "why"}: what they said then; NULL: none was asked */
} StorageMove;

/* Array of StorageMove, the newest first: at most `most` of those before a number (0: all), of one channel or of all
 * (tag NULL). */
GArray *storage_moves(Storage *storage, const char *name, const char *tag, guint64 before, guint most, GError **error);
/* What a tag names (NOT_FOUND: there is none), and in the array the move by which it came to, be it an upstream's: its
 * last one, unless that led elsewhere, since the tag was set while it was no channel. Else the array is empty. */
GArray *storage_last_move(Storage *storage, const char *name, const char *tag, IngotDigest *digest, GError **error);
