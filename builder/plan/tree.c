#include "plan/tree.h"

#include <dirent.h>
#include <errno.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

static gboolean list_folder(const char *path, const char *name, json_t *entries, GError **error)
{
    struct dirent **found = NULL;
    int count = scandir(path, &found, NULL, alphasort);
    if (count < 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    gboolean ok = TRUE;
    for (int i = 0; i < count; i++) {
        const char *own = found[i]->d_name;
        if (ok && strcmp(own, ".") != 0 && strcmp(own, "..") != 0) {
            g_autofree char *child = g_build_filename(path, own, NULL);
            g_autofree char *valid = g_filename_display_name(own);
            g_autofree char *child_name = g_build_filename(name, valid, NULL);
            ok = plan_tree_list(child, child_name, entries, error);
        }
        free(found[i]);
    }
    free(found);
    return ok;
}

/* What a file, folder or link is besides its mode. Free it. */
static char *content_of(const char *path, mode_t mode, GError **error)
{
    if (S_ISDIR(mode)) {
        return g_strdup("folder");
    }
    if (S_ISLNK(mode)) {
        g_autofree char *target = g_file_read_link(path, error);
        g_autofree char *valid = target == NULL ? NULL : g_filename_display_name(target);
        return valid == NULL ? NULL : g_strconcat("link to ", valid, NULL);
    }
    if (!S_ISREG(mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: neither file, folder nor link: it can't be uploaded",
                    path);
        return NULL;
    }
    IngotDigest digest;
    return ingot_digest_of_file(path, &digest, NULL, error) ? ingot_digest_to_text(&digest) : NULL;
}

gboolean plan_tree_list(const char *path, const char *name, json_t *entries, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    g_autofree char *content = content_of(path, st.st_mode, error);
    if (content == NULL) {
        return FALSE;
    }
    g_autofree char *entry = g_strdup_printf("%o %s", (guint)st.st_mode & 07777, content);
    json_object_set_new(entries, name, json_string(entry));
    return !S_ISDIR(st.st_mode) || list_folder(path, name, entries, error);
}
