/* Boxes that were uploaded are taken in (ingest.h) one after another, by a thread of its own that gives way to others.
 * What became of each is in its provider's record: an image, or a problem. What a server that ended has left undone,
 * the next one does. Thread safe. */
#pragma once

#include "server/boxes/boxchange.h"
#include "server/boxes/boxfiles.h"
#include "server/server.h"

typedef struct BoxQueue BoxQueue;
/* Begins with what was left; the server has its storage and warm. NULL: the system gives it no thread. */
BoxQueue *boxqueue_start(const Server *server, BoxFiles *files, GError **error);
/* Waits for the one that is being taken in. */
void boxqueue_stop(BoxQueue *queue);

typedef struct {
    const char *name, *user; /* the repository; who uploads: NULL: nobody is known */
    BoxProviderKey key;
    const char *upload; /* whose file is whole */
} BoxUploaded;
/* INTERRUPTED: as many wait as may. */
gboolean boxqueue_add(BoxQueue *queue, const BoxUploaded *uploaded, GError **error);
