/* The kinds of stages: each is the one thing that its file gives. */
#pragma once

#include "plan/stage.h"

extern const StageKind stage_boot;
extern const StageKind stage_step;
extern const StageKind stage_outputs;
