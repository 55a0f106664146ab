/* Providers of a version as HCP's API has them: each with any number of architectures, and there before its first, by a
 * word in the version's record (boxrecords.h). */
#pragma once

#include "server/boxes/boxapi.h"
#include "server/boxes/boxrecords.h"

/* POST …/providers, PUT and DELETE …/provider/P. The last is for who may remove it. */
enum MHD_Result box_group_create(Request *request, BoxCall *call, const json_t *body);
enum MHD_Result box_group_change(Request *request, const BoxCall *call, const json_t *body);
enum MHD_Result box_group_remove(Request *request, const BoxCall *call, const BoxRecords *records);
