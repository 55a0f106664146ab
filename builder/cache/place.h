/* Places: the files of a cache as they are named from within it, so that a cache that was moved, copied, or mounted
 * elsewhere is still what it was. What lies outside of the cache is named by its absolute path. */
#pragma once

#include <glib.h>

/* The cache that a node's folder (absolute) lies in; free it. */
char *place_cache(const char *node_folder);
/* An absolute path as node.json tells it, and back; free it. */
char *place_tell(const char *cache, const char *path);
char *place_find(const char *cache, const char *told);
/* As a qcow2 at `file` (absolute) names what it stands on (absolute): relative to its own folder where both lie in the
 * cache; free it. */
char *place_beneath(const char *cache, const char *file, const char *below);
