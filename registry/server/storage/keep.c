#include "server/storage/keep.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/text.h"

static void keep_clear(gpointer data)
{
    Keep *keep = data;
    g_free(keep->pattern);
    g_free(keep->tags);
}

GArray *keeps_new(void)
{
    GArray *keeps = g_array_new(FALSE, FALSE, sizeof(Keep));
    g_array_set_clear_func(keeps, keep_clear);
    return keeps;
}

/* "age=30d" into *seconds; FALSE: it is not that, or not a time. */
static gboolean rule_time(const char *rule, const char *key, guint64 *seconds)
{
    return g_str_has_prefix(rule, key) && ingot_text_parse_duration(rule + strlen(key), seconds, NULL);
}

/* N, or N and TIME behind it: without a key. 0: the rule has one; 1: it is good; -1: it is not. */
static int rule_bare(Keep *keep, const GStrv rules, guint index)
{
    guint64 number;
    if (!g_ascii_isdigit(rules[index][0])) {
        return 0;
    }
    if (index == 0 && g_ascii_string_to_unsigned(rules[0], 10, 0, G_MAXUINT, &number, NULL)) {
        keep->newest = (guint)number;
        return 1;
    }
    return index == 1 && g_ascii_isdigit(rules[0][0]) && ingot_text_parse_duration(rules[1], &keep->channel, NULL) ? 1
                                                                                                                   : -1;
}

static gboolean rule_read(Keep *keep, const GStrv rules, guint index)
{
    const char *rule = rules[index];
    int bare = rule_bare(keep, rules, index);
    if (bare == 0 && g_str_has_prefix(rule, "tags=") && rule[5] != '\0' && keep->tags == NULL) {
        keep->tags = g_strdup(rule + 5);
        return TRUE;
    }
    return bare > 0 || rule_time(rule, "age=", &keep->age) || rule_time(rule, "pulled=", &keep->pulled) ||
           rule_time(rule, "channel=", &keep->channel);
}

/* Whether it says at all what stays: one that does not was meant otherwise. */
static gboolean rules_keep(const GStrv rules)
{
    for (guint i = 0; rules[i] != NULL; i++) {
        if ((i == 0 && g_ascii_isdigit(rules[0][0])) || g_str_has_prefix(rules[i], "age=") ||
            g_str_has_prefix(rules[i], "pulled=")) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean keeps_add(GArray *keeps, const char *text, GError **error)
{
    const char *equals = strchr(text, '=');
    g_auto(GStrv) rules = g_strsplit(equals == NULL ? "" : equals + 1, ",", -1);
    Keep keep = {.pattern = g_strndup(text, equals == NULL ? 0 : (gsize)(equals - text))};
    gboolean good = *keep.pattern != '\0';
    for (guint i = 0; good && rules[i] != NULL; i++) {
        good = rule_read(&keep, rules, i);
    }
    if (!good || !rules_keep(rules)) {
        keep_clear(&keep);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: %s; expected is PATTERN=RULE[,RULE...], where a rule is N (the first), age=TIME, pulled=TIME,"
                    " channel=TIME or tags=GLOB, as in team/*=10,age=30d",
                    text, good ? "it says not what stays (0, if nothing does)" : "not a policy");
        return FALSE;
    }
    g_array_append_val(keeps, keep);
    return TRUE;
}

const Keep *keeps_find(const GArray *keeps, const char *repository, const char *tag)
{
    for (guint i = 0; keeps != NULL && i < keeps->len; i++) {
        const Keep *keep = &g_array_index(keeps, Keep, i);
        if (g_pattern_match_simple(keep->pattern, repository) &&
            (keep->tags == NULL ? ingot_tag_is_version(tag) : g_pattern_match_simple(keep->tags, tag))) {
            return keep;
        }
    }
    return NULL;
}
