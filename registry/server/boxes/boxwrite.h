/* What changes by Vagrant Cloud's API: boxes, versions and providers are created, told otherwise, released, removed. */
#pragma once

#include "server/boxes/boxapi.h"

/* POST boxes: the body names the box. */
enum MHD_Result box_write_new(Request *request, BoxCall *call);
/* POST, PUT and DELETE of all else. */
enum MHD_Result box_write(Request *request, const BoxCall *call);
/* Its route's move: what waits for a box that is taken in comes again. */
Pool box_write_move(Request *request, const RouteMatch *match);
