/* The content of files and trees as one digest: names, modes, link targets and bytes, in sorted order. */
#pragma once

#include <ingot/digest.h>

gboolean plan_tree_add(IngotHasher *hasher, const char *path, GError **error);
