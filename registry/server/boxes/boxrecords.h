/* What publishers say of boxes and no image can tell, as records (storage/records.h) of a repository:
 *
 *   BOX_RECORD, key "box": {"tag" (its name in the publisher's letter case), "short_description", "description",
 *   "private", "created", "updated"}
 *   BOX_VERSION_RECORD, key VERSION: {"description", "status" (unreleased, active, revoked), "mirrored" (a mirror has
 *   brought it), "provider NAME" (true: it was created before any box of it), "created", "updated"}
 *   BOX_PROVIDER_RECORD, key "VERSION PROVIDER ARCHITECTURE": {"default" (is this the default architecture), "url",
 *   "checksum", "checksum_type" (of a box that lies elsewhere), "upload", "uploader", "image", "problem" (of one that
 *   was uploaded: the id of the file, who does it, what became of it), "created", "updated"}
 *
 * A version with a tag needs no record; one with a record needs no tag. Times are seconds. */
#pragma once

#include "server/storage/records.h"

#define BOX_RECORD "box"
#define BOX_KEY "box"
#define BOX_VERSION_RECORD "box-version"
#define BOX_PROVIDER_RECORD "box-provider"

#define BOX_UNKNOWN "unknown" /* the architecture of a box that says none */

/* A provider of a version. */
typedef struct {
    char *version, *provider, *architecture;
    const json_t *body;
} BoxProviderRecord;

/* All of a repository. */
typedef struct {
    json_t *box;           /* NULL: there is none */
    GHashTable *versions;  /* version -> body */
    GHashTable *providers; /* version -> GPtrArray of BoxProviderRecord */
    GPtrArray *read[2];    /* what the bodies belong to */
} BoxRecords;
BoxRecords *box_records_read(Storage *storage, const char *name, GError **error);
void box_records_free(BoxRecords *records);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BoxRecords, box_records_free)

/* The bodies, which stay the records'; NULL: there is none. architecture NULL: the default one of the provider, else
 * the only one. */
const json_t *box_records_version(const BoxRecords *records, const char *version);
const BoxProviderRecord *box_records_provider(const BoxRecords *records, const char *version, const char *provider,
                                              const char *architecture);
/* A provider's member in a version's record; and the names of those that the record (may be NULL) has, NULL: of none.
 * Free both. */
char *box_begun_key(const char *provider);
char **box_records_begun(const json_t *version);
/* Of BoxProviderRecord; NULL: the version has none. */
const GPtrArray *box_records_providers(const BoxRecords *records, const char *version);

/* Whether the version has a record with that status; one that says none is active. */
gboolean box_has_status(const BoxRecords *records, const char *version, const char *status);

/* Whether the version was released with images, and none of its boxes lies elsewhere: without its tag it is gone,
 * whatever its records say. */
gboolean box_needs_tag(const BoxRecords *records, const char *version);

/* The key of a provider's record. Free it. */
char *box_provider_key(const char *version, const char *provider, const char *architecture);
