/* What git says of the folder that a recipe lies in. */
#pragma once

#include <glib.h>

/* The commit that is checked out and whether the work tree differs from it. NOT_FOUND outside of a repository, or in
 * one without a commit; anything else that goes wrong is another error, with git's own words. */
gboolean recipe_git(const char *folder, char **commit, gboolean *dirty, GError **error);
