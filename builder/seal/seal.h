/* The seal: what must not be the same on two machines leaves the disk, offline.
 *
 * What is removed, and what makes it again, is a table (rules.h). Besides: the key of this build, and no other, leaves
 * root's authorized_keys; what the build put there to get in goes; a unit that makes host keys is added where there is
 * none; free blocks, the journal and swap become zeros. The package list is read in the same go. A disk with one clean
 * ext4 is written in place; every other one in libguestfs's appliance (system/tree.h). */
#pragma once

#include "base/json.h"

typedef struct {
    json_t *os;           /* {"id", "version"} as libguestfs names them */
    json_t *packages;     /* [{"name", "version", "architecture"}] */
    GPtrArray *unmatched; /* patterns of the recipe's seal.remove that nothing on the disk matches */
    GPtrArray *notes;     /* mount points of the system that are not sealed, since their devices are not there */
} SealReport;
void seal_report_clear(SealReport *report);

typedef struct {
    const char *disk, *format;
    const json_t *rules;       /* the recipe's "seal": {"keep": […], "remove": […]}; may be NULL */
    const char *key;           /* the build's public key, as a line of authorized_keys; may be NULL */
    const char *const *traces; /* paths that the build has put on the disk for itself, NULL-terminated; may be NULL */
    const char *workdir;       /* for a passing file */
    const char *cache;         /* see appliance.h */
    gboolean appliance;        /* whatever the disk is like */
} SealOptions;

gboolean seal_disk(const SealOptions *options, SealReport *report, GError **error);
