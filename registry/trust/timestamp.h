/* Time stamps (RFC 3161) that come with a signature: an authority's word that it has seen the signature at that time.
 */
#pragma once

#include "trust/trustedroot.h"

/* Whether an authority of the trusted root has stamped the signature's bytes; response: its answer, in DER. *time:
 * when. DENIED: none has. */
gboolean timestamp_verify(GBytes *response, GBytes *signature, const TrustedRoot *root, gint64 *time, GError **error);
