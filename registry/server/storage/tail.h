/* The tail of the log of events: what has been committed since it was looked at last, by this process or another one
 * that shares the folder. A Tail belongs to one thread. */
#pragma once

#include "base/json.h"
#include "server/storage/storage.h"

typedef struct {
    guint64 number;   /* of the last event that was taken; 0: none */
    guint64 end;      /* bytes of the log up to it; 0: not known */
    guint64 sequence; /* the catalogue's, as of then; 0: never looked */
    gboolean all;     /* takes events that a checkpoint has taken the place of as well, while their log is kept */
} StorageTail;

/* An event; the object is the log's line. */
typedef void (*StorageTailTake)(guint64 number, const json_t *object, gpointer user);

/* A tail that stands `most` events before the last one that is committed, or at the checkpoint that the log begins
 * with, where that comes later. */
gboolean storage_tail_begin(Storage *storage, StorageTail *tail, guint most, GError **error);
/* Calls take for each event behind the tail, in order, and moves the tail behind them. Events that a checkpoint has
 * taken the place of are left out (but see `all`): the numbers then have a gap. Waits for the disk where something was
 * committed. */
gboolean storage_tail(Storage *storage, StorageTail *tail, StorageTailTake take, gpointer user, GError **error);
