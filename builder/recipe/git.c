#include "recipe/git.h"

#include <ingot/error.h>
#include <ingot/process.h>

gboolean recipe_git(const char *folder, char **commit, gboolean *dirty, GError **error)
{
    const char *const head[] = {"git", "-C", folder, "rev-parse", "--verify", "--quiet", "HEAD", NULL};
    const char *const status[] = {"git", "-C", folder, "status", "--porcelain", NULL};
    g_autofree char *found = ingot_process_output(head, NULL);
    g_autofree char *changes = found != NULL ? ingot_process_output(status, NULL) : NULL;
    if (changes == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: not in a git repository with a commit", folder);
        return FALSE;
    }
    *commit = g_steal_pointer(&found);
    *dirty = *changes != '\0';
    return TRUE;
}
