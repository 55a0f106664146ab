/* The bootstrapped disk that the cache keeps of one set of inputs: sources/KEY/disk-ID.raw, where ID follows from its
 * bytes, and source.json, which names it and says what is in it and of which state of the mirror it is.
 *
 * A disk that builds stand on is never replaced: another one comes beside it, and source.json then names that. Earlier
 * ones are removed once no node stands on them and no build uses the source. */
#pragma once

#include <ingot/progress.h>

#include "base/json.h"

typedef struct {
    char *disk;     /* absolute path */
    char *state;    /* of the mirror: AptState.digest */
    gint64 asked;   /* when the mirror was last seen in that state: seconds since 1970 */
    json_t *record; /* all of source.json: "os", "packages", "apt" (sources.list), "date" (of the state) besides */
} Base;
void base_free(Base *base);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Base, base_free)

/* The current one, or NULL: a record that can't be read, is of another version, or whose disk is not there is as good
 * as none. */
Base *base_read(const char *folder);

/* Moves a finished disk into the folder and makes it the current one. record: "os", "packages", "apt", "date". Where
 * that cannot be noted, which is said, the base serves this build alone. The caller holds the lock FOLDER.lock. */
Base *base_publish(const char *folder, const char *made, const char *state, gint64 asked, const json_t *record,
                   IngotProgress *progress, GError **error);
/* Notes, under that lock, that the mirror was seen in the base's state at that time, unless another base is the current
 * one by now. A note that cannot be taken is only a message; FALSE: interrupted. */
gboolean base_confirm(const char *folder, Base *base, gint64 asked, IngotProgress *progress, GError **error);
/* Removes the disks that source.json does not name and that nobody needs, but for the one that this build uses. cache
 * and needed: see SourceContext. */
void base_tidy(const char *folder, const char *used, const char *cache,
               gboolean (*needed)(const char *cache, const char *disk));
