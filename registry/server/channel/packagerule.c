#include "server/channel/packagerule.h"

#define LIBDPKG_VOLATILE_API
#include <dpkg/dpkg.h>
#include <dpkg/version.h>
#include <string.h>

void package_rule_clear(PackageRule *rule)
{
    g_clear_pointer(&rule->name, g_free);
    g_clear_pointer(&rule->version, g_free);
}

static gboolean read_relation(const char *text, RuleRelation *relation, gsize *length)
{
    static const struct {
        const char *word;
        RuleRelation relation;
    } words[] = {{"<=", RULE_LESS_OR_EQUAL}, {">=", RULE_GREATER_OR_EQUAL},
                 {"<", RULE_LESS},           {">", RULE_GREATER},
                 {"==", RULE_EQUAL},         {"=", RULE_EQUAL}};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(text, words[i].word)) {
            *relation = words[i].relation;
            *length = strlen(words[i].word);
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_name(const char *text, gsize length)
{
    return length > 0 && g_ascii_isalnum(text[0]) &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._:@/") >= length;
}

/* The characters of a version (deb-version(7)), which begins with a digit after its epoch. */
static gboolean is_version(const char *text)
{
    const char *colon = strchr(text, ':');
    gsize epoch = colon == NULL ? 0 : strspn(text, "0123456789");
    if (colon != NULL && (epoch == 0 || epoch > 9 || text + epoch != colon)) {
        return FALSE;
    }
    const char *rest = colon == NULL ? text : colon + 1;
    return g_ascii_isdigit(rest[0]) &&
           rest[strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~:")] == '\0';
}

gboolean package_rule_parse(const char *text, PackageRule *rule)
{
    gsize end = strcspn(text, "<>= "), length;
    const char *rest = text + end + strspn(text + end, " ");
    if (!is_name(text, end)) {
        return FALSE;
    }
    if (*rest == '\0') {
        rule->name = g_strndup(text, end);
        return TRUE;
    }
    if (!read_relation(rest, &rule->relation, &length)) {
        return FALSE;
    }
    const char *version = rest + length + strspn(rest + length, " ");
    if (!is_version(version)) {
        return FALSE;
    }
    rule->name = g_strndup(text, end);
    rule->version = g_strdup(version);
    return TRUE;
}

/* Its parts point into text, or to *upstream, which is to be freed. */
static struct dpkg_version split_version(const char *text, char **upstream)
{
    const char *colon = strchr(text, ':'), *rest = colon == NULL ? text : colon + 1, *dash = strrchr(rest, '-');
    *upstream = dash == NULL ? g_strdup(rest) : g_strndup(rest, (gsize)(dash - rest));
    return (struct dpkg_version){.epoch = colon == NULL ? 0 : (unsigned)g_ascii_strtoull(text, NULL, 10),
                                 .version = *upstream,
                                 .revision = dash == NULL ? "" : dash + 1};
}

static int compare_versions(const char *one, const char *other)
{
    g_autofree char *first = NULL, *second = NULL;
    const struct dpkg_version a = split_version(one, &first), b = split_version(other, &second);
    return dpkg_version_compare(&a, &b);
}

PackageMatch package_rule_fits(const PackageRule *rule, const char *version, const char *kind)
{
    if (rule->version == NULL) {
        return PACKAGE_IS_MEANT;
    }
    if (version == NULL || g_strcmp0(kind, "deb") != 0 || !is_version(version)) {
        gboolean same = version != NULL && strcmp(version, rule->version) == 0;
        return rule->relation != RULE_EQUAL || version == NULL ? PACKAGE_UNKNOWN
               : same                                          ? PACKAGE_IS_MEANT
                                                               : PACKAGE_PASSES;
    }
    int order = compare_versions(version, rule->version);
    gboolean meant = rule->relation == RULE_LESS               ? order < 0
                     : rule->relation == RULE_LESS_OR_EQUAL    ? order <= 0
                     : rule->relation == RULE_EQUAL            ? order == 0
                     : rule->relation == RULE_GREATER_OR_EQUAL ? order >= 0
                                                               : order > 0;
    return meant ? PACKAGE_IS_MEANT : PACKAGE_PASSES;
}
