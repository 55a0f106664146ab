/* Asking Ingot's own API about one name: for the verbs that take HOST/NAME. */
#pragma once

#include <jansson.h>

#include "cli/common.h"

/* Asks for /api/v1/NAME/WHAT of HOST/NAME, by remote_api (remote/api.h), whose answer, *status and errors these are.
 * INVALID, too, where it is not HOST/NAME alone. */
json_t *name_api_ask(const char *where, const char *method, const char *what, const json_t *body, guint *status,
                     GError **error);
