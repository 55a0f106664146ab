/* Warm: what a new version will be asked for is worked out before: the SHA-256 of the files of the formats that the
 * image was made ready for (its config's "outputs"), one image after another, by a thread that gives way to all others.
 * It is kept (storage_measure), so that Vagrant's catalogue answers at once. */
#pragma once

#include "server/views/view.h"

typedef struct Warm Warm;

Warm *warm_start(Views *views);
void warm_add(Warm *warm, const char *name, const char *reference);
/* Breaks off after an interrupt; what is left is worked out when it is asked for. */
void warm_stop(Warm *warm);
