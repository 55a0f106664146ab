/* Credential helpers: programs `docker-credential-NAME` that keep logins, for docker and for podman. They are given a
 * server's name and print a login as JSON ("docker-credential-helpers"). */
#pragma once

#include <ingot/credentials.h>

/* *found: what the helper has for that server; NULL where it has nothing. FALSE: it is not there (NOT_FOUND), fails,
 * prints something else, or takes longer than so many seconds. */
gboolean helper_get(const char *name, const char *server, guint seconds, IngotCredentials **found, GError **error);
