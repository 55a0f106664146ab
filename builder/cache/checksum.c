#include "cache/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"

#define BUFFER (1u << 20) /* bytes */

struct Checksum {
    XXH3_state_t *state;
};

Checksum *checksum_new(void)
{
    Checksum *checksum = g_new0(Checksum, 1);
    checksum->state = XXH3_createState();
    XXH3_128bits_reset(checksum->state);
    return checksum;
}

void checksum_add(Checksum *checksum, const void *data, gsize size)
{
    XXH3_128bits_update(checksum->state, data, size);
}

char *checksum_finish(Checksum *checksum)
{
    XXH128_hash_t hash = XXH3_128bits_digest(checksum->state);
    XXH3_freeState(checksum->state);
    g_free(checksum);
    return g_strdup_printf("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", (guint64)hash.high64,
                           (guint64)hash.low64);
}

char *checksum_of_file(const char *path, gboolean sync, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    if (sync && fsync(fd) != 0) {
        ingot_error_set_errno(error, errno, "%s: cannot write to disk", path);
        return NULL;
    }
    g_autofree guint8 *buffer = g_malloc(BUFFER);
    Checksum *checksum = checksum_new();
    ssize_t got;
    while ((got = read(fd, buffer, BUFFER)) > 0 || (got < 0 && errno == EINTR)) {
        checksum_add(checksum, buffer, (gsize)MAX(got, 0));
    }
    g_autofree char *text = checksum_finish(checksum);
    if (got < 0) {
        ingot_error_set_errno(error, errno, "%s: cannot read", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}
