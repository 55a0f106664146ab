/* The server as its doors know it: what they reach from a request (request->server). The room http only passes it on.
 * All of it lives as long as the server. */
#pragma once

#include <glib.h>

typedef struct Server {
    struct Storage *storage;
    struct Through *through; /* NULL: there is no upstream */
    struct Views *views;
    struct Warm *warm;
    struct Boxes *boxes;   /* what the doors to Vagrant keep */
    struct Access *access; /* who may do what */
    struct Upkeep *upkeep;
    struct Feed *feed;       /* of events, to those who follow */
    struct Database *ledger; /* of hosts that follow, and of webhooks (follow/ledger.h) */
    struct Webhooks *webhooks;
    guint64 upload_max;     /* bytes of a blob */
    guint uploads_per_user; /* that may be under way at once; 0: any number */
    const char *movable;    /* repositories whose versions may move, as a pattern; NULL: none */
} Server;
