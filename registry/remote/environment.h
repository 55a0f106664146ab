/* Registries as the programs of this tree ask them. */
#pragma once

#include <ingot/remote.h>

/* ingot_remote_new with the options of the environment. */
IngotRemote *environment_remote(const char *where, GError **error);
/* As if $INGOT_ALLOW_REVOKED were set, for this process. Thread safe. */
void environment_allow_revoked(void);
