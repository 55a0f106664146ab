#include "server/boxes/hcppath.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#define COMPLETE "direct/complete/" /* an upload's id is behind it */

/* What a path may end with. */
typedef struct {
    const char *rest;
    BoxPathKind kind;
} End;

static const End registry_ends[] = {{"boxes", BOX_PATH_BOXES}, {NULL, 0}};
static const End box_ends[] = {{"", BOX_PATH_BOX}, {"versions", BOX_PATH_VERSIONS}, {NULL, 0}};
static const End version_ends[] = {{"", BOX_PATH_VERSION},
                                   {"release", BOX_PATH_RELEASE},
                                   {"revoke", BOX_PATH_REVOKE},
                                   {"providers", BOX_PATH_GROUPS},
                                   {NULL, 0}};
static const End group_ends[] = {{"", BOX_PATH_GROUP}, {"architectures", BOX_PATH_PROVIDERS}, {NULL, 0}};
static const End architecture_ends[] = {{"", BOX_PATH_PROVIDER},
                                        {"upload", BOX_PATH_UPLOAD},
                                        {"direct/upload", BOX_PATH_DIRECT},
                                        {"download", BOX_PATH_DOWNLOAD},
                                        {NULL, 0}};

/* FALSE: no path ends so. */
static gboolean read_end(BoxPath *path, char *const *parts, const End *ends)
{
    g_autofree char *rest = g_strjoinv("/", (char **)parts);
    for (guint i = 0; ends[i].rest != NULL; i++) {
        if (strcmp(rest, ends[i].rest) == 0) {
            path->kind = ends[i].kind;
            return TRUE;
        }
    }
    return FALSE;
}

/* What stands behind the word, where the parts begin with it, and then they begin behind that. Free it. */
static char *take(char *const **parts, const char *word)
{
    char *const *at = *parts;
    if (at[0] == NULL || at[1] == NULL || strcmp(at[0], word) != 0) {
        return NULL;
    }
    *parts += 2;
    return g_strdup(at[1]);
}

static gboolean read_architecture(BoxPath *path, char *const *parts, GError **error)
{
    g_autofree char *rest = g_strjoinv("/", (char **)parts);
    if (!box_architecture_check(path->architecture, error)) {
        return FALSE;
    }
    if (g_str_has_prefix(rest, COMPLETE)) {
        path->kind = BOX_PATH_UPLOADED;
        path->upload = g_strdup(rest + strlen(COMPLETE));
        return TRUE;
    }
    return read_end(path, parts, architecture_ends);
}

static gboolean read_provider(BoxPath *path, char *const *parts, GError **error)
{
    if (!box_provider_check(path->provider, error)) {
        return FALSE;
    }
    path->architecture = take(&parts, "architecture");
    return path->architecture == NULL ? read_end(path, parts, group_ends) : read_architecture(path, parts, error);
}

static gboolean read_version(BoxPath *path, char *const *parts, GError **error)
{
    if (!box_version_check(path->version, error)) {
        return FALSE;
    }
    path->provider = take(&parts, "provider");
    return path->provider == NULL ? read_end(path, parts, version_ends) : read_provider(path, parts, error);
}

static gboolean read_registry(BoxPath *path, char *const *parts, GError **error)
{
    char *const *rest = parts + 1;
    g_autofree char *box = take(&rest, "box");
    path->shown = box == NULL ? g_strdup(parts[0]) : g_strconcat(parts[0], "/", box, NULL);
    path->name = g_ascii_strdown(path->shown, -1);
    if (!ingot_name_check(path->name, error)) {
        return FALSE;
    }
    path->version = box == NULL ? NULL : take(&rest, "version");
    return path->version != NULL ? read_version(path, rest, error)
                                 : read_end(path, rest, box == NULL ? registry_ends : box_ends);
}

BoxPath *hcp_path_parse(const char *text, GError **error)
{
    g_autoptr(BoxPath) path = g_new0(BoxPath, 1);
    g_autoptr(GError) problem = NULL;
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    if (parts[0] != NULL && !g_str_has_suffix(text, "/") && read_registry(path, parts, &problem)) {
        return g_steal_pointer(&path);
    }
    if (problem == NULL) {
        g_set_error(&problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no such endpoint");
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
}
