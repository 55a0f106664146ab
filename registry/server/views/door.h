/* The door to views: GET /formats/NAME/REFERENCE/FORMAT/FILE, FILE.sha256 beside it, and the folders that list what is
 * in them as JSON. Who may pull from the repository may read them. */
#pragma once

#include "server/http/request.h"
#include "server/views/view.h"

/* Whether the path is one of these. */
gboolean formats_has(const char *path);
/* Whether its answer may have to wait for a pass over a whole disk. */
gboolean formats_is_slow(const char *path);
enum MHD_Result formats_answer(Request *request);
