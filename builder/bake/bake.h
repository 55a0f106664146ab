/* Baking: one recipe to one image in the store; the way of a build from its first room to its last. */
#pragma once

#include <ingot/store.h>

#include "guest/guest.h"
#include "plan/plan.h"

typedef enum { BAKE_ABORT, BAKE_ASK, BAKE_KEEP } BakeOnError;

typedef struct {
    IngotStore *store;
    const char *cache;
    const char *name, *tag; /* what the image is called */
    const char *parent;     /* of a recipe that is based on another one: see SourceContext */
    MachineAccel accel;
    gboolean no_cache;   /* make the source and the image anew, keep nothing */
    const char *refresh; /* the step from which all is run anew; "": the source too; NULL: none */
    const IngotReference *cache_from, *cache_to; /* HOST/NAME where nodes are shared; may be NULL */
    const char *const *cache_secrets;            /* titles of steps whose nodes are pushed though they saw a secret */
    gboolean no_test;
    gboolean debug; /* pause before each step */
    BakeOnError on_error;
    IngotProgress *progress;
} BakeOptions;

/* The machine of the recipe, without disk and folder. Its name is no part of it: recipes on one base share its boot. */
MachineOptions bake_machine(const Recipe *recipe, const BakeOptions *options, const GuestKey *key);

/* The recipe's plan, with the keys that it has here and now. workdir: for passing files. */
Plan *bake_plan(const Recipe *recipe, const BakeOptions *options, const char *workdir, GError **error);

/* *cached (may be NULL): an earlier build of the very same recipe was found, nothing was done. */
gboolean bake(const Recipe *recipe, const BakeOptions *options, IngotDescriptor *manifest, gboolean *cached,
              GError **error);
