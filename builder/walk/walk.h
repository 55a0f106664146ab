/* A walk: one machine's way through a plan's stages. It goes on from the deepest node that is valid, runs what is left,
 * and keeps a node after each stage. It ends with a disk whose file systems need no recovery.
 *
 * Nodes are written to disk while the next stage runs. Where one cannot be kept (no space), the walk says so once and
 * goes on without. Two walks that need the same stage take turns: the second finds it done. One Walk belongs to one
 * thread. */
#pragma once

#include "base/file.h"

#include "cache/node.h"
#include "guest/guest.h"
#include "plan/plan.h"
#include "source/source.h"
#include "walk/host.h"

typedef enum { ON_ERROR_ABORT, ON_ERROR_ASK, ON_ERROR_KEEP } OnError;

typedef struct {
    gboolean no_cache;                           /* use no node, keep none */
    gboolean debug;                              /* pause before each step */
    OnError on_error;                            /* what happens to the machine when a step fails */
    const IngotReference *cache_from, *cache_to; /* HOST/NAME where nodes are shared; may be NULL */
    const char *const *cache_secrets;            /* titles of steps whose nodes are pushed though they saw a secret */
} WalkOptions;

typedef struct {
    const BuildHost *host;
    const WalkOptions *options;
    const Recipe *recipe;
    const Plan *plan;
    const Source *source; /* walk_visit needs none */
    const GuestKey *key;
    IngotWorkdir *workdir;
    int refresh; /* the first stage that runs whatever is kept; -1: none */
} WalkInput;

/* The machine of the recipe, without disk and folder. Its name is not part of it: recipes on one base share its boot.
 */
MachineOptions walk_machine_options(const Recipe *recipe, const BuildHost *host, const GuestKey *key);

/* Whether nodes are kept, and taken from elsewhere: not where that is not wanted, and not on a source that lies in the
 * work folder, which ends with the build. */
gboolean walk_keeps(const WalkInput *input);

typedef struct Walk Walk;
/* Runs all stages. The disk and the layers below it stay until walk_free. */
Walk *walk_run(const WalkInput *input, GError **error);
/* Goes on from the node of exactly one stage, to look around: NOT_FOUND where there is none. Nothing is kept. */
Walk *walk_visit(const WalkInput *input, guint stage, GError **error);
/* Waits until all nodes are on the disk, as walk_free does too. */
void walk_settle(Walk *walk);
void walk_free(Walk *walk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Walk, walk_free)

const char *walk_disk(const Walk *walk); /* a qcow2 over other layers */
Machine *walk_machine(Walk *walk);       /* NULL: it has ended */
Guest *walk_guest(Walk *walk);           /* of that machine */
/* Whether a person was let into the machine on the way: what came of it stands for no recipe. */
gboolean walk_let_in(const Walk *walk);
/* Of each stage on the way, in order: GPtrArray of NodeRun. */
const GPtrArray *walk_runs(const Walk *walk);
