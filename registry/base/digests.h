/* Lists of digests: GArray of IngotDigest. */
#pragma once

#include <ingot/digest.h>

gboolean digests_have(const GArray *digests, const IngotDigest *digest);
