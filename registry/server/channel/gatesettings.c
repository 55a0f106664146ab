#include "server/channel/gatesettings.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "trust/key.h"

gboolean settings_wrong(GString *path, const char *member, GError **error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    g_autofree char *message = g_strdup_vprintf(format, values);
    va_end(values);
    if (member != NULL) {
        g_string_append_printf(path, "/%s", member);
    }
    g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_INVALID, message);
    return FALSE;
}

gboolean settings_map(const json_t *settings, const char *const *names, const char *required, GString *path,
                      GError **error)
{
    const char *member;
    json_t *value;
    if (settings != NULL && !json_is_object(settings)) {
        return settings_wrong(path, NULL, error, "a map is expected");
    }
    json_object_foreach((json_t *)settings, member, value)
    {
        if (strcmp(member, "always") != 0 && !g_strv_contains(names, member)) {
            g_autofree char *near = ingot_text_suggestion(member, names);
            return settings_wrong(path, member, error, "unknown setting '%s'%s", member, near);
        }
        if (strcmp(member, "always") == 0 && !json_is_boolean(value)) {
            return settings_wrong(path, member, error, "true or false is expected");
        }
    }
    return required == NULL || json_object_get(settings, required) != NULL ||
           settings_wrong(path, NULL, error, "'%s' is missing", required);
}

gboolean settings_texts(const json_t *settings, const char *member, GString *path, GError **error)
{
    const json_t *list = json_object_get(settings, member);
    if (list == NULL) {
        return TRUE;
    }
    if (json_array_size(list) == 0) {
        return settings_wrong(path, member, error, "a list of at least one text is expected");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || *text == '\0') {
            g_autofree char *place = g_strdup_printf("%s/%zu", member, i);
            return settings_wrong(path, place, error, "a text is expected");
        }
    }
    return TRUE;
}

gboolean settings_duration(const json_t *settings, const char *member, GString *path, GError **error)
{
    const json_t *value = json_object_get(settings, member);
    guint64 seconds;
    if (value == NULL || (json_is_string(value) &&
                          ingot_text_parse_duration(json_string_value(value), &seconds, NULL) && seconds <= G_MAXINT)) {
        return TRUE;
    }
    return settings_wrong(path, member, error, "'%s' is not a duration, as in 90s, 30m, 12h or 1d",
                          json_is_string(value) ? json_string_value(value) : "this");
}

gboolean settings_count(const json_t *settings, const char *member, guint most, GString *path, GError **error)
{
    const json_t *value = json_object_get(settings, member);
    json_int_t number = json_integer_value(value);
    return value == NULL || (json_is_integer(value) && number >= 1 && number <= most) ||
           settings_wrong(path, member, error, "a whole number from 1 to %u is expected", most);
}

gboolean settings_keys(const json_t *settings, const char *member, GString *path, GError **error)
{
    const json_t *list = json_object_get(settings, member);
    if (!settings_texts(settings, member, path, error)) {
        return FALSE;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        g_autoptr(GError) problem = NULL;
        g_autoptr(TrustKey) key = trust_key_read_public(text, strlen(text), "the key", &problem);
        if (key == NULL) {
            g_autofree char *place = g_strdup_printf("%s/%zu", member, i);
            return settings_wrong(path, place, error, "%s", problem->message);
        }
    }
    return TRUE;
}

gint64 settings_seconds(const json_t *settings, const char *member)
{
    guint64 seconds = 0;
    const char *text = json_string_value(json_object_get(settings, member));
    return text != NULL && ingot_text_parse_duration(text, &seconds, NULL) ? (gint64)seconds : 0;
}

guint settings_number(const json_t *settings, const char *member)
{
    json_int_t number = json_integer_value(json_object_get(settings, member));
    return number < 1 ? 1 : (guint)number;
}

GPtrArray *settings_read_keys(const json_t *settings, const char *member)
{
    const json_t *list = json_object_get(settings, member);
    if (list == NULL) {
        return NULL;
    }
    GPtrArray *keys = g_ptr_array_new_with_free_func((GDestroyNotify)trust_key_free);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        TrustKey *key = text == NULL ? NULL : trust_key_read_public(text, strlen(text), "the key", NULL);
        if (key != NULL) {
            g_ptr_array_add(keys, key);
        }
    }
    return keys;
}
