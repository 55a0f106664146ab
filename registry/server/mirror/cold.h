/* Cold blobs: what has come of a blob while it is copied from an upstream, for those who can't wait for its end.
 *
 * All who read one blob read what its one copy brings (in a file without a name). What they need elsewhere is fetched
 * for them alone. What is given out has not been checked against the digest yet: whoever reads a blob from its first
 * byte gets its last one only once the copy is whole and right, so that no false blob ever looks complete. Thread safe.
 */
#pragma once

#include <ingot/digest.h>

typedef struct Colds Colds; /* all that are being copied */
typedef struct Cold Cold;

/* folder: where the files lie. */
Colds *colds_new(const char *folder);
/* Nobody has any of them. */
void colds_free(Colds *colds);

/* The one of that key, with a reference, or a new one. */
Cold *colds_get(Colds *colds, const char *key);
void cold_unref(Cold *cold);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cold, cold_unref)

/* --- the copy's side --- */

void cold_begin(Cold *cold);
void cold_add(Cold *cold, guint64 offset, const void *data, gsize size);
/* The blob is here, or never will be by this copy. */
void cold_end(Cold *cold, gboolean ok);

/* --- the readers' side --- */

/* From now on what comes is kept: before the first reader nobody needs it. */
void cold_watch(Cold *cold);

typedef enum { COLD_WAITING, COLD_COPYING, COLD_DONE, COLD_FAILED } ColdState;
ColdState cold_state(Cold *cold);
/* Waits for the end of the copy, for as long as it goes on. */
ColdState cold_wait(Cold *cold);
/* Bytes from offset, as many as there are and fit; waits where the copy is about to bring them. 0: it is not. */
gsize cold_take(Cold *cold, guint64 offset, void *buffer, gsize size);
