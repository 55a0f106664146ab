/* The seal: what must not be the same on two machines leaves the disk, offline.
 *
 * Removed: ssh host keys, machine-id, random seeds, leases, logs, package caches, shell history, the build's key, the
 * state of cloud-init, temporary files (rules.h). A unit that makes new host keys at first boot is added where there is
 * none. Free space becomes holes. The package list is read in the same go. A disk with one clean ext4 is
 * written in place; every other one in libguestfs's appliance (system/tree.h). */
#pragma once

#include <ingot/json.h>

typedef struct {
    json_t *os;       /* {"id", "version"} as libguestfs names them */
    json_t *packages; /* [{"name", "version", "architecture"}] */
} SealReport;
void seal_report_clear(SealReport *report);

typedef struct {
    const char *disk, *format;
    const json_t *rules;     /* the recipe's "seal": {"keep": […], "remove": […]}; may be NULL */
    const char *key_comment; /* lines of authorized_keys that hold it go */
    const char *workdir;     /* for a passing file */
    const char *cache;       /* an existing folder, where the appliance is kept */
    gboolean appliance;      /* whatever the disk is like */
} SealOptions;

gboolean seal_disk(const SealOptions *options, SealReport *report, GError **error);
