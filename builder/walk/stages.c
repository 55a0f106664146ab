#include "walk/stages.h"

const StageKind *const stage_kinds[] = {&stage_boot, &stage_step, &stage_outputs, NULL};
