#include "server/auth/challenge.h"

#include <ingot/reference.h>
#include <string.h>

char *challenge_scope(const char *name, guint rights)
{
    if (name == NULL) {
        return g_strdup("registry:catalog:*");
    }
    return g_strdup_printf("repository:%s:%s", name,
                           rights & (ACCESS_PUSH | ACCESS_PROMOTE) ? "pull,push"
                           : rights & ACCESS_DELETE                ? "delete"
                                                                   : "pull");
}

static guint read_actions(const char *text)
{
    g_auto(GStrv) actions = g_strsplit(text, ",", -1);
    guint rights = 0;
    for (guint i = 0; actions[i] != NULL; i++) {
        guint one = strcmp(actions[i], "*") == 0 ? ACCESS_ALL : access_right_parse(actions[i]);
        rights |= one == ACCESS_PUSH || one == ACCESS_DELETE ? one | ACCESS_PROMOTE : one;
    }
    return rights;
}

gboolean challenge_read_scope(const char *text, char **name, guint *rights)
{
    *name = NULL;
    *rights = 0;
    if (strcmp(text, "registry:catalog:*") == 0) {
        return TRUE;
    }
    const char *end = strrchr(text, ':');
    if (!g_str_has_prefix(text, "repository:") || end < text + strlen("repository:")) {
        return FALSE;
    }
    g_autofree char *found = g_strndup(text + strlen("repository:"), (gsize)(end - text) - strlen("repository:"));
    if (!ingot_name_check(found, NULL)) {
        return FALSE;
    }
    *name = g_steal_pointer(&found);
    *rights = read_actions(end + 1);
    return TRUE;
}

char *challenge_bearer(const char *base, const char *scope, const char *error)
{
    if (base == NULL) {
        return NULL;
    }
    GString *text = g_string_new(NULL);
    g_string_printf(text, "Bearer realm=\"%s/token\",service=\"ingot\"", base);
    if (scope != NULL) {
        g_string_append_printf(text, ",scope=\"%s\"", scope);
    }
    if (error != NULL) {
        g_string_append_printf(text, ",error=\"%s\"", error);
    }
    return g_string_free(text, FALSE);
}
