/* The plan: a recipe's stages in order, each with a key that says what its outcome depends on.
 *
 * The first stage starts the machine on its source; each step is a stage of its own. A key is SHA-256 over the key of
 * the stage before and the stage's inputs: for the first the source and the machine's shape; for a step its canonical
 * form, without its name and without what it says of caching, and the bytes, modes and names of every file that it
 * reads. A step that uses a secret has it in its key as an HMAC, keyed with a word that never leaves the cache. Equal
 * keys: an earlier outcome may stand for a new one; one changed byte changes that key and all that follow. QEMU's
 * version is no part of it, since the disk's content does not depend on it; what does is kept apart: see
 * machine_fingerprint. */
#pragma once

#include "plan/stage.h"

typedef struct {
    GPtrArray *stages; /* of PlanStage; at least the first */
    IngotDigest image; /* the whole: last stage, seal, evidence, tests, name, version, annotations, the
                          source's name, builder's version */
} Plan;

/* source_key: see source_key() of source/source.h; salt: the cache's word for secrets. A file that a step reads and
 * that cannot be read is an error. */
Plan *plan_new(const Recipe *recipe, const char *source_key, const char *salt, GError **error);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

static inline const PlanStage *plan_stage(const Plan *plan, guint i)
{
    return g_ptr_array_index(plan->stages, i);
}
/* The stage that a person names: a step's number from 1, or its title; -1 and INVALID where there is
 * none, or several. */
int plan_find(const Plan *plan, const char *text, GError **error);
/* The number of the stage of that key, or -1. */
int plan_find_key(const Plan *plan, const IngotDigest *key);

/* Whether a machine right after the stage is of use to what follows. One that was only booted is not where the next
 * stage works on a disk at rest, nor where nothing follows: the image of such a plan is its source, which nobody has
 * booted. */
gboolean plan_leads_on(const Plan *plan, guint stage);

/* After the stage has run: FALSE, with an error that names the file, if a file that it reads is not what the key says.
 * The stage's outcome belongs to no key then. */
gboolean plan_check_files(const PlanStage *stage, GError **error);
