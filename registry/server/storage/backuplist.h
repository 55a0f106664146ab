/* A backup's list: which files it has brought whole, each with its size and SHA-256, in BACKUP/files.json. Of files
 * that never change, packs and logs of before a checkpoint, and of the users.
 *
 * A file that is in the list and is not what the list says has been damaged since. One that is not in the list was left
 * by a backup that was broken off. */
#pragma once

#include <glib.h>

typedef struct BackupList BackupList;

/* Empty where there is none. */
BackupList *backup_list_load(const char *folder, GError **error);
BackupList *backup_list_new(void);
void backup_list_free(BackupList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackupList, backup_list_free)
gboolean backup_list_save(const BackupList *list, const char *folder, GError **error);

/* Reads the file FOLDER/NAME and keeps what it is. */
gboolean backup_list_note(BackupList *list, const char *folder, const char *name, GError **error);
gboolean backup_list_has(const BackupList *list, const char *name);
/* Whether the file is what the list says, all of it: CORRUPT where it is not, or is not there. */
gboolean backup_list_check(const BackupList *list, const char *folder, const char *name, GError **error);
/* Whether its size and its time are those that it had when it was noted; it is not read. */
gboolean backup_list_is_same(const BackupList *list, const char *folder, const char *name);
/* What is said of one name is said of another; that of before goes. */
void backup_list_rename(BackupList *list, const char *from, const char *to);
/* Whether the file is what the list says of `name`. */
gboolean backup_list_check_as(const BackupList *list, const char *folder, const char *file, const char *name,
                              GError **error);
/* Takes over what another list says of the file. */
void backup_list_take(BackupList *list, const BackupList *from, const char *name);
/* The same where the file is what that list says, all of it (CORRUPT: it is not), with the time that it has now. */
gboolean backup_list_take_read(BackupList *list, const BackupList *from, const char *folder, const char *name,
                               GError **error);
/* The names in it, sorted: free the list with g_list_free. */
GList *backup_list_names(const BackupList *list);
