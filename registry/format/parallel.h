/* Numbered pieces of work on all cores. */
#pragma once

#include <glib.h>

typedef struct {
    /* Called once for each number, by several threads at a time; slot: memory of slot_size bytes, the thread's. */
    gboolean (*work)(guint64 number, gpointer slot, gpointer user, GError **error);
    /* Called after it, by one thread at a time and in the order of the numbers; may be NULL. */
    gboolean (*done)(guint64 number, gpointer slot, gpointer user, GError **error);
    gsize slot_size; /* bytes */
} ParallelWork;

/* Numbers 0 to count - 1; the first failure ends it, and so does an interrupt. */
gboolean parallel_run(const ParallelWork *work, guint64 count, gpointer user, GError **error);
