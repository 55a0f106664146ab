/* The way of a machine through a plan's stages: it goes on from the deepest node that stands, runs what is left, and
 * keeps a node after each stage. What comes of it is a disk whose file systems need no recovery.
 *
 * Nodes are written to disk while the next stage runs. Where one cannot be kept (no space), that is said once and the
 * build goes on without. Two builds that need the same stage take turns: the second finds it done. */
#pragma once

#include <ingot/file.h>

#include "bake/bake.h"
#include "cache/node.h"
#include "guest/guest.h"
#include "plan/plan.h"
#include "source/source.h"

typedef struct Stages Stages;

typedef struct {
    const Recipe *recipe;
    const Plan *plan;
    const Source *source; /* stages_visit needs none */
    const BakeOptions *options;
    const GuestKey *key;
    IngotWorkdir *workdir;
    int refresh; /* the first stage that is run anew whatever is kept; -1: none */
} StagesInput;

/* Runs all stages. The disk and the layers below it stay until stages_free. */
Stages *stages_run(const StagesInput *input, GError **error);
/* Goes on from the node of one stage exactly, to look around: NOT_FOUND where there is none. Nothing is kept. */
Stages *stages_visit(const StagesInput *input, guint stage, GError **error);
/* Waits until all nodes are on the disk, as stages_free does too. */
void stages_settle(Stages *stages);
void stages_free(Stages *stages);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stages, stages_free)

const char *stages_disk(const Stages *stages); /* a qcow2 over other layers */
Machine *stages_machine(Stages *stages);       /* NULL: it has been ended */
/* Of each step that led here, in order: GPtrArray of NodeRun. */
const GPtrArray *stages_runs(const Stages *stages);
