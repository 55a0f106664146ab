#include "base/digests.h"

gboolean digests_have(const GArray *digests, const IngotDigest *digest)
{
    for (guint i = 0; i < digests->len; i++) {
        if (ingot_digest_equal(&g_array_index(digests, IngotDigest, i), digest)) {
            return TRUE;
        }
    }
    return FALSE;
}
