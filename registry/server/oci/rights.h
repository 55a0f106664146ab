/* Which rights a request needs. A channel (dev, test, prod) is what machines run: its tag moves, and goes, by
 * the right promote alone. */
#pragma once

#include "server/oci/api.h"

/* The rights (AccessRight, or-ed) of which one is enough to begin with it, on its repository. PUT of a manifest by tag
 * may begin with promote alone, but then the manifest must be there: see manifests.c. */
guint rights_needed(const Request *request, const ApiRoute *route);
/* What a token is to be asked for that is enough for it: a mount needs two repositories. NULL: nothing. Free it. */
char *rights_scope(const Request *request, const ApiRoute *route);
/* Answers itself where the caller may not do it; then FALSE. */
gboolean rights_check(Request *request, const ApiRoute *route, enum MHD_Result *result);
