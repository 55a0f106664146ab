/* Media types of manifests, as they are kept and given out: application/…+json, of the characters that RFC 6838 allows,
 * whoever says so, a push or another registry: nothing that a browser would show as a page, and nothing that differs
 * from what the manifest says of itself, which clients refuse. Pure functions. */
#pragma once

#include "base/json.h"

/* A Content-Type (NULL: none) without its parameters, which the manifest agrees with; else what it says itself. NULL:
 * an error. Free it. */
char *mediatype_of_push(const char *given, const json_t *manifest, GError **error);
/* The same of what another registry gives: where the two differ, or its Content-Type is none of a manifest, the
 * manifest is right. */
char *mediatype_of_copy(const char *given, const json_t *manifest, GError **error);
