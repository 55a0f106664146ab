/* Trusted roots, and signatures by certificates: the first line of the input is taken for a trusted root, and what
 * follows for a bundle that is verified by it, for an image and an identity that the seeds are of. */
#include <string.h>

#include "fuzz.h"
#include "trust/bundle.h"

static const TrustIdentity who = {"ci@example.com", "https://login.example"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t line = end == NULL ? size : (size_t)(end - data);
    g_autoptr(GError) error = NULL;
    g_autoptr(TrustedRoot) root = trusted_root_parse(data, line, "root", &error);
    g_assert((root == NULL) == (error != NULL));
    if (root == NULL || end == NULL) {
        return 0;
    }
    IngotDigest image;
    g_auto(TrustResult) result = {0};
    const TrustSigners signers = {.identities = {root, &who, 1}};
    ingot_digest_of("an image", strlen("an image"), &image);
    gboolean counts = trust_bundle_verify(end + 1, size - line - 1, &signers, &image, &result, &error);
    g_assert(counts == (error == NULL));
    g_assert(counts == (result.identity == &who));
    return 0;
}
