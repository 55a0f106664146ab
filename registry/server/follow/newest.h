/* The newest events, kept in memory in the order of the log.
 *
 * Each is kept as clients see it: what happened to which tag and digest, and when. Who did it, from where and why stays
 * in the log, for `ingotd audit`: these lines go to whoever may pull the name. What is to be locked is the owner's: one
 * thread reads, and only newest_take changes what others look at. */
#pragma once

#include "server/storage/storage.h"

typedef struct {
    guint64 number;
    char *name, *line; /* NULL: nobody sees it */
    gsize size;        /* of the line */
} NewestEvent;

typedef struct Newest Newest;
/* With the last events of the log, as it stands now. */
Newest *newest_new(Storage *storage, GError **error);
void newest_free(Newest *newest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Newest, newest_free)

/* Reads what has been committed since, by other processes too; waits for the disk, and needs no lock. */
gboolean newest_read(Newest *newest, GError **error);
/* Keeps what was read. Under the lock. */
void newest_take(Newest *newest);

/* Under the lock. The number of the last event; of the last one that is not kept any more. */
guint64 newest_last(const Newest *newest);
guint64 newest_gone(const Newest *newest);
/* Of NewestEvent: the first one behind that number, and those behind it; NULL: there is none. */
const GList *newest_behind(const Newest *newest, guint64 number);
