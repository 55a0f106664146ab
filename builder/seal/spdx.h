/* The package list as SPDX 2.3 JSON (spdx.github.io/spdx-spec/v2.3). */
#pragma once

#include "base/json.h"

/* packages: as system_tree_packages tells them; os: as in the config, {"id", "version"} or NULL, for the purls. The
 * text has no time in it but `created`, so equal input gives equal bytes. Free it. */
char *spdx_from_packages(const char *name, const json_t *os, const char *created, const json_t *packages);
