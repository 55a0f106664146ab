#include "base/text.h"

#include <string.h>

#include <ingot/error.h>

/* Longer words are no typing mistakes of ours, and the table of distances stays on the stack. */
#define WORD_MAX 64

typedef struct {
    const char *suffix;
    guint64 factor;
} Unit;

char *ingot_text_size(guint64 bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};

    if (bytes < 1000)
        return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
    double value = (double)bytes / 1000;
    gsize unit = 0;
    while (value >= 999.95 && unit + 1 < G_N_ELEMENTS(units)) { /* 999.95 would be printed as 1000.0 */
        value /= 1000;
        unit++;
    }
    return g_strdup_printf("%.1f %s", value, units[unit]);
}

char *ingot_text_duration(double seconds)
{
    if (seconds < 9.95)
        return g_strdup_printf("%.1f s", MAX(seconds, 0));
    guint64 whole = (guint64)(seconds + 0.5);
    if (whole < 60)
        return g_strdup_printf("%u s", (guint)whole);
    if (whole < 3600)
        return g_strdup_printf("%u min %02u s", (guint)(whole / 60), (guint)(whole % 60));
    return g_strdup_printf("%" G_GUINT64_FORMAT " h %02u min", whole / 3600, (guint)(whole % 3600 / 60));
}

char *ingot_text_age(double seconds)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}};
    for (guint i = 0; i < G_N_ELEMENTS(units); i++) {
        if (seconds >= units[i].seconds)
            return g_strdup_printf("%u %s", (guint)(seconds / units[i].seconds), units[i].unit);
    }
    return g_strdup_printf("%u s", (guint)MAX(seconds, 0));
}

/* Digits and one of the units; the last unit has a NULL suffix. */
static gboolean parse_amount(const char *text, const Unit *units, guint64 *amount)
{
    if (!g_ascii_isdigit(*text))
        return FALSE;
    gsize digits = strspn(text, "0123456789");
    g_autofree char *number = g_strndup(text, digits);
    guint64 value;
    if (!g_ascii_string_to_unsigned(number, 10, 0, G_MAXUINT64, &value, NULL))
        return FALSE;
    for (const Unit *unit = units; unit->suffix; unit++)
        if (g_str_equal(text + digits, unit->suffix))
            return g_uint64_checked_mul(amount, value, unit->factor);
    return FALSE;
}

gboolean ingot_text_parse_size(const char *text, guint64 *bytes, GError **error)
{
    static const Unit units[] = {
        {"", 1},           {"K", 1ull << 10},   {"KiB", 1ull << 10}, {"M", 1ull << 20},   {"MiB", 1ull << 20},
        {"G", 1ull << 30}, {"GiB", 1ull << 30}, {"T", 1ull << 40},   {"TiB", 1ull << 40}, {NULL, 0},
    };

    if (parse_amount(text, units, bytes))
        return TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is no size: write digits and nothing, K, M, G or T, like 512M or 10G", text);
    return FALSE;
}

gboolean ingot_text_parse_duration(const char *text, guint64 *seconds, GError **error)
{
    static const Unit units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0}};

    if (parse_amount(text, units, seconds))
        return TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is no duration: write digits and nothing, s, m, h or d, like 90s or 5m", text);
    return FALSE;
}

gboolean ingot_text_parse_fraction(const char *text, double *fraction, GError **error)
{
    char *end;
    *fraction = g_ascii_strtod(text, &end);
    if (g_ascii_isdigit(*text) && *end == '\0' && *fraction >= 0 && *fraction <= 1)
        return TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s' is not a number from 0.0 to 1.0", text);
    return FALSE;
}

char *ingot_text_head(const char *text, gsize most)
{
    gsize end = strnlen(text, most);
    while (end > 0 && ((guchar)text[end] & 0xc0) == 0x80) /* in the midst of a character */
        end--;
    return g_utf8_make_valid(text, (gssize)end);
}

/* Behind an escape sequence (ECMA-48) that starts with ESC at p. */
static const char *skip_escape(const char *p)
{
    p++;
    if (*p == '[') {
        p++;
        while (*p >= 0x20 && *p < 0x40) {
            p++;
        }
    } else if (*p != '\0' && strchr("]P_^X", *p) != NULL) { /* a string, up to BEL or ESC \ */
        p += strcspn(p, "\a\033");
        return *p == '\033' && p[1] == '\\' ? p + 2 : *p == '\a' ? p + 1 : p;
    } else {
        while (*p >= 0x20 && *p < 0x30) {
            p++;
        }
    }
    return *p >= 0x30 && *p < 0x7f ? p + 1 : p;
}

