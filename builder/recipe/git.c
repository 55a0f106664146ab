#include "recipe/git.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"

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

char *recipe_git_ask(const char *folder, const char *const *words, GError **error)
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
                                "-c",
                                "core.quotePath=true",
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
    static const char *const status[] = {"status", "--porcelain", "--untracked-files=normal",
                                         "--ignore-submodules=none", NULL}; /* whatever the configuration says */
    if (!git_has_repository(folder)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: is not in a git repository", folder);
        return FALSE;
    }
    g_autofree char *place = recipe_git_ask(folder, repository, error);
    if (place == NULL) {
        return FALSE;
    }
    g_autofree char *found = recipe_git_ask(folder, head, NULL);
    if (found == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: its git repository has no commit yet", folder);
        return FALSE;
    }
    g_autofree char *changes = recipe_git_ask(folder, status, error);
    if (changes == NULL) {
        return FALSE;
    }
    *commit = g_steal_pointer(&found);
    *dirty = *changes != '\0';
    return TRUE;
}

void git_origin_clear(GitOrigin *origin)
{
    g_clear_pointer(&origin->url, g_free);
    g_clear_pointer(&origin->branch, g_free);
    g_clear_pointer(&origin->prefix, g_free);
}

/* "https://…", and "user@host:path", as ssh has it: what is no URL holds no password. */
static char *git_public_url(const char *url)
{
    if (strstr(url, "://") != NULL) {
        return g_str_has_prefix(url, "file:") ? NULL : ingot_text_url(url);
    }
    const char *colon = strchr(url, ':'), *slash = strchr(url, '/');
    return colon == NULL || (slash != NULL && slash < colon) ? NULL : g_strdup(url);
}

void recipe_git_origin(const char *folder, GitOrigin *origin)
{
    static const char *const url[] = {"config", "--get", "remote.origin.url", NULL};
    static const char *const branch[] = {"symbolic-ref", "--quiet", "--short", "HEAD", NULL};
    static const char *const prefix[] = {"rev-parse", "--show-prefix", NULL};
    *origin = (GitOrigin){0};
    if (git_has_repository(folder)) {
        g_autofree char *found = recipe_git_ask(folder, url, NULL);
        origin->url = found == NULL || *found == '\0' ? NULL : git_public_url(found);
        origin->branch = recipe_git_ask(folder, branch, NULL);
        origin->prefix = recipe_git_ask(folder, prefix, NULL);
    }
}
