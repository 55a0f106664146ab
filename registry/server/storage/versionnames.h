/* Which version each digest of a repository goes by (storage_version_names): every poll of a host and every webhook
 * asks, and all indexes are read for the answer.
 *
 * A table is kept until something that is kept of names changes, by whichever process, unless an index could not be
 * read for it. Thread safe. */
#pragma once

#include <glib.h>

typedef struct VersionNames VersionNames;
VersionNames *version_names_new(void);
void version_names_free(VersionNames *names);
