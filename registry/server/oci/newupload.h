/* The beginning of an upload, within what its user may have under way at once. */
#pragma once

#include "server/http/request.h"

/* The id of a new upload to the repository; free it. brief: this request alone brings all of it. NULL: *result is what
 * the answer returned (429 where the user has too many). */
char *new_upload(Request *request, const char *name, gboolean brief, enum MHD_Result *result);
