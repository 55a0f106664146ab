/* The kinds of steps: each is the one thing that its file gives. */
#pragma once

#include "step/step.h"

extern const StepKind step_shell;
extern const StepKind step_file;
extern const StepKind step_reboot;
extern const StepKind step_ready;
