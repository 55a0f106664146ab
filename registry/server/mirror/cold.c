#include "server/mirror/cold.h"

#include <errno.h>
#include <unistd.h>

#include "base/file.h"
#include "base/nameless.h"
#include "server/http/log.h"

#define NEAR (4u << 20)                   /* bytes: so far behind the copy one waits for it */
#define PATIENCE (5 * G_TIME_SPAN_SECOND) /* for the next bytes */
#define FIRST (G_TIME_SPAN_SECOND / 2)    /* for the first ones */

typedef struct {
    guint64 start, end;
} Extent;

struct Cold {
    gatomicrefcount references;
    char *folder;
    GMutex lock;
    ColdState state;
    int fd;          /* -1: nobody reads, or none can be had */
    GArray *extents; /* of Extent, ascending, none touches another: what has come */
    guint64 front;   /* the end of what came last */
    guint readers, waiting;
    gint64 wanted; /* monotonic: when the last of them left */
};

Cold *cold_new(const char *folder)
{
    Cold *cold = g_new0(Cold, 1);
    g_atomic_ref_count_init(&cold->references);
    cold->folder = g_strdup(folder);
    cold->fd = -1;
    cold->wanted = g_get_monotonic_time();
    cold->extents = g_array_new(FALSE, FALSE, sizeof(Extent));
    g_mutex_init(&cold->lock);
    return cold;
}

Cold *cold_ref(Cold *cold)
{
    g_atomic_ref_count_inc(&cold->references);
    return cold;
}

void cold_unref(Cold *cold)
{
    if (cold != NULL && g_atomic_ref_count_dec(&cold->references)) {
        if (cold->fd >= 0) {
            close(cold->fd);
        }
        g_array_unref(cold->extents);
        g_mutex_clear(&cold->lock);
        g_free(cold->folder);
        g_free(cold);
    }
}

/* --- the copy's side --- */

void cold_begin(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    cold->state = COLD_COPYING;
    g_mutex_unlock(&cold->lock);
}

void cold_end(Cold *cold, gboolean ok)
{
    g_mutex_lock(&cold->lock);
    cold->state = ok ? COLD_DONE : COLD_FAILED;
    g_array_set_size(cold->extents, 0);
    int fd = cold->fd; /* it stays open for those who are reading it: they find that it has become short */
    g_mutex_unlock(&cold->lock);
    if (fd >= 0 && ftruncate(fd, 0) != 0) {
        log_warning("a blob that has come takes its room twice for as long as it is read: %s", g_strerror(errno));
    }
}

void cold_wait(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    cold->waiting++;
    g_mutex_unlock(&cold->lock);
}

void cold_wait_end(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    cold->waiting--;
    cold->wanted = g_get_monotonic_time();
    g_mutex_unlock(&cold->lock);
}

gint64 cold_forsaken(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    gint64 time = cold->readers + cold->waiting > 0 ? 0 : g_get_monotonic_time() - cold->wanted;
    g_mutex_unlock(&cold->lock);
    return time;
}

/* The index of the first extent that ends at offset or behind it. */
static guint extent_find(const GArray *extents, guint64 offset)
{
    guint low = 0, high = extents->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(extents, Extent, middle).end < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void extent_add(GArray *extents, Extent extent)
{
    guint at = extent_find(extents, extent.start), count = 0;
    while (at + count < extents->len && g_array_index(extents, Extent, at + count).start <= extent.end) {
        const Extent *other = &g_array_index(extents, Extent, at + count++);
        extent.start = MIN(extent.start, other->start);
        extent.end = MAX(extent.end, other->end);
    }
    if (count > 0) {
        g_array_remove_range(extents, at, count);
    }
    g_array_insert_val(extents, at, extent);
}

void cold_add(Cold *cold, guint64 offset, const void *data, gsize size)
{
    const Extent extent = {.start = offset, .end = offset + size};
    g_mutex_lock(&cold->lock);
    int fd = cold->fd; /* it stays for as long as the copy has its reference */
    g_mutex_unlock(&cold->lock);
    gboolean kept = fd >= 0 && ingot_file_pwrite(fd, data, size, offset, "a blob that comes", NULL);
    g_mutex_lock(&cold->lock);
    if (kept) {
        extent_add(cold->extents, extent);
    }
    cold->front = extent.end;
    g_mutex_unlock(&cold->lock);
}

/* --- the readers' side --- */

void cold_watch(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    cold->readers++;
    if (cold->fd < 0 && cold->state < COLD_DONE) {
        cold->fd = ingot_nameless_open(cold->folder, NULL);
    }
    g_mutex_unlock(&cold->lock);
}

void cold_leave(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    cold->readers--;
    cold->wanted = g_get_monotonic_time();
    g_mutex_unlock(&cold->lock);
    cold_unref(cold);
}

ColdState cold_state(Cold *cold)
{
    g_mutex_lock(&cold->lock);
    ColdState state = cold->state;
    g_mutex_unlock(&cold->lock);
    return state;
}

/* How many bytes from offset on are there. */
static guint64 cold_has(const Cold *cold, guint64 offset)
{
    guint at = extent_find(cold->extents, offset + 1);
    const Extent *extent = at < cold->extents->len ? &g_array_index(cold->extents, Extent, at) : NULL;
    return extent != NULL && extent->start <= offset ? extent->end - offset : 0;
}

gsize cold_take(Cold *cold, guint64 offset, void *buffer, gsize size, gint64 *patience)
{
    g_mutex_lock(&cold->lock);
    guint64 has = cold_has(cold, offset);
    gboolean comes = has == 0 && cold->fd >= 0 && cold->state == COLD_COPYING && cold->front <= offset &&
                     offset - cold->front < NEAR;
    *patience = !comes ? 0 : cold->front == 0 ? FIRST : PATIENCE;
    g_mutex_unlock(&cold->lock);
    gsize count = (gsize)MIN(has, (guint64)size);
    return count > 0 && ingot_file_pread(cold->fd, buffer, count, offset, "a blob that comes", NULL) ? count : 0;
}
