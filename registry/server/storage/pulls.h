/* Pulls: which manifests were pulled, and which blobs a push has asked for and so counts on. They are gathered in
 * memory and written down together, so that a pull never waits for the writer. What a crash takes with it is the last
 * minutes of them. */
#pragma once

#include "server/storage/storage.h"

/* From any thread; costs no more than a look into a table. */
void pulls_note(Storage *storage, const char *name, const IngotDigest *manifest);
/* Somebody was told that the repository has the blob: its grace begins anew. */
void pulls_ask(Storage *storage, const char *name, const IngotDigest *blob);
/* The same of a push, which counts on it. Another process, which may collect now, can't look into this one's memory:
 * where there may be one it is written when this returns, together with what others ask meanwhile. */
void pulls_count_on(Storage *storage, const char *name, const IngotDigest *blob);
/* Whether it may wait for that. */
gboolean pulls_may_wait(const Storage *storage);
/* Whether that is so and is not written down yet. To be asked within a change: what is being written is then there. */
gboolean pulls_is_asked(Storage *storage, const char *name, const IngotDigest *blob);
/* Writes down what was gathered; what can't be written is kept for the next time. */
gboolean pulls_flush(Storage *storage, GError **error);
