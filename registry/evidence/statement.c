#include "evidence/statement.h"

#include <ingot/error.h>
#include <string.h>

#include "base/digests.h"

#define TYPE "https://in-toto.io/Statement/v1"
#define SHA256_HEX_SIZE ((gsize)INGOT_DIGEST_SIZE * 2)

void statement_free(Statement *statement)
{
    if (statement != NULL) {
        g_array_unref(statement->subjects);
        json_decref(statement->root);
        g_free(statement);
    }
}

/* What is named by another kind of digest alone is no image of ours, and is passed over. */
static void subject_add(Statement *statement, const json_t *subject)
{
    const char *hex = json_string_value(json_object_get(json_object_get(subject, "digest"), "sha256"));
    g_autofree char *text = hex == NULL || strlen(hex) != SHA256_HEX_SIZE ? NULL : g_strconcat("sha256:", hex, NULL);
    IngotDigest digest;
    if (text != NULL && ingot_digest_parse(text, &digest, NULL)) {
        g_array_append_val(statement->subjects, digest);
    }
}

Statement *statement_parse(const void *bytes, gsize size, GError **error)
{
    gsize room = STATEMENT_VALUES;
    g_autoptr(json_t) root =
        size > STATEMENT_MAX ? NULL : ingot_json_parse_within(bytes, size, "in-toto statement", &room, NULL);
    const char *type = json_string_value(json_object_get(root, "predicateType"));
    const json_t *subjects = json_object_get(root, "subject");
    if (g_strcmp0(json_string_value(json_object_get(root, "_type")), TYPE) != 0 || type == NULL ||
        !json_is_array(subjects)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "this is not an in-toto statement of version 1, or it is too large");
        return NULL;
    }
    Statement *statement = g_new0(Statement, 1);
    statement->subjects = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (size_t i = 0; i < json_array_size(subjects); i++) {
        subject_add(statement, json_array_get(subjects, i));
    }
    const json_t *predicate = json_object_get(root, "predicate");
    statement->predicate_type = type;
    statement->predicate = json_is_object(predicate) ? predicate : NULL;
    statement->root = g_steal_pointer(&root);
    return statement;
}

gboolean statement_is_about(const Statement *statement, const IngotDigest *image)
{
    return digests_have(statement->subjects, image);
}
