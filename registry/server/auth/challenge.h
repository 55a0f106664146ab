/* The words of docker's token flow (distribution: "Token Authentication Specification"): what a challenge asks for and
 * what a token is asked for, as "repository:NAME:ACTION,ACTION" or "registry:catalog:*". Pure functions. */
#pragma once

#include <glib.h>

#include "server/auth/scopes.h"

/* What to ask a token for that gives one of these rights on a repository; name NULL: the catalog. Free it. */
char *challenge_scope(const char *name, guint rights);
/* The other way: push and delete ask for promote too, whose word clients don't know; * for all. Actions that are none
 * of ours are left out. *name (free it) is NULL for the catalog. FALSE: it is nothing that can be had here. */
gboolean challenge_read_scope(const char *text, char **name, guint *rights);
/* The value of WWW-Authenticate; base: this server's address, "https://HOST"; scope and error may be NULL. NULL where
 * base is. Free it. */
char *challenge_bearer(const char *base, const char *scope, const char *error);
