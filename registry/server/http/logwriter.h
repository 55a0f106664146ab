/* A log writer: lines to a descriptor, written by a thread of its own, so that nobody waits for whoever reads them.
 *
 * Invariant: logwriter_add never waits for the descriptor. At most LOGWRITER_MAX bytes of lines wait; a line beyond
 * that is dropped, and counted in a line of its own as soon as there is room again. Lines come out whole, in the order
 * in which they were added: the first at once, those that follow it within milliseconds together. Thread safe. */
#pragma once

#include <glib.h>

#define LOGWRITER_MAX (1u << 20) /* bytes */

typedef struct LogWriter LogWriter;

/* fd stays the caller's. dropped: makes the line, without its end, that says how many were dropped; free it. NULL: the
 * system gives it no thread. */
LogWriter *logwriter_new(int fd, char *(*dropped)(guint64 lines));
/* A line without its end. */
void logwriter_add(LogWriter *writer, const char *line);
/* Waits for the lines that are there, for so many microseconds at most: FALSE where the descriptor took them no more.
 * Then the writer is left to its thread, which ends with the process; else it is freed. */
gboolean logwriter_end(LogWriter *writer, gint64 wait);
