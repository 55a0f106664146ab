/* The content of files and trees by name: modes, link targets and bytes of all that lies below a path.
 *
 * Nothing is left out: a file that git ignores counts like any other, since a step would read it too. */
#pragma once

#include <ingot/json.h>

/* Adds an entry "NAME", or "NAME/…" for what is below, for each: its mode, and its digest or target. One that cannot be
 * read is an error that names it. */
gboolean plan_tree_list(const char *path, const char *name, json_t *entries, GError **error);
