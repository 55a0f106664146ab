/* A blob of the store, to a registry that may have it already. */
#pragma once

#include <ingot/progress.h>
#include <ingot/remote.h>
#include <ingot/store.h>

/* *send: the registry lacks the blob, and the store has it as it should be. */
gboolean send_is_needed(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob,
                        gboolean *send, IngotProgress *progress, GError **error);
/* Sends it where it is needed; progress may be NULL. */
gboolean send_blob(IngotStore *store, IngotRemote *remote, const char *name, const IngotDescriptor *blob,
                   IngotProgress *progress, GError **error);
