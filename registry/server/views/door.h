/* The door to views: GET /formats/NAME/REFERENCE/FORMAT/FILE, FILE.sha256 beside it, and the folders that list what is
 * in them as JSON. Who may pull from the repository may read them. */
#pragma once

#include "server/http/request.h"
#include "server/views/view.h"

extern const Route formats_routes[];
