#include "server/storage/companion.h"

#include <string.h>

#define HEX_SIZE 64 /* digits of a SHA-256 */

gboolean companion_read(const char *tag, const IngotDigest *named, IngotDigest *subject)
{
    static const char start[] = "sha256-";
    const gsize size = strlen(start) + HEX_SIZE;
    if (!g_str_has_prefix(tag, start) || strlen(tag) < size || (tag[size] != '\0' && tag[size] != '.')) {
        return FALSE;
    }
    g_autofree char *text = g_strdup_printf("sha256:%.*s", HEX_SIZE, tag + strlen(start));
    return ingot_digest_parse(text, subject, NULL) && !ingot_digest_equal(subject, named);
}
