/* Changes of what is recorded of boxes (boxrecords.h): each is one change of the storage, and of two at once the second
 * sees what the first has put. */
#pragma once

#include "server/boxes/boxrecords.h"

/* Members that a publisher gives; those that it does not are NULL, and stay. */
typedef struct {
    const json_t *short_description, *description, *private;
    const char *tag; /* of a new box */
} BoxSaid;
#define BOX_SAID_MAX (16u << 10) /* bytes that are said of a box, about */
/* fresh: it must not be there (EXISTS). LIMIT: too much is said. */
gboolean box_change(Storage *storage, const StorageActor *actor, const char *name, const BoxSaid *said, gboolean fresh,
                    GError **error);

/* INVALID where the version would have a channel's name: only a promotion moves that, whatever it looks like. */
gboolean box_version_may_be(Storage *storage, const char *name, const char *version, GError **error);
/* status NULL: it stays; of one that is new: unreleased. INVALID: as above. */
gboolean box_change_version(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                            const json_t *description, const char *status, gboolean fresh, GError **error);

/* Whether the version, which is there (NOT_FOUND), has a provider of that name before any box of it. LIMIT: as many
 * have none yet as a version may have. */
gboolean box_change_begun(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                          const char *provider, gboolean begun, GError **error);

/* A version that a mirror brings: unreleased, and its record says whose it is. EXISTS: there is one. */
gboolean box_begin_mirrored(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                            const json_t *description, GError **error);

typedef struct {
    const char *version, *provider, *architecture; /* whose record it is */
} BoxProviderKey;
/* Sets members of the record (NULL values take them away). fresh: as above; else it must be there (NOT_FOUND). */
gboolean box_change_provider(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                             const json_t *members, gboolean fresh, GError **error);
/* The same where the record has that upload still; NOT_FOUND: it has another, or there is no record. */
gboolean box_change_upload(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                           const char *upload, const json_t *members, GError **error);

/* Takes the records away; what is not there is no error. */
gboolean box_drop(Storage *storage, const StorageActor *actor, const char *name, GError **error);
/* records: of the repository. */
gboolean box_drop_version(Storage *storage, const StorageActor *actor, const char *name, const char *version,
                          const BoxRecords *records, GError **error);
gboolean box_drop_provider(Storage *storage, const StorageActor *actor, const char *name, const BoxProviderKey *key,
                           GError **error);
