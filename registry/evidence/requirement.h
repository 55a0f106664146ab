/* What a pipeline requires of every build: {"tests": [{"name", "text"}], "outputs": [NAME]}, each part where it is
 * needed. A test is a recipe, of which the tests count. An image says by the requirement's digest what it was built
 * with, and a gate compares. */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#define REQUIREMENT_CONFIG_KEY "required" /* of an image's config: {"pipeline": HOST/NAME, "digest"} */

/* Of the whole, whatever order its members have. */
void requirement_digest(const json_t *requirement, IngotDigest *digest);
/* Of one test's text; FALSE: it has none. */
gboolean requirement_test_digest(const json_t *test, IngotDigest *digest);