char *ingot_text_clean(const char *bytes, gssize size)
{
    g_autofree char *valid = g_utf8_make_valid(bytes, size); /* a NUL is not valid either */
    GString *plain = g_string_sized_new(strlen(valid));
    for (const char *p = valid; *p != '\0';) {
        gunichar one = g_utf8_get_char(p);
        if (one == '\033') {
            p = skip_escape(p);
            continue;
        }
        gboolean nothing = (one & 0xfffe) == 0xfffe; /* not a character; XML may not even refer to it */
        if (one == '\n' || one == '\t' || (!g_unichar_iscntrl(one) && !nothing)) {
            g_string_append_unichar(plain, one);
        }
        p = g_utf8_next_char(p);
    }
    return g_string_free(plain, FALSE);
}

char *ingot_text_line(const char *text)
{
    char *line = ingot_text_clean(text, -1);
    return g_strdelimit(line, "\n\t", ' ');
}

/* Columns that a terminal gives to a character. */
static guint width_of(gunichar one)
{
    return g_unichar_iszerowidth(one) ? 0 : g_unichar_iswide(one) ? 2 : 1;
}

char *ingot_text_cell(const char *text, guint columns)
{
    g_autofree char *line = ingot_text_line(text);
    GString *cell = g_string_new(NULL);
    guint used = 0;
    for (const char *p = line; *p != '\0' && used + width_of(g_utf8_get_char(p)) <= columns; p = g_utf8_next_char(p)) {
        g_string_append_unichar(cell, g_utf8_get_char(p));
        used += width_of(g_utf8_get_char(p));
    }
    for (; used < columns; used++)
        g_string_append_c(cell, ' ');
    return g_string_free(cell, FALSE);
}

char *ingot_text_url(const char *url)
{
    const char *scheme = strstr(url, "://");
    if (scheme == NULL) {
        return g_strdup(url);
    }
    const char *host = scheme + strlen("://");
    const char *end = host + strcspn(host, "/?#");
    const char *at = g_strrstr_len(host, end - host, "@");
    const char *query = strchr(end, '?');
    const char *rest = at == NULL ? host : at + 1;
    int length = (int)(query == NULL ? strlen(rest) : (gsize)(query - rest));
    return g_strdup_printf("%.*s%.*s%s", (int)(host - url), url, length, rest, query == NULL ? "" : "?...");
}

static guint least(guint a, guint b, guint c)
{
    return MIN(a, MIN(b, c));
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b, blind to case. */
char *ingot_text_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";

    return *word != '\0' && strspn(word, plain) == strlen(word) ? g_strdup(word) : g_shell_quote(word);
}

static guint distance(const char *a, const char *b)
{
    guint table[WORD_MAX + 1][WORD_MAX + 1];
    gsize rows = strlen(a), columns = strlen(b);

    for (gsize i = 0; i <= rows; i++) {
        for (gsize j = 0; j <= columns; j++) {
            if (i == 0 || j == 0) {
                table[i][j] = (guint)(i + j);
                continue;
            }
            char left = g_ascii_tolower(a[i - 1]), right = g_ascii_tolower(b[j - 1]);
            table[i][j] = least(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (left != right));
            if (i > 1 && j > 1 && left == g_ascii_tolower(b[j - 2]) && right == g_ascii_tolower(a[i - 2]))
                table[i][j] = MIN(table[i][j], table[i - 2][j - 2] + 1);
        }
    }
    return table[rows][columns];
}

const char *ingot_text_nearest(const char *word, const char *const *words)
{
    const char *nearest = NULL;
    guint smallest = G_MAXUINT;

    if (strlen(word) > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        if (strlen(*words) > WORD_MAX)
            continue;
        /* A third of the longer word may be wrong; beyond that the guess is more puzzling than none. */
        guint near = (guint)(MAX(strlen(word), strlen(*words)) + 2) / 3;
        guint edits = distance(word, *words);
        if (edits <= near && edits < smallest) {
            smallest = edits;
            nearest = *words;
        }
    }
    return nearest;
}

char *ingot_text_suggestion(const char *word, const char *const *words)
{
    const char *nearest = ingot_text_nearest(word, words);
    return nearest ? g_strdup_printf(" (did you mean '%s'?)", nearest) : g_strdup("");
}

char *ingot_text_time(gint64 unix_seconds)
{
    /* The years 1 to 9999, all that RFC 3339 can write. */
    gint64 writable = CLAMP(unix_seconds, G_GINT64_CONSTANT(-62135596800), G_GINT64_CONSTANT(253402300799));
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(writable);
    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}
