#include "image/lifecycle.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define TEXT_MAX (8u << 10) /* bytes of what another machine says */
#define TEXT_VALUES 16u

static const char *const words[] = {[LIFECYCLE_ACTIVE] = "active",
                                    [LIFECYCLE_DEPRECATED] = "deprecated",
                                    [LIFECYCLE_DISABLED] = "disabled",
                                    [LIFECYCLE_REVOKED] = "revoked",
                                    NULL};

const char *lifecycle_word(Lifecycle state)
{
    return words[state];
}

/* FALSE: it is none of them. */
static gboolean word_find(const char *word, Lifecycle *state)
{
    for (guint i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            *state = (Lifecycle)i;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean lifecycle_parse(const char *word, Lifecycle *state, GError **error)
{
    if (word_find(word, state)) {
        return TRUE;
    }
    g_autofree char *suggestion = ingot_text_suggestion(word, words);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is not a state: active, deprecated, disabled or revoked is expected%s", word, suggestion);
    return FALSE;
}

/* Whether it is YYYY-MM-DD and nothing else. */
static gboolean is_day(const char *text)
{
    static const char shape[] = "dddd-dd-dd";
    gboolean is = strlen(text) == strlen(shape);
    for (guint i = 0; is && shape[i] != '\0'; i++) {
        is = shape[i] == 'd' ? g_ascii_isdigit(text[i]) : text[i] == shape[i];
    }
    return is;
}

gboolean lifecycle_date(const char *text, gint64 *at, GError **error)
{
    g_autofree char *whole = is_day(text) ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
    /* Without a zone none is parsed: whose clock would it be? */
    g_autoptr(GDateTime) date = strchr(whole, 'T') == NULL ? NULL : g_date_time_new_from_iso8601(whole, NULL);
    if (date == NULL || g_date_time_get_year(date) < 1970) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is not a date: YYYY-MM-DD, or RFC 3339 with a zone, as 2026-11-30T12:00:00Z, is expected",
                    text);
        return FALSE;
    }
    *at = g_date_time_to_unix(date);
    return TRUE;
}

gboolean lifecycle_check_reason(const char *reason, GError **error)
{
    gboolean ok = strlen(reason) <= LIFECYCLE_REASON_MAX && g_utf8_validate(reason, -1, NULL);
    for (const char *p = reason; ok && *p != '\0'; p = g_utf8_next_char(p)) {
        ok = !g_unichar_iscntrl(g_utf8_get_char(p));
    }
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a reason is one line of text of at most %d bytes",
                    LIFECYCLE_REASON_MAX);
    }
    return ok;
}

json_t *lifecycle_say(Lifecycle state, const char *reason, const char *by, gint64 at, gint64 from)
{
    g_autofree char *at_text = ingot_text_time(at), *from_text = ingot_text_time(from);
    json_t *said = ingot_json_pack("{s:s, s:s, s:s}", "state", words[state], "at", at_text, "from", from_text);
    ingot_json_set_string(said, "by", by);
    ingot_json_set_string(said, "reason", reason);
    return said;
}

json_t *lifecycle_read(const char *text)
{
    static const char *const members[] = {"state", "reason", "by", "at", "from", "name", "digest"};
    gsize size = strlen(text), room = TEXT_VALUES;
    Lifecycle state;
    g_autoptr(json_t) given = size > TEXT_MAX ? NULL : ingot_json_parse_within(text, size, "lifecycle", &room, NULL);
    if (!word_find(json_string_value(json_object_get(given, "state")), &state)) {
        return NULL;
    }
    json_t *said = json_object();
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        const char *value = json_string_value(json_object_get(given, members[i]));
        g_autofree char *line = value == NULL ? NULL : ingot_text_line(value);
        ingot_json_set_string(said, members[i], line);
    }
    return said;
}

char *lifecycle_write(const json_t *said)
{
    return json_dumps(said, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS);
}

Lifecycle lifecycle_of(const json_t *said)
{
    Lifecycle state = LIFECYCLE_ACTIVE;
    word_find(json_string_value(json_object_get(said, "state")), &state);
    return state;
}

gint64 lifecycle_from(const json_t *said)
{
    gint64 from = 0;
    const char *text = json_string_value(json_object_get(said, "from"));
    return text != NULL && lifecycle_date(text, &from, NULL) ? from : 0;
}

gboolean lifecycle_withholds(const json_t *said)
{
    return lifecycle_of(said) >= LIFECYCLE_DISABLED;
}

char *lifecycle_tell(const json_t *said)
{
    const char *by = json_string_value(json_object_get(said, "by"));
    const char *from = json_string_value(json_object_get(said, "from"));
    const char *reason = json_string_value(json_object_get(said, "reason"));
    GString *text = g_string_new(words[lifecycle_of(said)]);
    if (by != NULL) {
        g_string_append_printf(text, " by %s", by);
    }
    if (from != NULL) {
        g_string_append_printf(text, ", from %s on", from);
    }
    if (reason != NULL) {
        g_string_append_printf(text, ": %s", reason);
    }
    g_autofree char *all = g_string_free(text, FALSE);
    return ingot_text_line(all);
}
