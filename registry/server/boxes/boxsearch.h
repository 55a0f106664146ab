/* GET search and GET user/ORG of Vagrant Cloud's API: the boxes that the caller may pull. */
#pragma once

#include "server/boxes/boxapi.h"

enum MHD_Result box_search(Request *request, const BoxCall *call);
/* The boxes ORG/… that the caller may pull, each as the function writes it. Free it. */
json_t *box_list_org(Request *request, const BoxCall *call, const char *org,
                     json_t *(*write)(const BoxJson *by, const VagrantBox *box), GError **error);
/* All boxes whose names begin with it; none is no error, since publishers ask before their first. */
enum MHD_Result box_tell_user(Request *request, const BoxCall *call, const char *org);
