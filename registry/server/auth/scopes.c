#include "server/auth/scopes.h"

#include <ingot/error.h>
#include <string.h>

#define PATTERN_MAX 255 /* as long as names may be */

static const struct {
    const char *name;
    AccessRight right;
    guint implied; /* with itself */
} rights[] = {{"pull", ACCESS_PULL, ACCESS_PULL},
              {"push", ACCESS_PUSH, ACCESS_PUSH | ACCESS_PULL},
              {"promote", ACCESS_PROMOTE, ACCESS_PROMOTE | ACCESS_PULL},
              {"delete", ACCESS_DELETE, ACCESS_DELETE | ACCESS_PULL},
              {"admin", ACCESS_ADMIN, ACCESS_ALL}};

guint access_right_parse(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(rights); i++) {
        if (strcmp(rights[i].name, word) == 0) {
            return rights[i].right;
        }
    }
    return 0;
}

const char *access_right_name(AccessRight right)
{
    for (guint i = 0; i < G_N_ELEMENTS(rights); i++) {
        if (rights[i].right == right) {
            return rights[i].name;
        }
    }
    return "nothing";
}

/* What a scope gives where its pattern fits (0: it is none); *pattern is the part behind the colon. */
static guint split(const char *scope, const char **pattern)
{
    for (guint i = 0; i < G_N_ELEMENTS(rights); i++) {
        gsize length = strlen(rights[i].name);
        if (strncmp(scope, rights[i].name, length) == 0 && scope[length] == ':') {
            *pattern = scope + length + 1;
            return rights[i].implied;
        }
    }
    return 0;
}

gboolean scope_check(const char *text, GError **error)
{
    const char *pattern;
    if (split(text, &pattern) != 0 && *pattern != '\0' && strlen(pattern) <= PATTERN_MAX &&
        strspn(pattern, "abcdefghijklmnopqrstuvwxyz0123456789._-/*") == strlen(pattern)) {
        return TRUE;
    }
    g_set_error(
        error, INGOT_ERROR, INGOT_ERROR_INVALID,
        "'%.300s' is no scope: RIGHT:PATTERN is expected, RIGHT one of pull, push, promote, delete, admin, PATTERN "
        "a repository's name in which * stands for any run of characters, as in push:team/*",
        text);
    return FALSE;
}

/* In time of the product of the lengths: a star that was too greedy is taken up again, earlier ones never. */
static gboolean match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return FALSE;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

guint scopes_rights(const char *const *scopes, const char *name)
{
    guint all = 0;
    for (guint i = 0; scopes[i] != NULL; i++) {
        const char *pattern;
        guint given = split(scopes[i], &pattern);
        if (given != 0 && match(pattern, name)) {
            all |= given;
        }
    }
    return all;
}

/* A pattern is taken as a text here: a star of its own is a letter that only another's star stands for, so whatever it
 * stands for is within. */
gboolean scopes_cover(const char *const *scopes, const char *scope)
{
    const char *pattern;
    guint wanted = split(scope, &pattern);
    return wanted != 0 && (scopes_rights(scopes, pattern) & wanted) == wanted;
}

char *scopes_to_text(const char *const *scopes)
{
    return g_strjoinv(" ", (char **)scopes);
}

char **scopes_of_text(const char *text)
{
    return *text == '\0' ? g_new0(char *, 1) : g_strsplit(text, " ", -1);
}
