/* Asking a registry to move a channel, and telling what its gates say: for the verbs that do. */
#pragma once

#include <jansson.h>

#include "cli/common.h"

/* POST /api/v1/NAME/WHAT/CHANNEL of HOST/NAME. The answer, printed: as JSON where that is asked for. FALSE, with
 * REFUSED, where gates refuse it. *foreign (may be NULL): the registry is not Ingot's, and no error is set. */
gboolean promotion_ask(const char *where, const char *what, const char *channel, const json_t *body, gboolean *foreign,
                       GError **error);
