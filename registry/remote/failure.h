/* What went wrong with a registry, in the words of its user: HOST/NAME:TAG first, then the cause. No URL of ours, which
 * nobody typed, and no sentence of libcurl's. */
#pragma once

#include <ingot/error.h>

#include "remote/http.h"

/* "registry.example/team/web:1.0.0" for the URL that asks for it. A blob is named with its digest; what is at no
 * address of the registry's, by the registry and that address. Free it. */
char *failure_subject(const IngotRemote *remote, const char *url);
/* The status with which a proxy has refused to connect a transfer; 0: none has. */
long failure_proxy_status(CURL *curl);
/* Why a transfer did not come about, or broke off: "no connection: Connection refused". Free it. */
char *failure_cause(CURL *curl, CURLcode code, gboolean unconnected, long stall);
/* Whether there is no use in asking for anything else after it: the network broke off, or the process is to end. */
gboolean failure_ends_all(const GError *problem);
/* Sets "SUBJECT: MESSAGE". Always FALSE. */
gboolean failure_set(const IngotRemote *remote, const char *url, IngotError code, GError **error, const char *format,
                     ...) G_GNUC_PRINTF(5, 6);
/* Parses JSON that a registry sent for that URL; *room: as ingot_json_parse_within has it. CORRUPT: it can't be read,
 * which is no fault of the user's. */
json_t *failure_parse(const IngotRemote *remote, const char *url, const GByteArray *text, gsize *room, GError **error);
/* Sets the error that fits a status. message: what the registry says to it, or NULL. Always FALSE. */
gboolean failure_set_status(const IngotRemote *remote, const char *url, long status, const char *message,
                            const char *advice, GError **error);
