/* What is reached: the blobs that a manifest of the store names, and those that the rows of index.json name together.
 *
 * The collector never guesses: where the manifest of an image cannot be read, what it names cannot be told, and that is
 * an error. */
#pragma once

#include "store/layout.h"

/* A set of digests as text, which knows of each whether it was opened as a manifest. */
GHashTable *reach_new(void);
/* A manifest of the store. *bytes (may be NULL) is its text: free both. */
json_t *reach_read(IngotStore *store, const IngotDigest *digest, GBytes **bytes, GError **error);
/* Adds a digest that is not opened. */
void reach_note(GHashTable *set, const char *digest);
/* Whether all that this manifest names was added too. */
gboolean reach_opened(GHashTable *set, const char *digest);
/* Adds a manifest, its config, its layers, and, of an index, the manifests below it that are there. */
gboolean reach_add(IngotStore *store, const IngotDigest *manifest, GHashTable *set, GError **error);
/* Adds all that the rows reach; what is attached to an image keeps the image, which may have no name yet. *unread is
 * raised by the number of those without a name that can't be read. */
gboolean reach_rows(IngotStore *store, const json_t *rows, GHashTable *set, guint *unread, GError **error);
/* The digest of what a row of index.json is attached to: the row says it, or, of an older Ingot's or another tool's,
 * the manifest's own subject. NULL: it is attached to nothing, or has a name. Free it. */
char *reach_subject(IngotStore *store, const json_t *row);
