/* The trial: the sealed image is booted as it will be delivered, to be tested. */
#pragma once

#include "walk/boot.h"

typedef struct {
    const BuildHost *host;
    const Recipe *recipe;
    const GuestKey *key;
    const char *disk, *format; /* sealed; what the trial writes goes to a throw-away layer */
    const char *folder;        /* for the layer and new empty further disks; it must exist. Beside it, each start has
                                  one of its own: FOLDER-0, … */
    const guint16 *ports;      /* of the guest, to be forwarded; 0-terminated */
} TrialOptions;

/* The machine and its guest are the caller's. */
gboolean trial_boot(const TrialOptions *options, Booted *booted, GError **error);
