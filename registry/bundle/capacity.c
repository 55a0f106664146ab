#include "bundle/capacity.h"

#include <string.h>

#include "bundle/refuse.h"

#define UNIT_MAX 100u /* bytes of what a unit is written as */

/* "byte * 2^20", "byte*512", "byte * 10^9 * 2": factors, of which each may have a power. */
static gboolean parse_factors(const char *text, guint64 *factor)
{
    g_autoptr(GRegex) whole = g_regex_new("^\\s*bytes?\\s*((?:\\*\\s*[0-9]{1,10}\\s*(?:\\^\\s*[0-9]{1,2}\\s*)?)*)$",
                                          G_REGEX_CASELESS, 0, NULL);
    g_autoptr(GRegex) one = g_regex_new("\\*\\s*([0-9]+)\\s*(?:\\^\\s*([0-9]+))?", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(whole, text, 0, &match)) {
        return FALSE;
    }
    g_autofree char *factors = g_match_info_fetch(match, 1);
    g_autoptr(GMatchInfo) each = NULL;
    *factor = 1;
    for (g_regex_match(one, factors, 0, &each); g_match_info_matches(each); g_match_info_next(each, NULL)) {
        g_autofree char *base = g_match_info_fetch(each, 1), *power = g_match_info_fetch(each, 2);
        guint64 times = power == NULL || *power == '\0' ? 1 : g_ascii_strtoull(power, NULL, 10);
        for (guint64 i = 0; i < times; i++) {
            if (!g_uint64_checked_mul(factor, *factor, g_ascii_strtoull(base, NULL, 10))) {
                *factor = G_MAXUINT64;
            }
        }
    }
    return TRUE;
}

/* What the version 0.9 had, and what exporters write. */
static gboolean parse_word(const char *text, guint64 *factor)
{
    static const char *const words[][4] = {
        {"KiloBytes", "KiB", "KB", "kilobyte"},
        {"MegaBytes", "MiB", "MB", "megabyte"},
        {"GigaBytes", "GiB", "GB", "gigabyte"},
        {"TeraBytes", "TiB", "TB", "terabyte"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(words[i]); j++) {
            if (g_ascii_strcasecmp(text, words[i][j]) == 0) {
                *factor = G_GUINT64_CONSTANT(1) << (10 * (i + 1));
                return TRUE;
            }
        }
    }
    return FALSE;
}

gboolean capacity_parse(const char *text, const char *unit, guint64 *bytes, GError **error)
{
    g_autofree char *number = g_strstrip(g_strdup(text)), *in = g_strstrip(g_strdup(unit == NULL ? "byte" : unit));
    guint64 count, factor = 1;
    if (!g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &count, NULL)) {
        return bundle_refuse(NULL, error, "capacity '%.100s' is no number", text);
    }
    gboolean known = *in == '\0' || (strlen(in) <= UNIT_MAX && (parse_word(in, &factor) || parse_factors(in, &factor)));
    if (!known) {
        return bundle_refuse(NULL, error, "capacity is in '%.100s', a unit that is not known", unit);
    }
    if (!g_uint64_checked_mul(bytes, count, factor) || *bytes > (guint64)G_MAXINT64) {
        return bundle_refuse(NULL, error, "capacity '%.100s' is more than a disk can have", text);
    }
    return TRUE;
}
