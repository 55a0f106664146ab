/* Cold blobs: what has come of a blob while it is copied from an upstream, for those who can't wait for its end.
 *
 * Each copy has one, so its bytes are never those of another, and every copy ends it, also one that never began: all
 * who read one blob read what its one copy brings (in a file without a name). What they need elsewhere is fetched for
 * them alone. The file is emptied when the copy ends, however slowly somebody reads: by then the storage has the blob,
 * or nobody may have it. What is given out has not been checked against the digest yet (coldread.h says what keeps a
 * false blob from looking complete). Nobody waits here. Thread safe. */
#pragma once

#include <ingot/digest.h>

typedef struct Cold Cold;

/* Of a copy that is about to begin; folder: where the file lies. */
Cold *cold_new(const char *folder);
Cold *cold_ref(Cold *cold);
void cold_unref(Cold *cold);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cold, cold_unref)

/* --- the copy's side --- */

void cold_begin(Cold *cold);
void cold_add(Cold *cold, guint64 offset, const void *data, gsize size);
/* Somebody waits for the blob, not reading what comes, or does not any more. */
void cold_wait(Cold *cold);
void cold_wait_end(Cold *cold);
/* For how long (microseconds) nobody has read it or waited for it; 0: somebody does. */
gint64 cold_forsaken(Cold *cold);
/* The blob is here, or never will be by this copy; nothing is added any more. */
void cold_end(Cold *cold, gboolean ok);

/* --- the readers' side --- */

/* A reader comes. From the first one on what comes is kept: before nobody needs it. */
void cold_watch(Cold *cold);
/* It goes, and its reference with it. */
void cold_leave(Cold *cold);

typedef enum { COLD_WAITING, COLD_COPYING, COLD_DONE, COLD_FAILED } ColdState;
ColdState cold_state(Cold *cold);
/* Bytes from offset, as many as there are and fit. 0: none; *patience is for how long (microseconds) it is worth
 * waiting for them, as the copy is about to bring them: 0 where it is not. */
gsize cold_take(Cold *cold, guint64 offset, void *buffer, gsize size, gint64 *patience);
