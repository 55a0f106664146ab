/* Paths of HCP's API of 2022-09-30, behind "registry/", as those of Vagrant Cloud's: a registry is the first part of a
 * name, and each word stands before its own, REGISTRY/box/BOX/version/V/provider/P/architecture/A. Pure functions. */
#pragma once

#include "server/boxes/boxpath.h"

/* Errors as box_path_parse. */
BoxPath *hcp_path_parse(const char *text, GError **error);
