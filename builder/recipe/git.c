#include "recipe/git.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"

/* Git's own rule: a `.git`, folder or file, here or above, or the environment says where it is. */
static gboolean git_has_repository(const char *folder)
{
    g_autofree char *at = g_canonicalize_filename(folder, NULL);
    if (g_getenv("GIT_DIR") != NULL) {
        return TRUE;
    }
    for (;;) {
        g_autofree char *git = g_build_filename(at, ".git", NULL);
        if (g_file_test(git, G_FILE_TEST_EXISTS)) {
            return TRUE;
        }
        char *above = g_path_get_dirname(at);
        gboolean top = strcmp(above, at) == 0;
        g_free(at);
        at = above;
        if (top) {
            return FALSE;
        }
    }
}

/* What git printed on stdout; else an error with what it said on stderr. A recipe may come from anybody: a folder that
 * looks like a bare repository brings a configuration of its own, and nothing that a repository names is run. */
static char *git_ask(const char *folder, const char *const *words, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *const head[] = {"git",
                                "--no-pager",
                                "--no-optional-locks",
                                "-c",
                                "safe.bareRepository=explicit",
                                "-c",
                                "core.fsmonitor=false",
                                "-c",
                                "core.hooksPath=/dev/null",
                                "-C",
                                folder};
    for (guint i = 0; i < G_N_ELEMENTS(head); i++) {
        g_ptr_array_add(argv, (gpointer)head[i]);
    }
    for (; *words != NULL; words++) {
        g_ptr_array_add(argv, (gpointer)*words);
    }
    g_ptr_array_add(argv, NULL);
    char *output = ingot_process_output((const char *const *)argv->pdata, error);
    if (output == NULL) {
        g_prefix_error(error, "%s: ", folder);
    }
    return output;
}

gboolean recipe_git(const char *folder, char **commit, gboolean *dirty, GError **error)
{
    static const char *const repository[] = {"rev-parse", "--git-dir", NULL};
    static const char *const head[] = {"rev-parse", "--verify", "--quiet", "HEAD^{commit}", NULL};
    static const char *const status[] = {"status", "--porcelain", NULL};
    if (!git_has_repository(folder)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: is not in a git repository", folder);
        return FALSE;
    }
    g_autofree char *place = git_ask(folder, repository, error);
    if (place == NULL) {
        return FALSE;
    }
    g_autofree char *found = git_ask(folder, head, NULL);
    if (found == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: its git repository has no commit yet", folder);
        return FALSE;
    }
    g_autofree char *changes = git_ask(folder, status, error);
    if (changes == NULL) {
        return FALSE;
    }
    *commit = g_steal_pointer(&found);
    *dirty = *changes != '\0';
    return TRUE;
}
