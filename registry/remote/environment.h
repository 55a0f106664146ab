/* Registries as the programs of this tree ask them. */
#pragma once

#include <ingot/remote.h>

/* ingot_remote_new with the options of the environment. */
IngotRemote *environment_remote(const char *where, GError **error);
/* As if $INGOT_ALLOW_REVOKED were set, for this process. Thread safe. */
void environment_allow_revoked(void);
/* As if $INGOT_POLICY were that, for this process, before it has threads. NULL, as of an option that is not given,
 * changes nothing. */
void environment_use_policy(const char *path);
/* The same of $INGOT_ARCH. */
void environment_use_architecture(const char *word);
