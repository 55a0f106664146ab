/* The seal: what must not be the same on two machines leaves the disk, offline, by libguestfs.
 *
 * Removed: ssh host keys, machine-id, random seeds, leases, logs, package caches, shell history, the build's key, the
 * state of cloud-init, temporary files. A unit that makes new host keys at first boot is added where there is none.
 * Free space is trimmed. The package list is read in the same appliance run; there is no second. */
#pragma once

#include <ingot/json.h>
#include <ingot/progress.h>

typedef struct {
    json_t *os;       /* {"id", "version"} as libguestfs names them; NULL if it finds no system */
    json_t *packages; /* [{"name", "version", "architecture"}] */
} SealReport;
void seal_report_clear(SealReport *report);

/* rules: the recipe's "seal": {"keep": […], "remove": […]}. key_comment: lines of authorized_keys that hold it go. */
gboolean seal_disk(const char *disk, const char *format, const json_t *rules, const char *key_comment,
                   SealReport *report, GError **error);
