/* What changes by Vagrant Cloud's API: boxes, versions and providers are created, told otherwise, released, removed. */
#pragma once

#include "server/boxes/boxapi.h"

/* POST boxes: the body names the box. */
enum MHD_Result box_write_new(Request *request, BoxCall *call);
/* POST, PUT and DELETE of all else. */
enum MHD_Result box_write(Request *request, BoxCall *call);
/* The same with what the body says, in the words of that API. */
enum MHD_Result box_create(Request *request, BoxCall *call, const json_t *body);
enum MHD_Result box_write_part(Request *request, BoxCall *call, const json_t *body);
/* Its route's move: what waits for a box that is taken in comes again. */
Pool box_write_move(Request *request, const RouteMatch *match);
