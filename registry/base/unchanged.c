#include "base/unchanged.h"

#include <errno.h>
#include <ingot/error.h>
#include <stdint.h>

struct Unchanged {
    GHashTable *stamps; /* path -> stamp, as it was when it was added */
};

char *unchanged_stamp(const struct stat *info)
{
    return g_strdup_printf("%ju %ju %jd %jd.%09ld %jd.%09ld", (uintmax_t)info->st_dev, (uintmax_t)info->st_ino,
                           (intmax_t)info->st_size, (intmax_t)info->st_mtim.tv_sec, info->st_mtim.tv_nsec,
                           (intmax_t)info->st_ctim.tv_sec, info->st_ctim.tv_nsec);
}

Unchanged *unchanged_new(void)
{
    Unchanged *files = g_rc_box_new(Unchanged);
    files->stamps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return files;
}

Unchanged *unchanged_ref(Unchanged *files)
{
    return g_rc_box_acquire(files);
}

static void unchanged_clear(gpointer data)
{
    Unchanged *files = data;
    g_hash_table_unref(files->stamps);
}

void unchanged_unref(Unchanged *files)
{
    if (files != NULL) {
        g_rc_box_release_full(files, unchanged_clear);
    }
}

gboolean unchanged_add(Unchanged *files, const char *path, GError **error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    if (S_ISREG(info.st_mode) && !g_hash_table_contains(files->stamps, path)) {
        g_hash_table_insert(files->stamps, g_strdup(path), unchanged_stamp(&info));
    }
    return TRUE;
}

static gboolean is_as_it_was(const char *path, const char *stamp)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return FALSE;
    }
    g_autofree char *now = unchanged_stamp(&info);
    return g_str_equal(now, stamp);
}

gboolean unchanged_check(const Unchanged *files, const char *name, GError **error)
{
    GHashTableIter iter;
    gpointer path, stamp;
    g_hash_table_iter_init(&iter, files->stamps);
    while (g_hash_table_iter_next(&iter, &path, &stamp)) {
        if (!is_as_it_was(path, stamp)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s%sit changed while it was read: is it in use?",
                        name, g_str_equal(path, name) ? "" : (const char *)path, g_str_equal(path, name) ? "" : ": ");
            return FALSE;
        }
    }
    return TRUE;
}
