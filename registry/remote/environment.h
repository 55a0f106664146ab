/* Registries as the programs of this tree ask them. */
#pragma once

#include <ingot/remote.h>

/* ingot_remote_new with the options of the environment. */
IngotRemote *environment_remote(const char *where, GError **error);
/* Sets $INGOT_ALLOW_REVOKED for this process and those that it starts; before it has threads. */
void environment_allow_revoked(void);
