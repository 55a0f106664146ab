#include "plan/inputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "step/upload.h"

/* A name as JSON can hold it, no two alike: one that is not UTF-8 is escaped, and marked by a backslash. */
static char *input_name(const char *name)
{
    if (g_utf8_validate(name, -1, NULL) && *name != '\\') {
        return g_strdup(name);
    }
    g_autofree char *escaped = g_strescape(name, NULL);
    return g_strconcat("\\", escaped, NULL);
}

static gboolean input_add(const char *path, const char *name, gboolean follow, json_t *entries, GError **error);

static gboolean folder_add(const char *path, const char *name, json_t *entries, GError **error)
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
            g_autofree char *valid = input_name(own);
            g_autofree char *child_name = g_build_filename(name, valid, NULL);
            ok = input_add(child, child_name, FALSE, entries, error);
        }
        free(found[i]);
    }
    free(found);
    return ok;
}

static char *link_content(const char *path, GError **error)
{
    g_autofree char *target = g_file_read_link(path, error);
    g_autofree char *valid = target == NULL ? NULL : input_name(target);
    return valid == NULL ? NULL : g_strconcat("link to ", valid, NULL);
}

/* Its mode is that of the uploaded file. */
static char *file_content(const char *path, mode_t mode, GError **error)
{
    IngotDigest digest;
    if (!S_ISREG(mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: is neither a file, a folder nor a link", path);
        return NULL;
    }
    if (!ingot_digest_of_file(path, &digest, NULL, error)) {
        return NULL;
    }
    g_autofree char *text = ingot_digest_to_text(&digest);
    return g_strdup_printf("%o %s", (guint)upload_mode(mode, -1) & 07777, text);
}

/* follow: a link is what it leads to. */
static gboolean input_add(const char *path, const char *name, gboolean follow, json_t *entries, GError **error)
{
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    g_autofree char *content = S_ISDIR(st.st_mode)   ? g_strdup("folder")
                               : S_ISLNK(st.st_mode) ? link_content(path, error)
                                                     : file_content(path, st.st_mode, error);
    if (content == NULL) {
        return FALSE;
    }
    json_object_set_new(entries, name, json_string(content));
    return !S_ISDIR(st.st_mode) || folder_add(path, name, entries, error);
}

gboolean plan_inputs_list(const char *path, const char *name, json_t *entries, GError **error)
{
    return input_add(path, name, TRUE, entries, error);
}
