/* What a step has made on the host: the files that it left in its product, and what is in them, by which a later build
 * sees that one of them is gone or is another one now. */
#pragma once

#include <ingot/json.h>

/* The product or, where it is a folder, the files in it that were written at or after a time (seconds since 1970):
 * {path: what it is}. */
json_t *made_list(const char *product, gint64 since);
/* The files of made without those that a later step has made anew: they are that one's. Either may be NULL. */
json_t *made_without(const json_t *made, const json_t *later);
/* Why what was made does not stand any more: the first file that is not there, or is not as it was made. NULL: all
 * stands. A file with the size, inode and time that it had is not read. made may be NULL. Free it. */
char *made_why_stale(const json_t *made);
