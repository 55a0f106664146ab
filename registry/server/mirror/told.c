#include "server/mirror/told.h"

#include <string.h>

#define MEASURE "attachments told of" /* by which digest, and in which repository, follows */

/* The manifest here that the subject is. FALSE: the repository has none. */
static gboolean find_subject(Storage *storage, const char *name, const OciDigest *subject, IngotDigest *digest)
{
    return storage_resolve(storage, subject, digest, NULL) && storage_has_manifest(storage, name, digest);
}

/* A registry may list what names the subject by the same algorithm alone. */
static char *measure_name(const char *name, const OciDigest *subject)
{
    return g_strconcat(MEASURE, subject->is_sha512 ? " by its SHA-512 in " : " in ", name, NULL);
}

/* The list that was noted; NULL: none. */
static json_t *told_find(Storage *storage, const char *name, const OciDigest *subject)
{
    IngotDigest digest;
    g_autofree char *what = measure_name(name, subject);
    g_autoptr(GBytes) bytes =
        find_subject(storage, name, subject, &digest) ? storage_measure(storage, &digest, what) : NULL;
    return bytes == NULL ? NULL
                         : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), MEASURE, NULL);
}

void told_note(Storage *storage, const char *name, const OciDigest *subject, const json_t *list)
{
    IngotDigest digest;
    g_autofree char *what = measure_name(name, subject), *text = ingot_json_canonical(list);
    g_autoptr(json_t) before = told_find(storage, name, subject);
    if (!json_equal(before, list) && find_subject(storage, name, subject, &digest)) {
        g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
        storage_keep_measure(storage, &digest, what, bytes);
    }
}

gboolean told_any(Storage *storage, const char *name, const OciDigest *subject)
{
    g_autoptr(json_t) list = told_find(storage, name, subject);
    return list != NULL;
}

gboolean told_is_here(Storage *storage, const char *name, const OciDigest *subject)
{
    g_autoptr(json_t) list = told_find(storage, name, subject);
    gboolean all = list != NULL;
    for (size_t i = 0; all && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        IngotDigest digest;
        all = text != NULL && storage_digest(storage, text, &digest, NULL) &&
              storage_has_manifest(storage, name, &digest) && storage_is_whole(storage, name, &digest);
    }
    return all;
}
