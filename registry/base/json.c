#include "base/json.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"

json_t *ingot_json_parse(const void *data, gsize size, const char *what, GError **error)
{
    json_error_t problem;
    json_t *value = json_loadb(data, size, JSON_REJECT_DUPLICATES, &problem);

    if (!value) {
        /* jansson quotes what it met, which may be cut within a character. */
        g_autofree char *text = g_utf8_make_valid(problem.text, -1);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s:%d:%d: %s", what, problem.line, problem.column, text);
    }
    return value;
}

/* Not fewer than the text has: each value but the first follows one of these, outside of texts. */
static gsize count_values(const char *text, gsize size)
{
    gsize count = 1;
    gboolean within = FALSE;
    for (gsize i = 0; i < size; i++) {
        if (within && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            within = !within;
        } else if (!within && text[i] != '\0' && strchr("[{,:", text[i]) != NULL) {
            count++;
        }
    }
    return count;
}

json_t *ingot_json_parse_within(const void *data, gsize size, const char *what, gsize *room, GError **error)
{
    gsize count = count_values(data, size);
    if (count > *room) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it has more than %" G_GSIZE_FORMAT " values", what,
                    *room);
        return NULL;
    }
    *room -= count;
    return ingot_json_parse(data, size, what, error);
}

json_t *ingot_json_parse_bytes(GBytes *bytes, const char *what, gsize values, GError **error)
{
    return bytes == NULL
               ? NULL
               : ingot_json_parse_within(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, &values, error);
}

/* What jansson allocates on a machine of 64 bits, with what the allocator adds; tables grow by doubling. */
#define VALUE_BYTES 48
#define ARRAY_BYTES 144
#define ENTRY_BYTES 16
#define OBJECT_BYTES 256
#define MEMBER_BYTES 128
#define TEXT_BYTES 32

gsize ingot_json_memory(const json_t *value)
{
    gsize size = json_is_array(value)    ? ARRAY_BYTES + ENTRY_BYTES * json_array_size(value)
                 : json_is_object(value) ? OBJECT_BYTES
                 : json_is_string(value) ? VALUE_BYTES + TEXT_BYTES + json_string_length(value)
                                         : VALUE_BYTES;
    size_t at;
    const char *key;
    json_t *inner;
    json_array_foreach(value, at, inner)
    {
        size += ingot_json_memory(inner);
    }
    json_object_foreach((json_t *)value, key, inner)
    {
        size += MEMBER_BYTES + strlen(key) + ingot_json_memory(inner);
    }
    return size;
}

static int append_text(const char *text, size_t size, void *user)
{
    g_string_append_len(user, text, (gssize)size);
    return 0;
}

/* Only a value that no JSON text can stand for (invalid UTF-8, a cycle) fails, and jansson lets none be made. */
static GString *dump(const json_t *value, size_t flags)
{
    GString *text = g_string_new(NULL);
    /* 15 digits: what a number had as text comes back as it was, 0.9 and not 0.90000000000000002. */
    if (json_dump_callback(value, append_text, text, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) < 0)
        g_error("a JSON value cannot be written");
    return text;
}

char *ingot_json_canonical(const json_t *value)
{
    return g_string_free(dump(value, JSON_COMPACT | JSON_SORT_KEYS), FALSE);
}

char *ingot_json_pretty(const json_t *value)
{
    GString *text = dump(value, JSON_INDENT(2));
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

gboolean ingot_json_save(const json_t *value, const char *path, gsize most, int mode, GError **error)
{
    GString *text = dump(value, JSON_INDENT(2));
    g_string_append_c(text, '\n');
    gboolean fits = text->len <= most;
    if (!fits)
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: not written, its %" G_GSIZE_FORMAT " bytes are more than the %" G_GSIZE_FORMAT
                    " that are read back",
                    path, text->len, most);
    gboolean ok = fits && ingot_file_replace(path, text->str, text->len, mode, error);
    g_string_free(text, TRUE);
    return ok;
}

static gboolean refuse(const json_t *found, const char *key, const char *what, const char *wanted, GError **error)
{
    if (found)
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: \"%s\" is not %s", what, key, wanted);
    else
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: \"%s\" is missing (it must be %s)", what, key,
                    wanted);
    return FALSE;
}

const char *ingot_json_get_string(const json_t *object, const char *key, const char *what, GError **error)
{
    json_t *found = json_object_get(object, key);
    if (!json_is_string(found))
        refuse(found, key, what, "a string", error);
    return json_string_value(found);
}

gboolean ingot_json_get_size(const json_t *object, const char *key, const char *what, guint64 *out, GError **error)
{
    json_t *found = json_object_get(object, key);
    if (!json_is_integer(found) || json_integer_value(found) < 0)
        return refuse(found, key, what, "a whole number, zero or more", error);
    *out = (guint64)json_integer_value(found);
    return TRUE;
}

json_t *ingot_json_get_object(const json_t *object, const char *key, const char *what, GError **error)
{
    json_t *found = json_object_get(object, key);
    if (json_is_object(found))
        return found;
    refuse(found, key, what, "an object", error);
    return NULL;
}

json_t *ingot_json_get_array(const json_t *object, const char *key, const char *what, GError **error)
{
    json_t *found = json_object_get(object, key);
    if (json_is_array(found))
        return found;
    refuse(found, key, what, "an array", error);
    return NULL;
}

json_t *ingot_json_pack_at(const char *place, const char *format, ...)
{
    json_error_t problem;
    va_list values;

    va_start(values, format);
    json_t *value = json_vpack_ex(&problem, 0, format, values);
    va_end(values);
    if (!value)
        g_error("%s: no JSON value from '%s': %s", place, format, problem.text);
    return value;
}

json_t *ingot_json_text(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    return json_string(valid);
}

void ingot_json_set_string(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, ingot_json_text(value));
}

gboolean ingot_json_has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (g_strcmp0(json_string_value(json_array_get(list, i)), text) == 0)
            return TRUE;
    }
    return FALSE;
}
