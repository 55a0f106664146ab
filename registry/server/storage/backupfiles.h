/* What making a backup and restoring one share: the files of a backup, and bringing one from here to there so that it
 * has its name only when it is whole and flushed. */
#pragma once

#include "base/file.h"

#include "server/packs/packs.h"
#include "server/storage/backup.h"
#include "server/storage/backuplist.h"

#define BACKUP_MARKER "backup.json"
#define BACKUP_NEXT_LOG "names.log.next"
#define BACKUP_FORMER_LOG "names.log.former"
#define BACKUP_USERS "users.sqlite"
#define BACKUP_NEXT_USERS "users.sqlite.next"

/* A pack that this run has copied. */
typedef struct {
    guint64 bytes;
    guint64 damaged; /* of its pieces; also 1 where it could not be noted */
} BackupPack;

typedef struct {
    const char *source, *target; /* folders */
    Packs *from, *to;
    BackupList *before, *list; /* of the backup that is there; of the one that is being made */
    BackupList *seen;          /* what this run has read, for earlier catalogues too */
    GHashTable *copied;        /* name -> BackupPack: for earlier catalogues too */
    GHashTable *told;          /* lines of damage: each is told once */
    gboolean quick;            /* packs of earlier backups are trusted by size and time */
    gboolean force;            /* a restore goes on past what is damaged */
    BackupReport *report;
    void (*tell)(const char *line, gpointer user);
    gpointer user;
} Backup;

gboolean backup_open(Backup *backup, GError **error);
void backup_close(Backup *backup);
/* What the backup in the folder has by its list; the first of all that is asked of a Backup. */
gboolean backup_read_list(Backup *backup, const char *folder, GError **error);
/* Whether this run has read the file already: then it is not read again. */
gboolean backup_has_seen(Backup *backup, const char *name);
gboolean backup_folder_is_empty(const char *path);
gboolean backup_folder_is(const char *path); /* a backup, whole or not */

char *backup_path(const char *folder, const char *name); /* free it */
/* Something that the backup or the restore goes on past: counts it as damaged, and tells it, once. */
void backup_tell_damage(const Backup *backup, const char *line);
/* For the one who writes to it. EXISTS: another one does. */
IngotLock *backup_lock(const char *folder, GError **error);
gboolean backup_flush(const char *path, GError **error);
/* A link to the file, or a copy of it; `path` has the name only when it is whole. */
gboolean backup_bring(const char *from, const char *path, gboolean may_link, GError **error);
/* The same, always as a copy, and of as much as can be read: zeros stand for the rest, and *trouble (free it) says so;
 * a file that can't be opened is left out, and *trouble says that. NOT_FOUND where there is none. */
gboolean backup_copy(const char *from, const char *path, char **trouble, GError **error);
/* The first `size` bytes of a file. */
gboolean backup_bring_part(const char *from, const char *path, guint64 size, GError **error);
