/* What a step has made on the host: the files that it has written itself, and what is in them, by which a later build
 * sees that one of them is gone or is another one now. What others have in the same folder does not count. */
#pragma once

#include "base/json.h"

/* What the paths that a step has written are now: {path: what it is}. One that is a folder by now, or is gone, is left
 * out. */
json_t *made_list(const GPtrArray *paths);
/* The files of made without those that a later step has made anew: they are that one's. Either may be NULL. */
json_t *made_without(const json_t *made, const json_t *later);
/* Why what was made does not stand any more: the first file that is not there, or is not as it was made. NULL: all
 * stands. A file with the size, inode and time that it had is not read. made may be NULL. Free it. */
char *made_why_stale(const json_t *made);
