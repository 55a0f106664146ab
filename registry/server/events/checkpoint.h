/* A checkpoint: the picture of all names after one event, with which a log of events begins anew, so that it does not
 * grow for ever.
 *
 * The first line of such a log is the head: which event was the last, its hash, and the length and SHA-256 of the
 * picture that follows, in lines like those of events, but without numbers. Behind it stand the events that came since,
 * to the letter as they were: numbers and chain go on across it. The log that was there before is kept whole, as
 * LOG.NUMBER, where NUMBER is that of the last event in it; the head says how far that log had come when the picture
 * was made.
 *
 * Invariants: LOG always names a whole log. A crash at any point leaves the one before, or the one with the checkpoint,
 * which holds the event that the catalogue knows as the last in either case (eventlog_locate). Only the holder of the
 * catalogue's writer switches, or settles. */
#pragma once

#include "server/events/eventlog.h"

typedef struct {
    EventMark last;      /* the event, and how far the log before had come */
    guint64 size;        /* where the picture ends in the log that it begins, bytes */
    IngotDigest picture; /* SHA-256 of its lines */
    guint64 begins;      /* where the picture begins: behind the head */
} CheckpointHead;
/* Whether a log, given as its bytes, begins with a checkpoint. */
gboolean checkpoint_head(const char *start, gsize size, CheckpointHead *head);
/* The log before it, if it is still kept: its path (free it), else NULL. */
char *checkpoint_before(const char *log, const CheckpointHead *head);

/* --- making one --- */

typedef struct Checkpoint Checkpoint;
/* Begins a new log beside the one that is there, whose event at the mark is the last that the picture shows. */
Checkpoint *checkpoint_begin(const char *log, const EventMark *last, GError **error);
/* Drops what has not been switched to. */
void checkpoint_free(Checkpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Checkpoint, checkpoint_free)
/* One line of the picture: an object as an event has it. */
gboolean checkpoint_add(Checkpoint *checkpoint, const json_t *object, GError **error);
/* The picture is complete: writes the head, flushes. */
gboolean checkpoint_finish(Checkpoint *checkpoint, GError **error);
/* Takes over what has been appended to the old log up to the mark, and gives the new one its name. The mark is then the
 * same event's place in the new log. */
gboolean checkpoint_switch(Checkpoint *checkpoint, EventMark *mark, GError **error);

/* Removes logs of before checkpoints that were given up earlier than `before` (seconds since 1970). */
gboolean checkpoint_forget(const char *log, gint64 before, GError **error);
/* All of them, paths of which the newest is the last; free with g_strfreev. They never change: a name that the log
 * which lives has got as well, by a switch that was broken off, is not among them. */
char **checkpoint_kept(const char *log);
/* Removes such names. */
void checkpoint_settle(const char *log);
