#include "bundle/checked.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/unchanged.h"

#define RECORD_MAX 65536
#define TICK_USEC (G_USEC_PER_SEC / 10) /* more than a kernel's tick, by which it writes times */
#define WHOLE_TICK_USEC                                                                                                \
    (2 * G_USEC_PER_SEC) /* where a file system has no fractions of a second: FAT has every other                      \
                          */

gboolean ingot_checked_read(const char *path, const char *name, const IngotDigest *wanted, GError **error)
{
    IngotDigest digest;
    if (!ingot_digest_of_file(path, &digest, NULL, error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&digest, wanted)) {
        g_autofree char *has = ingot_digest_to_text(&digest);
        g_autofree char *want = ingot_digest_to_text(wanted);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its digest is %s, but %s is wanted", name, has, want);
        return FALSE;
    }
    return TRUE;
}

/* Whether the file's last change may share its tick with one that comes after now. */
static gboolean is_settled(const struct stat *info, gint64 now)
{
    gint64 changed = (gint64)info->st_ctim.tv_sec * G_USEC_PER_SEC + info->st_ctim.tv_nsec / 1000;
    return changed + (info->st_ctim.tv_nsec == 0 ? WHOLE_TICK_USEC : TICK_USEC) < now;
}

/* What changes with the file or with what is wanted of it. *settled: whether any change from now on does show in it. */
static char *fingerprint(const char *path, const IngotDigest *wanted, gboolean *settled, GError **error)
{
    gint64 now = g_get_real_time();
    struct stat info;
    /* A pipe, which is refused, would be waited for. */
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY | O_NONBLOCK, 0, error);
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: not a regular file", path);
        return NULL;
    }
    *settled = is_settled(&info, now);
    g_autofree char *digest = ingot_digest_to_text(wanted);
    g_autofree char *stamp = unchanged_stamp(&info);
    return g_strdup_printf("%s\n%s\n%s\n", digest, path, stamp);
}

static gboolean knows(const char *record, const char *now)
{
    g_autoptr(GBytes) known = ingot_file_read(record, RECORD_MAX, NULL);
    return known != NULL && g_bytes_get_size(known) == strlen(now) &&
           memcmp(g_bytes_get_data(known, NULL), now, strlen(now)) == 0;
}

gboolean ingot_checked_once(const char *path, const IngotDigest *wanted, const char *record, IngotProgress *progress,
                            GError **error)
{
    gboolean settled;
    g_autofree char *now = fingerprint(path, wanted, &settled, error);
    if (now == NULL || (record != NULL && knows(record, now))) {
        return now != NULL;
    }
    ingot_progress_begin(progress, 0, "check %s", path);
    if (!ingot_checked_read(path, path, wanted, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    g_autoptr(GError) problem = NULL;
    if (record != NULL && settled && !ingot_file_replace(record, now, strlen(now), 0644, &problem)) {
        ingot_progress_message(progress, "%s is read again the next time, since its check cannot be noted: %s", path,
                               problem->message);
    }
    return TRUE;
}
