/* What a system's own files tell of it: /etc/os-release and dpkg's status. */
#pragma once

#include "base/json.h"

/* {"id", "version"}. Debian's version has its point release, which only /etc/debian_version knows (NULL: not
 * there). */
json_t *debian_os(const char *os_release, const char *debian_version);
/* [{"name", "version", "architecture"}] of the installed packages, in the status file's order. */
json_t *debian_packages(const char *dpkg_status);
