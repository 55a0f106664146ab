/* Offline steps: done to the disk of a machine that does not run, in libguestfs's appliance. Commands run in the
 * system's own root (chroot), files are copied from outside. */
#pragma once

#include "step/step.h"

typedef struct {
    const char *disk, *format; /* a system that needs no recovery */
    const char *cache;         /* an existing folder */
    const char *workdir;       /* for passing files */
    GuestLineFunc line;        /* output, not yet masked, once the step has ended */
    gpointer user_data;
} OfflineContext;

gboolean offline_run(const OfflineContext *context, const json_t *step, GError **error);
