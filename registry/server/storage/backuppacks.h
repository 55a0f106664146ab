/* The packs of a backup: each that its catalogue knows is brought, unless an earlier backup has brought it whole, and
 * each piece of what was brought is read. */
#pragma once

#include "server/catalogue/database.h"
#include "server/storage/backupfiles.h"

/* *gone: a collection has taken a pack away since the catalogue was copied. */
gboolean backup_packs_bring(Backup *backup, Connection *catalogue, gboolean *gone, GError **error);
/* Drops those of earlier backups that this one does not need. */
gboolean backup_packs_drop(Backup *backup, Connection *catalogue, GError **error);
