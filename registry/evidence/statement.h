/* What is attached to an image says something about it: an in-toto Statement v1 (in-toto/attestation, spec/v1), which
 * names its subjects by their digests and holds a predicate of some type.
 *
 * Unsigned, it is an artifact of type STATEMENT_TYPE with one layer of that type, and an annotation that names the
 * predicate's type. Statements come from anybody who may push: a reader asks statement_is_about before it believes
 * anything else. Thread safe: a statement is read only once it is parsed. */
#pragma once

#include <ingot/digest.h>

#include "base/json.h"

#define STATEMENT_TYPE "application/vnd.in-toto+json"
#define STATEMENT_PREDICATE_KEY "in-toto.io/predicate-type" /* the manifest's annotation */
#define STATEMENT_MAX (4u << 20)                            /* bytes */
#define STATEMENT_VALUES 100000u                            /* JSON values */

typedef struct {
    const char *predicate_type; /* belongs to root */
    const json_t *predicate;    /* an object, or NULL; belongs to root */
    GArray *subjects;           /* of IngotDigest: those that are named by SHA-256 */
    json_t *root;
} Statement;

/* CORRUPT: it is not such a statement. Free it. */
Statement *statement_parse(const void *bytes, gsize size, GError **error);
/* Whether one of its subjects is the image whose manifest has that digest. */
gboolean statement_is_about(const Statement *statement, const IngotDigest *image);
void statement_free(Statement *statement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Statement, statement_free)
