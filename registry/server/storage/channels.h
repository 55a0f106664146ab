/* Channels: the tags that machines run, and that move by promotion alone. Which tags of a name are channels is for its
 * pipeline to say.
 *
 * Pipelines are kept in memory. Where other processes serve the folder too, whoever asks for one has those that the
 * catalogue has by then, whichever process has put them; where anything was committed meanwhile, a row is read for
 * that. A change goes by those that the catalogue has from its beginning to its end. Thread safe. */
#pragma once

#include "server/pipeline/pipeline.h"
#include "server/storage/storage.h"

/* The pipeline of a name: the default where none was applied (pattern NULL). Unref it. */
Pipeline *storage_pipeline(Storage *storage, const char *name);
/* The same from memory, for an event loop. NULL: the catalogue may have another one by now. */
Pipeline *storage_recall_pipeline(Storage *storage, const char *name);
gboolean storage_is_channel(Storage *storage, const char *name, const char *tag);
/* The same, of those alone that a pipeline names which was applied: no plain push moves them, and no copy of what
 * another registry has. */
gboolean storage_is_guarded(Storage *storage, const char *name, const char *tag);

/* Whether what a channel of the name stands on may be removed with it: no pipeline was applied. */
gboolean storage_may_remove_channels(Storage *storage, const char *name);

/* All that were applied, as they are now: an array of Pipeline * that never changes; unref it. */
GPtrArray *storage_pipelines(Storage *storage);
/* Given all pipelines that were applied, by whatever process, says which are to be put: an array of Pipeline *, which
 * the caller unrefs. NULL: it has set an error. */
typedef GPtrArray *(*PipelinesFunc)(const GPtrArray *now, gpointer user, GError **error);
/* Puts what func says, all or none, in the place of those with the same patterns; one without channels takes that away.
 * Nothing changes between what func is given and what it says. They count when this returns; where it fails after they
 * were put, from when they can be read on, and nothing moves before. */
gboolean storage_change_pipelines(Storage *storage, const StorageActor *actor, PipelinesFunc func, gpointer user,
                                  GError **error);
/* Reads them where the catalogue has others than those in memory. */
gboolean storage_load_pipelines(Storage *storage, GError **error);
/* The same where another process may have put some. */
gboolean storage_refresh_pipelines(Storage *storage, GError **error);
