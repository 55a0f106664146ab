/* A backup: a folder that holds what a data folder held at one moment, made while it serves and collects.
 *
 * The folder has the files of a data folder, "backup.json", by which it is known, and the list of what it has brought
 * (backuplist.h). The catalogue is copied in one
 * piece, then the packs that it knows, then the log of events up to the event that it knows as the last. Packs that an
 * earlier backup has brought stay, if they are still whole; others come as links where the file system allows it, as
 * copies else. A pack that a collection removes meanwhile is no loss: a newer catalogue no longer needs it, so that is
 * copied again. The new catalogue gets its name last: a backup that is broken off leaves the one before it whole. */
#pragma once

#include <glib.h>

typedef struct {
    guint64 packs, copied; /* that it holds; that came with this one */
    guint64 bytes;         /* of those that came */
    guint64 damaged;       /* pieces and files among them that are not what they should be */
    guint64 event;         /* number of the last one */
} BackupReport;

/* `tell` hears of each damaged piece, and of each file that was brought again. What an earlier backup brought is read
 * again, and compared with the list that it left; quick: but for packs whose size and time are those of then. */
gboolean storage_backup(const char *data, const char *folder, gboolean quick,
                        void (*tell)(const char *line, gpointer user), gpointer user, BackupReport *report,
                        GError **error);
/* Copies a backup to a data folder that is empty or not there (EXISTS), and reads all of it. CORRUPT where a file is
 * not what the backup brought, or can't be read: then nothing is restored. Unless it is forced: then each such file is
 * told, and what can be had of it comes along. */
gboolean storage_restore(const char *folder, const char *data, gboolean force,
                         void (*tell)(const char *line, gpointer user), gpointer user, BackupReport *report,
                         GError **error);
