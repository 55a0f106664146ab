/* Who works on an upload: one request at a time, of one process.
 *
 * Within a process the upload's lock sees to that, between processes a lock on its file, which a process that ends
 * gives up. Under both the row tells whose the upload is: bytes are written by its owner alone. A process that finds
 * another to be the owner takes the upload over, but not on behalf of a request that has begun before: that one has
 * lost it. */
#pragma once

#include "server/catalogue/uploadrows.h"
#include "server/storage/incoming.h"

/* A new one, which this process owns. */
gboolean session_begin(Upload *upload, GError **error);
/* The upload, with a reference and its locks, for one who goes on with it; NOT_FOUND once it has ended. turn: of the
 * request that does; EXISTS: it is another's by now. 0: any. */
Upload *session_enter(Storage *storage, const char *id, guint turn, GError **error);
/* The same for any turn, and where it has to be taken over, as it was kept: what came since is to come again. */
Upload *session_enter_kept(Storage *storage, const char *id, GError **error);
/* *elsewhere: another process has it, and has kept so much of it. To ask takes it from nobody. */
gboolean session_peek(Storage *storage, const char *id, guint64 *size, gboolean *elsewhere, GError **error);
/* The same as session_enter whoever owns it, and without what has come of it. */
Upload *session_seize(Storage *storage, const char *id, GError **error);
/* One that this process owns and has at hand; NULL: it has none. */
Upload *session_at_hand(Storage *storage, const char *id);
/* The same of this one, without waiting for anybody; FALSE: it is not so, or somebody works on it. */
gboolean session_try(Upload *upload);
void session_leave(Upload *upload);
/* Calls the function for each upload that is at hand, under uploads_lock. */
void session_each(Storage *storage, void (*func)(Upload *upload, gpointer user), gpointer user);

/* It has come to its end: its files, its row and its lease go. Who waits for it finds that it has ended. */
void session_end(Upload *upload);
/* Something went wrong: whoever goes on with it reads its files first. A brief one ends. */
void session_shelve(Upload *upload);

/* --- for those who look after all uploads (lapse.c) --- */

/* Its row; *found FALSE: there is none. row is empty before. */
gboolean session_find_row(Storage *storage, const char *id, UploadRow *row, gboolean *found, GError **error);
/* The upload, with a reference and without its locks: where it is at hand (else NULL), or wherever it is (NOT_FOUND).
 */
Upload *session_known(Storage *storage, const char *id);
Upload *session_find(Storage *storage, const char *id, GError **error);
/* Nobody finds it here any more. */
void session_forget(Upload *upload);
