#include "cli/follow/attempt.h"

#include "base/file.h"
#include "base/json.h"

void attempt_clear(Attempt *attempt)
{
    g_free(attempt->failure);
}

gboolean attempt_write(const Attempt *attempt, const char *path, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(&attempt->digest);
    g_autoptr(json_t) note = json_object();
    ingot_json_set_string(note, "digest", digest);
    json_object_set_new(note, "tries", json_integer(attempt->tries));
    json_object_set_new(note, "since", json_integer(attempt->since));
    ingot_json_set_string(note, "failure", attempt->failure);
    json_object_set_new(note, "interrupted", json_boolean(attempt->interrupted));
    return ingot_json_save(note, path, ATTEMPT_MAX, 0644, error);
}

gboolean attempt_read(Attempt *attempt, const char *path)
{
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, ATTEMPT_MAX, NULL);
    g_autoptr(json_t) note =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, NULL);
    const char *digest = json_string_value(json_object_get(note, "digest"));
    json_int_t tries = json_integer_value(json_object_get(note, "tries"));
    if (digest == NULL || !ingot_digest_parse(digest, &attempt->digest, NULL)) {
        return FALSE;
    }
    attempt->tries = (guint)CLAMP(tries, 1, G_MAXINT);
    attempt->since = json_integer_value(json_object_get(note, "since"));
    attempt->failure = g_strdup(json_string_value(json_object_get(note, "failure")));
    attempt->interrupted = json_is_true(json_object_get(note, "interrupted"));
    return TRUE;
}
