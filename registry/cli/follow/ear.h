/* The ear of a follower: a thread that listens to the events of a name and says when its channel may have moved: when
 * an event says so, when it has begun to listen, and, where it can't listen, now and then. Network errors and restarts
 * of the registry are waited out, for up to a minute each; so is an answer that ends as soon as it has begun. */
#pragma once

#include <glib.h>

typedef struct Ear Ear;
/* NULL: the system gives it no thread, or the registry can't be asked at all. */
Ear *ear_new(const char *host, const char *name, const char *channel, GError **error);
/* Ends the thread, whatever it waits for. */
void ear_free(Ear *ear);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ear, ear_free)

/* Waits, at most so long (microseconds; negative: without end). TRUE: the channel may have moved. It returns at once
 * where the program is interrupted. */
gboolean ear_wait(Ear *ear, gint64 most);
