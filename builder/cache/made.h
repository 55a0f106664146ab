/* What a step has made on the host: the files that it left in its product, by which a later build sees that one of them
 * is gone. */
#pragma once

#include <ingot/json.h>

/* The paths of product, or, where it is a folder, of the files in it that were written at or after a time (seconds
 * since 1970): an array. Of very many the first thousand stand for all. */
json_t *made_list(const char *product, gint64 since);
/* The first one that is not there, or NULL; borrowed from made, which may be NULL. */
const char *made_missing(const json_t *made);
