/* What a build says of the image that it made: the predicates of its statements (evidence/statement.h).
 *
 * The recipe is named by the digest of its shown text: the whole one's would let anybody try what a secret in it is. */
#pragma once

#include "bake/origin.h"
#include "base/json.h"
#include "check/check.h"

#define SAID_BY_BUILD "build" /* the environment that the tests of a build ran in */

/* A test result: the recipe's tests, as they went, in that environment (NULL: not named), finished now. A digest says
 * that the recipe's text was run as it is: where its tests were run with other values than its defaults, these are said
 * in place of it. */
json_t *said_of_tests(const Recipe *recipe, const CheckReport *report, const char *environment);
/* Provenance of a build that began at that time (seconds since 1970) and ends now. config: the image's. */
json_t *said_of_build(const Recipe *recipe, const json_t *config, const Origin *origin, gint64 started);
