/* Leases and epochs: what lets any number of processes push and collect garbage on one catalogue.
 *
 * The catalogue's epoch grows with each batch of death marks (marks.h), which carry it. An upload takes a lease before
 * it first counts on a piece that it has not brought; the lease holds the epoch of that moment. A piece that was marked
 * before is not counted on. One that is marked later may be counted on, so it stays for as long as a live lease is
 * older than its mark. A lease that is not renewed lapses. A process that
 * reads blobs which others may remove holds one as well (storage/readers.h). */
#pragma once

#include "server/catalogue/database.h"

/* The present epoch. */
gboolean leases_epoch(Connection *connection, gint64 *epoch, GError **error);
/* Renews the lease until `until`, or takes it at the present epoch where there is none that lives at `now` (seconds).
 */
gboolean leases_hold(Connection *writer, const char *id, gint64 now, gint64 until, GError **error);
/* The lease is as old as that epoch, whatever it was before. */
gboolean leases_set(Connection *writer, const char *id, gint64 epoch, gint64 until, GError **error);
/* Its epoch; that of now where there is none. */
gboolean leases_find(Connection *connection, const char *id, gint64 *epoch, GError **error);
gboolean leases_drop(Connection *writer, const char *id, GError **error);
gboolean leases_clear(Connection *writer, GError **error); /* deletes all */
/* Deletes those that have lapsed. */
gboolean leases_tidy(Connection *writer, gint64 now, GError **error);
/* The epoch of the oldest lease that lives; G_MAXINT64: there is none. */
gboolean leases_oldest(Connection *connection, gint64 now, gint64 *epoch, GError **error);
/* Begins another epoch. */
gboolean leases_advance(Connection *writer, gint64 *epoch, GError **error);
