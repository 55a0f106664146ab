#include "server/boxes/boxpath.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/text.h"
#include "vagrant/version.h"

#define VERSION_MAX 64u /* characters: a tag is made of all three */
#define WORD_MAX 24u
#define SHOWN 80u /* bytes of a wrong word in a message */

void box_path_free(BoxPath *path)
{
    g_free(path->name);
    g_free(path->shown);
    g_free(path->version);
    g_free(path->provider);
    g_free(path->architecture);
    g_free(path->upload);
    g_free(path);
}

/* --- words --- */

static gboolean refuse_word(const char *kind, const char *word, const char *expected, GError **error)
{
    g_autofree char *shown = ingot_text_head(word, SHOWN);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is no %s: %s", shown, kind, expected);
    return FALSE;
}

gboolean box_version_check(const char *version, GError **error)
{
    return (strlen(version) <= VERSION_MAX && vagrant_version_is_readable(version)) ||
           refuse_word("version", version, "numbers and words between dots, as \"1.0.0\", of at most 64 characters",
                       error);
}

static gboolean is_word(const char *word, const char *characters)
{
    gsize length = strlen(word);
    return length > 0 && length <= WORD_MAX && strspn(word, characters) == length && g_ascii_isalnum(*word);
}

gboolean box_provider_check(const char *provider, GError **error)
{
    return is_word(provider, G_CSET_a_2_z G_CSET_DIGITS "_-") ||
           refuse_word("provider", provider, "a word as \"libvirt\", of at most 24 characters", error);
}

gboolean box_architecture_check(const char *architecture, GError **error)
{
    return is_word(architecture, G_CSET_a_2_z G_CSET_DIGITS "_-") ||
           refuse_word("architecture", architecture, "a word as \"amd64\", of at most 24 characters", error);
}

/* --- the path --- */

/* Where the word stands that ends the name: with Vagrant a name has two parts, here any number. */
static guint find_end(char *const *parts)
{
    static const char *const words[] = {"version", "versions", NULL};
    guint count = g_strv_length((char **)parts);
    for (guint i = count > 2 && g_strv_contains(words, parts[2]) ? 2 : 1; i < count; i++) {
        if (g_strv_contains(words, parts[i])) {
            return i;
        }
    }
    return count;
}

static gboolean is_end(char *const *parts, const char *word)
{
    return parts[0] != NULL && parts[1] == NULL && strcmp(parts[0], word) == 0;
}

/* Behind "provider/P": [ARCHITECTURE] [upload [direct [ID]]]. */
static gboolean read_provider(BoxPath *path, char *const *parts, GError **error)
{
    path->kind = BOX_PATH_PROVIDER;
    if (parts[0] != NULL && strcmp(parts[0], "upload") != 0) {
        path->architecture = g_strdup(parts[0]);
        if (!box_architecture_check(path->architecture, error)) {
            return FALSE;
        }
        parts++;
    }
    if (parts[0] == NULL) {
        return TRUE;
    }
    path->kind = BOX_PATH_UPLOAD;
    if (is_end(parts, "upload")) {
        return TRUE;
    }
    path->kind = parts[1] != NULL && parts[2] != NULL ? BOX_PATH_UPLOADED : BOX_PATH_DIRECT;
    path->upload = parts[1] == NULL ? NULL : g_strdup(parts[2]);
    return strcmp(parts[0], "upload") == 0 && parts[1] != NULL && strcmp(parts[1], "direct") == 0 &&
           (parts[2] == NULL || parts[3] == NULL);
}

/* Behind "version/V". */
static gboolean read_version(BoxPath *path, char *const *parts, GError **error)
{
    path->kind = BOX_PATH_VERSION;
    if (parts[0] == NULL) {
        return TRUE;
    }
    if (strcmp(parts[0], "provider") == 0 && parts[1] != NULL) {
        path->provider = g_strdup(parts[1]);
        return box_provider_check(path->provider, error) && read_provider(path, parts + 2, error);
    }
    path->kind = is_end(parts, "release")  ? BOX_PATH_RELEASE
                 : is_end(parts, "revoke") ? BOX_PATH_REVOKE
                                           : BOX_PATH_PROVIDERS;
    return path->kind != BOX_PATH_PROVIDERS || is_end(parts, "providers");
}

/* Behind the name. */
static gboolean read_rest(BoxPath *path, char *const *parts, GError **error)
{
    path->kind = BOX_PATH_BOX;
    if (parts[0] == NULL) {
        return TRUE;
    }
    path->kind = BOX_PATH_VERSIONS;
    if (strcmp(parts[0], "versions") == 0) {
        return parts[1] == NULL;
    }
    path->version = g_strdup(parts[1]);
    return path->version != NULL && box_version_check(path->version, error) && read_version(path, parts + 2, error);
}

BoxPath *box_path_parse(const char *text, GError **error)
{
    g_autoptr(BoxPath) path = g_new0(BoxPath, 1);
    g_autoptr(GError) problem = NULL;
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint end = find_end(parts);
    g_autofree char *last = g_strdup(parts[end]);
    g_free(g_steal_pointer(&parts[end]));
    path->shown = g_strjoinv("/", parts);
    path->name = g_ascii_strdown(path->shown, -1);
    parts[end] = g_steal_pointer(&last);
    if (!ingot_name_check(path->name, &problem) || !read_rest(path, parts + end, &problem)) {
        if (problem == NULL) {
            g_set_error(&problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no such endpoint");
        }
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    return g_steal_pointer(&path);
}
