/* What is sent by a webhook or an external check proves where it comes from: X-Ingot-Signature-256 is "sha256=" and, in
 * hex, the HMAC-SHA256 by the secret of PREFIX.BODY. The prefix is the X-Ingot-Timestamp of a request, so that an old
 * one that is sent again shows; of the answer to a check it is the request's id, so that an answer counts once. */
#pragma once

#include <glib.h>

#define HOOK_SIGNATURE "X-Ingot-Signature-256"
#define HOOK_TIMESTAMP "X-Ingot-Timestamp"

#define HOOK_SECRET_LEAST 16u /* bytes */
#define HOOK_SECRET_MOST 1024u

/* INVALID: it is too short, too long, or more than a line of text. */
gboolean hook_secret_check(const char *secret, GError **error);
/* "sha256=…"; free it. */
char *hook_sign(const char *secret, const char *prefix, const char *body, gsize size);
/* Whether that is the signature; it takes equally long wherever they differ. */
gboolean hook_verify(const char *secret, const char *prefix, const char *body, gsize size, const char *signature);
