/* JSON by jansson, with errors that name the document and the key. */
#pragma once

#include <glib.h>
#include <jansson.h>

G_BEGIN_DECLS

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

/* `what` names the document in errors. Duplicate keys and trailing bytes are errors. */
json_t *ingot_json_parse(const void *data, gsize size, const char *what, GError **error);

/* The same of a text from another machine: a value takes up to a hundred times the memory that its text has. *room is
 * how many values the text may have (INVALID: it has more); those that it has, or a few more, are taken off it. */
json_t *ingot_json_parse_within(const void *data, gsize size, const char *what, gsize *room, GError **error);
/* The same of bytes, of at most that many values. NULL, where bytes are NULL: whoever had to read them has set the
 * error. */
json_t *ingot_json_parse_bytes(GBytes *bytes, const char *what, gsize values, GError **error);

/* Bytes of memory that a value takes, about, and not less; the value of a text takes at most INGOT_JSON_MEMORY_FACTOR
 * times what the text does. */
#define INGOT_JSON_MEMORY_FACTOR 128
gsize ingot_json_memory(const json_t *value);

/* Compact, keys sorted: equal values have equal text. Free with g_free. */
char *ingot_json_canonical(const json_t *value);

/* Indented by two, keys in the order they were set, newline at the end. Free with g_free. */
char *ingot_json_pretty(const json_t *value);

/* Replaces a file by the value, indented. INVALID, with the file as it was, where the text has more bytes than its
 * reader takes. */
gboolean ingot_json_save(const json_t *value, const char *path, gsize most, int mode, GError **error);

/* A key that must be there with that type. The string belongs to the object. */
const char *ingot_json_get_string(const json_t *object, const char *key, const char *what, GError **error);
gboolean ingot_json_get_size(const json_t *object, const char *key, const char *what, guint64 *out, GError **error);
json_t *ingot_json_get_object(const json_t *object, const char *key, const char *what, GError **error); /* borrowed */
json_t *ingot_json_get_array(const json_t *object, const char *key, const char *what, GError **error);  /* borrowed */

/* json_pack, which cannot fail: a NULL or invalid UTF-8 among its texts is a mistake of ours, and ends the program with
 * the place of the call. Text from elsewhere (a path, a guest's words) goes in as "o" by ingot_json_text. */
json_t *ingot_json_pack_at(const char *place, const char *format, ...);
#define ingot_json_pack(...) ingot_json_pack_at(G_STRLOC, __VA_ARGS__)
/* A string of any bytes: what is not UTF-8 in them becomes U+FFFD. */
json_t *ingot_json_text(const char *text);

/* Sets a string of any bytes, as ingot_json_text has it; a NULL string sets nothing. */
void ingot_json_set_string(json_t *object, const char *key, const char *value);
/* Whether a text is among those of an array; of anything else it is not. */
gboolean ingot_json_has_text(const json_t *list, const char *text);

G_END_DECLS
