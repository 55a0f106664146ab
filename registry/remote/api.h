/* The API of Ingot's own registry: JSON over HTTPS, under /api/v1/. */
#pragma once

#include <ingot/remote.h>

#include "base/json.h"

#define API_ANSWER_MAX (16u << 20) /* bytes */

/* Asks with a method and a path behind /api/v1/, which is sent as it is: its segments are names, tags, digests and
 * queries that are escaped already. body may be NULL. A POST has a key of its own (Idempotency-Key), the same each time
 * that it goes out: what the registry has done it does not do again. The answer's JSON; null where it has none. A
 * refusal that lists gates, or mistakes of a file, is an answer as well, with *status 409. NULL: another refusal, by
 * the registry's own words, or NOT_FOUND where what answers is not a registry of Ingot's. */
json_t *remote_api(IngotRemote *remote, const char *method, const char *path, const json_t *body, guint *status,
                   GError **error);
/* Whether that error says that the registry is not Ingot's. */
gboolean remote_api_is_foreign(const GError *error);
