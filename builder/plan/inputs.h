/* Inputs: what a step reads of this host's files, by name, as it will be used.
 *
 * A link that the recipe names is followed, as the step follows it; links inside a folder are uploaded as links and
 * count by their target. Of a file's mode only what an upload keeps of it counts, so that the umask of whoever has
 * checked the files out does not. Nothing is left out: a file that git ignores counts like any other. */
#pragma once

#include "base/json.h"

/* Adds an entry "NAME", or "NAME/…" for what is below, for each: its mode, and its digest or target. One that cannot be
 * read is an error that names it. */
gboolean plan_inputs_list(const char *path, const char *name, json_t *entries, GError **error);
