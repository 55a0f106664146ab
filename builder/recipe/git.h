/* What git says of the folder that a recipe lies in. */
#pragma once

#include <glib.h>

/* What git, run in the folder with these words, printed on stdout without the last newline; else an error with what it
 * said on stderr. A recipe may come from anybody: a folder that looks like a bare repository brings a configuration of
 * its own, and nothing that a repository names is run. Free it. */
char *recipe_git_ask(const char *folder, const char *const *words, GError **error);

/* The commit that is checked out and whether the work tree differs from it, but for what it ignores (committed.h).
 * NOT_FOUND outside of a repository, or in one without a commit; anything else that goes wrong is another error, with
 * git's own words. */
gboolean recipe_git(const char *folder, char **commit, gboolean *dirty, GError **error);

/* Where a folder of a repository comes from; each is NULL where there is none. */
typedef struct {
    char *url;    /* of the remote "origin", without login and query; a path of this host is left out */
    char *branch; /* that is checked out; NULL: a commit is */
    char *prefix; /* of the folder within its repository: "", or a path with a slash at its end */
} GitOrigin;
void git_origin_clear(GitOrigin *origin);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GitOrigin, git_origin_clear)
/* What git does not say is left out. */
void recipe_git_origin(const char *folder, GitOrigin *origin);
