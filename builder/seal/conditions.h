/* What a glob can't tell of a system: whether a row of the table (rules.h) counts in it. */
#pragma once

#include "system/tree.h"

/* cloud-init will make again what it has made: it is there and nothing disables it. Or it has made that for the build,
 * by whose network card and address no other machine has anything. */
gboolean condition_cloud_init(SystemTree *tree, gboolean *applies, GError **error);
/* And it may set up the network: where its configuration forbids that, people write into the files that it had made, as
 * Ubuntu's own says they should. */
gboolean condition_cloud_network(SystemTree *tree, gboolean *applies, GError **error);
/* /etc/resolv.conf is what a DHCP client has made of QEMU's answer, and holds nothing else. */
gboolean condition_resolver(SystemTree *tree, gboolean *applies, GError **error);

/* Whether a resolv.conf's text is so. */
gboolean condition_is_builds_resolver(const char *text);
/* Whether a file of cloud-init's configuration forbids it to set up the network. */
gboolean condition_forbids_network(const char *text);
