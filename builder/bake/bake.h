/* Baking: one recipe to one image in the store; the way of a build from its first room to its last. */
#pragma once

#include "bake/origin.h"
#include "cache/record.h"
#include "plan/plan.h"
#include "walk/walk.h"

typedef struct {
    BuildHost host;
    WalkOptions walk;
    const char *name, *tag; /* of the image */
    const char *parent;     /* of a recipe that is based on another one: see SourceContext */
    const char *refresh;    /* the step from which on all is run again; "": the source too; NULL: none */
    gboolean no_test;
    gboolean any_origin; /* an image that is there will do, though it was built from changes that were not committed */
    gboolean check_only; /* run steps and tests; seal nothing, store nothing */
    const char *log_dir; /* where the machines' console.log and qemu.log are kept; NULL: nowhere */
} BakeOptions;

/* The recipe's plan, with the keys that it has here and now. *look: of its source. Nothing is made for it. */
Plan *bake_plan(const Recipe *recipe, const BakeOptions *options, SourceLook *look, GError **error);

/* The record that stands for the image that the options ask for: of a recipe with tests, one that has passed them; of a
 * clean commit, one that says so. */
RecordOf bake_record(const Recipe *recipe, const BakeOptions *options, const Plan *plan, const Origin *origin);

/* *cached: an earlier build of the very same recipe was found, nothing was done. */
gboolean bake(const Recipe *recipe, const BakeOptions *options, IngotDescriptor *manifest, gboolean *cached,
              GError **error);
