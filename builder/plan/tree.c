#include "plan/tree.h"

#include <dirent.h>
#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each part is hashed with its length before it, so that no two lists of parts have the same bytes. */
static void add_part(IngotHasher *hasher, const void *data, gsize size)
{
    guint64 length = GUINT64_TO_LE(size);
    ingot_hasher_add(hasher, &length, sizeof length);
    ingot_hasher_add(hasher, data, size);
}

static gboolean add_entry(IngotHasher *hasher, const char *path, const char *name, GError **error);

static gboolean add_folder(IngotHasher *hasher, const char *path, GError **error)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    gboolean ok = TRUE;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (ok && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            g_autofree char *child = g_build_filename(path, name, NULL);
            ok = add_entry(hasher, child, name, error);
        }
        free(entries[i]);
    }
    free(entries);
    add_part(hasher, "end", 3);
    return ok;
}

static gboolean add_entry(IngotHasher *hasher, const char *path, const char *name, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    guint32 mode = GUINT32_TO_LE(st.st_mode);
    add_part(hasher, name, strlen(name));
    add_part(hasher, &mode, sizeof mode);
    if (S_ISDIR(st.st_mode)) {
        return add_folder(hasher, path, error);
    }
    if (S_ISLNK(st.st_mode)) {
        g_autofree char *target = g_file_read_link(path, error);
        if (target == NULL) {
            return FALSE;
        }
        add_part(hasher, target, strlen(target));
        return TRUE;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: neither file, folder nor link: it can't be uploaded",
                    path);
        return FALSE;
    }
    IngotDigest digest;
    if (!ingot_digest_of_file(path, &digest, NULL, error)) {
        return FALSE;
    }
    add_part(hasher, digest.bytes, sizeof digest.bytes);
    return TRUE;
}

gboolean plan_tree_add(IngotHasher *hasher, const char *path, GError **error)
{
    /* The top's own name says nothing: a step names it, and a checkout may lie anywhere. */
    return add_entry(hasher, path, "", error);
}
