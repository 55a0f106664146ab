#include "source/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "source/extents.h"

#define SUM_MAX 4096 /* bytes of its file */

static char *kept_sum_path(const char *path)
{
    return g_strconcat(path, ".sum", NULL);
}

static void kept_add(guint64 offset, const void *data, gsize size, gpointer user)
{
    guint64 number = GUINT64_TO_LE(offset);
    XXH3_128bits_update(user, &number, sizeof number);
    XXH3_128bits_update(user, data, size);
}

char *kept_checksum(const char *path, GError **error)
{
    XXH3_state_t *state = XXH3_createState();
    guint64 size = 0;
    XXH3_128bits_reset(state);
    gboolean ok = extents_visit(path, kept_add, state, &size, error);
    size = GUINT64_TO_LE(size);
    XXH3_128bits_update(state, &size, sizeof size);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return !ok ? NULL
               : g_strdup_printf("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", (guint64)hash.high64,
                                 (guint64)hash.low64);
}

static gboolean kept_unlink(const char *path, GError **error)
{
    return unlink(path) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s: cannot remove", path);
}

gboolean kept_remove(const char *path, GError **error)
{
    g_autofree char *sum_path = kept_sum_path(path);
    return kept_unlink(path, error) && kept_unlink(sum_path, error);
}

KeptState kept_find(const char *path, IngotProgress *progress, GError **error)
{
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return KEPT_NONE;
    }
    g_autofree char *sum_path = kept_sum_path(path);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) wanted = ingot_file_read(sum_path, SUM_MAX, &problem);
    /* Only a checksum that is not there, or that is not one, says something about the disk. */
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) &&
        !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return KEPT_FAILED;
    }
    g_autofree char *checksum = wanted == NULL ? NULL : kept_checksum(path, error);
    if (wanted != NULL && checksum == NULL) {
        return KEPT_FAILED;
    }
    if (wanted != NULL && g_bytes_get_size(wanted) == strlen(checksum) &&
        memcmp(g_bytes_get_data(wanted, NULL), checksum, strlen(checksum)) == 0) {
        return KEPT_WHOLE;
    }
    ingot_progress_message(progress, "%s: %s, so it is made again", path,
                           wanted == NULL ? "it has no checksum" : "its bytes do not match their checksum");
    return kept_remove(path, error) ? KEPT_NONE : KEPT_FAILED;
}

gboolean kept_publish(const char *made, const char *path, IngotProgress *progress, GError **error)
{
    g_autofree char *sum_path = kept_sum_path(path);
    g_autofree char *checksum = kept_checksum(made, error);
    g_auto(IngotFd) fd = checksum == NULL ? -1 : ingot_file_open(made, O_RDONLY, 0, error);
    g_autoptr(GError) problem = NULL;
    if (fd < 0) {
        return FALSE;
    }
    /* The checksum first: a crash between the two leaves a disk that does not match and is made again. */
    if (!ingot_file_replace(sum_path, checksum, strlen(checksum), 0644, &problem)) {
        ingot_progress_message(progress, "%s is made again the next time, since its checksum cannot be noted: %s", path,
                               problem->message);
    }
    return ingot_file_publish(fd, made, path, error);
}
