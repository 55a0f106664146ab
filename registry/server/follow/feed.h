/* The feed: the newest events (newest.h), and the answers that are held open to send them as they come.
 *
 * One thread looks at the tail of the log of events several times a second, so events of other processes on the same
 * folder are found as well. A held answer is a suspended connection: it takes no thread, and its event loop reads
 * nothing but memory. A client that reads slowly is behind: its number, and no queue of its own, says where it goes on.
 * One that is behind all that is kept is told so, and has to look at the present state. Each answer ends after some
 * minutes, so that a right that was taken away counts; the client asks again with its number.
 *
 * No more answers are held than a half of the connections that the server takes: whatever followers do, the others can
 * be served. Of that room each network has a share (base/share.h). Thread safe. */
#pragma once

#include "server/http/request.h"
#include "server/storage/storage.h"

typedef struct Feed Feed;
/* connections: that the server takes at once. NULL: the log can't be read, or the system gives no thread. */
Feed *feed_start(Storage *storage, guint connections, GError **error);
/* Ends all held answers; further ones are told to come again. Before the server waits for its requests. */
void feed_end(Feed *feed);
/* Once no request runs any more. */
void feed_stop(Feed *feed);

/* Answers with a line of JSON for each event of a name that fits the pattern ('*' is any run of characters; NULL: any)
 * and that the caller may pull, from the one behind `after` on (NULL: from now on, and the first line says the number);
 * an empty line now and then. 503 where as many answers are held as may be, of all or of the client's network. In an
 * event loop. */
enum MHD_Result feed_answer(Feed *feed, Request *request, const guint64 *after, const char *pattern);
