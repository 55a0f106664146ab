/* Where an image comes from: SLSA's provenance v1 (slsa.dev/spec/v1.0/provenance) of a build by a recipe.
 *
 * It is what the builder says, unsigned unless somebody signs it: whoever may push can write another. A build of a
 * local machine keeps no promise of SLSA's levels above the first, and its builder's id says so. */
#pragma once

#include "evidence/statement.h"

#define PROVENANCE_PREDICATE "https://slsa.dev/provenance/v1"
#define PROVENANCE_BUILD_TYPE "urn:ingot:recipe:v1"
#define PROVENANCE_LOCAL_BUILDER "urn:ingot:builder:local"

typedef struct {
    char *recipe_path; /* within the repository, or the file's name */
    json_t *variables; /* {name: text} that the recipe was built with, secrets as "***" */
    char *recipe;      /* the recipe text's digest, "sha256:HEX"; NULL: not known, as all of these may be */
    char *repository;  /* a URL without credentials */
    char *branch;
    char *commit;
    gboolean clean; /* the git tree had no changes; FALSE where there was none */
    char *base;     /* reference of the image that it stands on */
    char *base_digest;
    char *required_by, *required; /* HOST/NAME of the pipeline whose requirement it was built with, and its digest */
    char *builder, *version;      /* who built it: a URI, and the program's version */
    char *started, *finished;     /* RFC 3339 */
} Provenance;

void provenance_free(Provenance *provenance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Provenance, provenance_free)

/* CORRUPT: the statement's predicate is not provenance of a build by a recipe. */
Provenance *provenance_read(const Statement *statement, GError **error);
/* The predicate. */
json_t *provenance_write(const Provenance *provenance);
