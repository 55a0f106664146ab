#include "recipe/committed.h"

#include <stdlib.h>
#include <string.h>

#include "recipe/git.h"

#define KEPT "H " /* before the name of a file that git keeps and compares with the one in the work tree */

typedef struct {
    char *top;         /* of the work tree, without links */
    GPtrArray *places; /* of char *: where the paths are, without links on the way */
    GHashTable *kept;  /* names below the top */
    char *lacking;
} Committed;

static void committed_clear(Committed *committed)
{
    g_free(committed->top);
    g_free(committed->lacking);
    g_clear_pointer(&committed->places, g_ptr_array_unref);
    g_clear_pointer(&committed->kept, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Committed, committed_clear)

/* The name below the top, "" for the top itself; NULL: it lies elsewhere. */
static const char *committed_name(const Committed *committed, const char *place)
{
    gsize length = strcmp(committed->top, "/") == 0 ? 0 : strlen(committed->top);
    if (strncmp(place, committed->top, length) != 0) {
        return NULL;
    }
    return place[length] == '\0' ? "" : place[length] == '/' ? place + length + 1 : NULL;
}

static void committed_add_place(Committed *committed, const char *path, char *place)
{
    if (committed->lacking == NULL && (place == NULL || committed_name(committed, place) == NULL)) {
        committed->lacking = g_strdup(path);
    }
    if (place != NULL) {
        g_ptr_array_add(committed->places, place);
    }
}

/* A link is in the commit by its own name, and what it leads to by another. */
static void committed_add(Committed *committed, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
    g_autofree char *real = realpath(folder, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        committed_add_place(committed, path, real == NULL ? NULL : g_build_filename(real, name, NULL));
    }
    char *place = realpath(path, NULL);
    committed_add_place(committed, path, g_strdup(place));
    free(place);
}

/* A name as git prints it: one with a quote or a byte beyond ASCII is quoted, as in C. Free it. */
static char *committed_unquote(const char *name)
{
    gsize length = strlen(name);
    if (*name != '"' || length < 2) {
        return g_strdup(name);
    }
    g_autofree char *inner = g_strndup(name + 1, length - 2);
    return g_strcompress(inner);
}

static gboolean committed_ask(Committed *committed, GError **error)
{
    static const char *const words[] = {"--literal-pathspecs", "ls-files", "-v", "--recurse-submodules", "--"};
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        g_ptr_array_add(argv, (gpointer)words[i]);
    }
    g_ptr_array_extend(argv, committed->places, NULL, NULL);
    g_ptr_array_add(argv, NULL);
    g_autofree char *output = recipe_git_ask(committed->top, (const char *const *)argv->pdata, error);
    if (output == NULL) {
        return FALSE;
    }
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (g_str_has_prefix(lines[i], KEPT)) {
            g_hash_table_add(committed->kept, committed_unquote(lines[i] + strlen(KEPT)));
        }
    }
    return TRUE;
}

static void committed_walk(Committed *committed, const char *place)
{
    gboolean is_folder = g_file_test(place, G_FILE_TEST_IS_DIR) && !g_file_test(place, G_FILE_TEST_IS_SYMLINK);
    g_autoptr(GDir) folder = is_folder ? g_dir_open(place, 0, NULL) : NULL;
    if (folder == NULL) {
        if (!g_hash_table_contains(committed->kept, committed_name(committed, place))) {
            committed->lacking = g_strdup(place);
        }
        return;
    }
    for (const char *name = g_dir_read_name(folder); name != NULL && committed->lacking == NULL;
         name = g_dir_read_name(folder)) {
        g_autofree char *below = g_build_filename(place, name, NULL);
        committed_walk(committed, below);
    }
}

gboolean committed_look(const char *folder, const GPtrArray *paths, char **lacking, GError **error)
{
    static const char *const top[] = {"rev-parse", "--show-toplevel", NULL};
    g_auto(Committed) committed = {.top = recipe_git_ask(folder, top, error),
                                   .places = g_ptr_array_new_with_free_func(g_free),
                                   .kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    if (committed.top == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < paths->len; i++) {
        committed_add(&committed, g_ptr_array_index(paths, i));
    }
    if (committed.lacking == NULL && !committed_ask(&committed, error)) {
        return FALSE;
    }
    for (guint i = 0; i < committed.places->len && committed.lacking == NULL; i++) {
        committed_walk(&committed, g_ptr_array_index(committed.places, i));
    }
    *lacking = g_steal_pointer(&committed.lacking);
    return TRUE;
}
