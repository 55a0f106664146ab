/* Pulls: which manifests were pulled, gathered in memory and written down together, so that a pull never waits for the
 * writer. What a crash takes with it is the last minutes of them. */
#pragma once

#include "server/storage/storage.h"

/* From any thread; costs no more than a look into a table. */
void pulls_note(Storage *storage, const char *name, const IngotDigest *manifest);
/* Writes down what was gathered; what can't be written is kept for the next time. */
gboolean pulls_flush(Storage *storage, GError **error);
