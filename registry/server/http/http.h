/* HTTP by libmicrohttpd: requests come in, whole or piece by piece, and one answer (request.h) goes out; limits and the
 * log are here. */
#pragma once

#include "server/mirror/through.h"
#include "server/settings.h"
#include "server/storage/storage.h"
#include "server/upkeep/upkeep.h"

typedef struct Http Http;
typedef struct {
    const Settings *settings; /* with tls_cert it serves by TLS, with the pair that tls.h has loaded */
    Storage *storage;
    Upkeep *upkeep;
    Through *through; /* NULL: there is no upstream */
    struct Access *access;
} HttpOptions;
/* url (free it) says where it listens. What the options name must outlive it. */
Http *http_start(const HttpOptions *options, char **url, GError **error);
/* Takes no more connections, lets running requests end (at most 10 s), stops. */
void http_stop(Http *http);
