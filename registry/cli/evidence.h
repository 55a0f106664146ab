/* What is attached to an image, as `ingot show` tells it: what each says, in a few words. Nothing is verified here: who
 * may push can attach anything. */
#pragma once

#include "base/json.h"
#include "transfer/place.h"

/* {"digest", "type", "kind", …} of one attachment of an image, whose manifest has that digest; kind is "packages"
 * ("count", "types"), "tests" ("result", "passed", "failed", "environment", "finished", "recipes"), "provenance"
 * ("repository", "branch", "commit", "clean", "recipe", "base", "base_digest", "builder", "finished"), "signature"
 * (of the image), "recipe" ("path", "left_out") or "other"; what it does not say is missing. A statement has
 * its "subjects", as it writes them: once it is signed it counts for each. What is in a signed bundle has "signed":
 * true, and the key's "hint". "problem" says why it is not known. Never NULL. */
json_t *evidence_of(const ImagePlace *place, const IngotDigest *attached, const IngotDigest *image);
/* What an attachment of that image holds, of at most that many bytes, and its type (free it). DENIED: it is attached to
 * another image. */
GBytes *evidence_read(const ImagePlace *place, const IngotDigest *attached, const IngotDigest *image, gsize most,
                      char **type, GError **error);
/* Prints it for people. */
void evidence_print(const json_t *one);
