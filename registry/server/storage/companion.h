/* Companion tags: their names say which manifest they are about. cosign keeps signatures, attestations and lists of
 * packages as sha256-HEX.sig, .att and .sbom; sha256-HEX is where a registry without the referrers API lists what is
 * attached (OCI distribution-spec, "Referrers Tag Schema").
 *
 * A companion lives as long as the manifest that it is about. (A SHA-512 is too long for a tag.) */
#pragma once

#include <ingot/digest.h>

/* FALSE: an ordinary tag. One that names what it is about itself, as a pin does, is ordinary too. */
gboolean companion_read(const char *tag, const IngotDigest *named, IngotDigest *subject);
