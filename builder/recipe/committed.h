/* Whether what a build reads of a work tree is in the commit that is checked out there.
 *
 * `git status` does not say that: it passes over what is ignored, what lies in no repository, and files that a person
 * has told git not to look at (assume-unchanged, skip-worktree). So each file is looked for among those that git keeps,
 * of submodules too. Git's own files (.git) are in no commit. */
#pragma once

#include <glib.h>

/* paths: files, links with what they lead to, and folders with all that is in them. *lacking: one of the files that is
 * not in the commit; free it. NULL: there is none, if the work tree is otherwise as recipe_git says. */
gboolean committed_look(const char *folder, const GPtrArray *paths, char **lacking, GError **error);
