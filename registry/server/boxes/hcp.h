/* HCP's API of 2022-09-30, another dialect of what boxapi.h serves: what Packer's post-processor vagrant-registry,
 * HCP's SDKs and scripts for it ask for, under /vagrant/2022-09-30, and a token's door (auth/issue.h).
 *
 * A registry is the first part of a name, so a box of it has a name of two parts. An error is {"code", "message",
 * "details"}, as gRPC has it. What is created or removed is an operation, which has ended when it is told. */
#pragma once

#include "server/boxes/boxapi.h"

extern const Route hcp_routes[];
extern const BoxDialect hcp_dialect;
