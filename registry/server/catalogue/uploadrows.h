/* Uploads as rows: whose each is, where it goes, how far it has come, and which process goes on with it.
 *
 * Invariants: one process at a time owns an upload; it alone changes the row, but for another that takes it over. A row
 * is kept until a time, which each change of it renews. Its state tells by itself whether it is as it was written. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    char *name;     /* the repository that it goes to; "": not known */
    char *user;     /* NULL: not known */
    char *owner;    /* a process; "": none */
    gint64 until;   /* seconds */
    guint64 size;   /* bytes that are there for whoever goes on with it */
    guint64 staged; /* bytes that it takes, or will surely take */
    GBytes *state;  /* NULL: none */
} UploadRow;
void upload_row_clear(UploadRow *row);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UploadRow, upload_row_clear)

/* Over one that is there. */
gboolean upload_rows_add(Connection *writer, const char *id, const UploadRow *row, gint64 now, GError **error);
/* The same where there is none. */
gboolean upload_rows_adopt(Connection *writer, const char *id, const UploadRow *row, gint64 now, GError **error);
/* It takes at least so many bytes. */
gboolean upload_rows_grow(Connection *writer, const char *id, guint64 staged, GError **error);
/* *found FALSE: there is none. row is empty before. */
gboolean upload_rows_find(Connection *connection, const char *id, UploadRow *row, gboolean *found, GError **error);
/* The owner is another one now, and it is kept until then at least. Where the state has been refused, it goes. */
gboolean upload_rows_take(Connection *writer, const char *id, const char *owner, gint64 until, gboolean refused,
                          GError **error);
/* What has come of it by now: row's until, size, staged and state. *kept FALSE: its owner is not that of the row. */
gboolean upload_rows_keep(Connection *writer, const char *id, const UploadRow *row, gboolean *kept, GError **error);
/* It is kept no longer than until then. */
gboolean upload_rows_lapse(Connection *writer, const char *id, gint64 until, GError **error);
gboolean upload_rows_drop(Connection *writer, const char *id, GError **error);
gboolean upload_rows_clear(Connection *writer, GError **error); /* deletes all */

/* How many there are; of a user alone unless that is NULL. */
gboolean upload_rows_count(Connection *connection, const char *user, guint *count, GError **error);
/* Bytes that those take which the owner does not own; of a repository alone unless name is NULL. */
gboolean upload_rows_staged(Connection *connection, const char *owner, const char *name, guint64 *bytes,
                            GError **error);
/* Ids of those that are kept no longer; free them. */
char **upload_rows_lapsed(Connection *connection, gint64 now, GError **error);
