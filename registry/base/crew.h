/* Threads, on a system that may refuse one: the pids.max of a container, the TasksMax of a unit, ulimit -u.
 *
 * Invariant: a refusal never ends the process, as g_thread_new lets it. Work that several threads share is done by
 * fewer, and by the calling thread alone where there is no other; what needs a thread of its own fails with an error.
 */
#pragma once

#include <glib.h>

/* Runs work(data) in as many threads at once, the caller's among them, and returns when each has returned. What there
 * is to do is shared out by the work itself: it has to be done whole by whichever threads there are. What interrupts
 * the caller (process.h) interrupts each of them. */
void crew_run(const char *name, guint threads, GThreadFunc work, gpointer data);
/* A thread of its own; NULL: the system gives none. */
GThread *crew_thread(const char *name, GThreadFunc work, gpointer data, GError **error);
