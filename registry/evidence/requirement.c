#include "evidence/requirement.h"

#include <string.h>

#include "base/json.h"

void requirement_digest(const json_t *requirement, IngotDigest *digest)
{
    g_autofree char *text = ingot_json_canonical(requirement);
    ingot_digest_of(text, strlen(text), digest);
}

gboolean requirement_test_digest(const json_t *test, IngotDigest *digest)
{
    const char *text = json_string_value(json_object_get(test, "text"));
    if (text != NULL) {
        ingot_digest_of(text, strlen(text), digest);
    }
    return text != NULL;
}
