/* What a build has of the machine that it runs on. */
#pragma once

#include <ingot/progress.h>
#include <ingot/store.h>

#include "machine/machine.h"
#include "walk/report.h"

typedef struct {
    IngotStore *store;
    const char *cache; /* folder */
    MachineAccel accel;
    IngotProgress *progress;
    BuildReport *report; /* of this build; may be NULL */
} BuildHost;
