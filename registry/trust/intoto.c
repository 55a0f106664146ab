#include "trust/intoto.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"

#define TYPE "https://in-toto.io/Statement/v1"
#define SUBJECTS_MOST 1024u
#define VALUES_MOST (1u << 17) /* of JSON */

void intoto_clear(Intoto *statement)
{
    g_clear_pointer(&statement->predicate_type, g_free);
    g_clear_pointer(&statement->name, g_free);
}

static gboolean intoto_refuse(GError **error, const char *why)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the signed statement: %s", why);
    return FALSE;
}

static const char *intoto_hex(const json_t *subject)
{
    const char *hex = json_string_value(json_object_get(json_object_get(subject, "digest"), "sha256"));
    return hex == NULL ? "" : hex;
}

/* The subject that is the image; NULL: none is. */
static const json_t *intoto_subject(const json_t *subjects, const IngotDigest *image)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, text);
    for (size_t i = 0; i < json_array_size(subjects); i++) {
        const json_t *one = json_array_get(subjects, i);
        if (strcmp(intoto_hex(one), text + strlen("sha256:")) == 0) {
            return one;
        }
    }
    return NULL;
}

gboolean intoto_read(const void *bytes, gsize size, const IngotDigest *image, Intoto *statement, GError **error)
{
    gsize room = VALUES_MOST;
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) root = ingot_json_parse_within(bytes, size, "statement", &room, &problem);
    const json_t *subjects = json_object_get(root, "subject");
    const char *predicate_type = json_string_value(json_object_get(root, "predicateType"));
    memset(statement, 0, sizeof *statement);
    if (root == NULL) {
        return intoto_refuse(error, problem->message);
    }
    if (g_strcmp0(json_string_value(json_object_get(root, "_type")), TYPE) != 0) {
        return intoto_refuse(error, "its _type is not " TYPE);
    }
    if (predicate_type == NULL || json_array_size(subjects) == 0 || json_array_size(subjects) > SUBJECTS_MOST) {
        return intoto_refuse(error, "it has no predicateType, no subject, or too many of them");
    }
    const json_t *subject = intoto_subject(subjects, image);
    if (subject == NULL) {
        g_autofree char *found = g_strndup(intoto_hex(json_array_get(subjects, 0)), 12);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "it is about another image: sha256:%s…", found);
        return FALSE;
    }
    statement->predicate_type = g_strdup(predicate_type);
    statement->name = g_strdup(json_string_value(json_object_get(subject, "name")));
    return TRUE;
}

char *intoto_write(const IngotDigest *image, const char *name, const char *predicate_type, const json_t *predicate)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(image, text);
    g_autoptr(json_t) root =
        ingot_json_pack("{s:s, s:[{s:s*, s:{s:s}}], s:s, s:O}", "_type", TYPE, "subject", "name", name, "digest",
                        "sha256", text + strlen("sha256:"), "predicateType", predicate_type, "predicate", predicate);
    return json_dumps(root, JSON_COMPACT);
}
