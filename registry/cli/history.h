/* What a registry tells of the channels of a name, for the verbs that show it. */
#pragma once

#include <jansson.h>

#include "cli/common.h"

/* Asks HOST/NAME for /api/v1/NAME/WHAT, with the query (NULL: none): an array of objects. */
json_t *history_ask(const char *where, const char *what, const char *query, GError **error);
/* All moves of its channels, or of one (channel NULL: all), the newest first; at most so many (0: all). */
json_t *history_moves(const char *where, const char *channel, int most, GError **error);
/* A table of those members, as wide as they are; a digest is cut short, and what is not there, or empty, is a dash. */
void history_print(const json_t *list, const char *const *columns);
