/* DSSE, "Dead Simple Signing Envelope" (secure-systems-lab/dsse, version 1.0.2): what is signed is the payload with its
 * type and the length of both. */
#pragma once

#include <glib.h>

#define DSSE_STATEMENT "application/vnd.in-toto+json" /* the payload type of in-toto statements */

/* PAE: "DSSEv1", the type and the payload, each behind its length. */
GBytes *dsse_pae(const char *type, const void *payload, gsize size);
