#include "store/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/blobs.h"

typedef struct {
    IngotDigest digest;
    const GThread *thread;
    int fd;
} Hold;

void hold_free(gpointer data)
{
    Hold *hold = data;
    close(hold->fd);
    g_free(hold);
}

/* A pipe in a blob's place is not waited for, a link not followed. */
static int open_regular(const char *path, int flags)
{
    g_auto(IngotFd) fd = open(path, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? g_steal_fd(&fd) : -1;
}

void hold_add(IngotStore *store, const IngotDigest *digest, int fd)
{
    Hold *hold = g_new(Hold, 1);
    *hold = (Hold){.digest = *digest, .thread = g_thread_self(), .fd = fd};
    g_mutex_lock(&store->lock);
    g_ptr_array_add(store->holds, hold);
    g_mutex_unlock(&store->lock);
}

void hold_drop(IngotStore *store, const IngotDigest *digest)
{
    g_mutex_lock(&store->lock);
    for (guint i = store->holds->len; i-- > 0;) {
        const Hold *hold = g_ptr_array_index(store->holds, i);
        if (hold->thread == g_thread_self() && ingot_digest_equal(&hold->digest, digest)) {
            g_ptr_array_remove_index_fast(store->holds, i);
        }
    }
    g_mutex_unlock(&store->lock);
}

void hold_drop_all(IngotStore *store, GHashTable *digests)
{
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, digests);
    while (g_hash_table_iter_next(&iter, &text, NULL)) {
        IngotDigest digest;
        if (ingot_digest_parse(text, &digest, NULL)) {
            hold_drop(store, &digest);
        }
    }
}

/* -1: this thread has no hold of the file that is there now. */
static int hold_find(IngotStore *store, const IngotDigest *digest, const char *path)
{
    int fd = -1;
    g_mutex_lock(&store->lock);
    for (guint i = 0; fd < 0 && i < store->holds->len; i++) {
        const Hold *hold = g_ptr_array_index(store->holds, i);
        if (hold->thread == g_thread_self() && ingot_digest_equal(&hold->digest, digest)) {
            fd = hold->fd;
        }
    }
    g_mutex_unlock(&store->lock);
    if (fd >= 0 && !ingot_file_is_named(fd, path)) {
        hold_drop(store, digest);
        return -1;
    }
    return fd;
}

int hold_blob(IngotStore *store, const IngotDigest *digest)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    int held = hold_find(store, digest, path);
    while (held < 0) {
        g_auto(IngotFd) fd = open_regular(path, O_RDONLY);
        if (fd < 0 || !ingot_lock_wait(fd, FALSE, path, NULL)) {
            return -1;
        }
        /* Whoever had the lock may have removed the file; another may be there by now. */
        if (ingot_file_is_named(fd, path)) {
            held = g_steal_fd(&fd);
            hold_add(store, digest, held);
        }
    }
    return held;
}

gboolean ingot_store_hold(IngotStore *store, const IngotDigest *digest)
{
    return hold_blob(store, digest) >= 0;
}

void ingot_store_let_go(IngotStore *store, const IngotDigest *digest)
{
    hold_drop(store, digest);
}

HoldState hold_claim(IngotStore *store, const IngotDigest *digest, int *fd)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    /* For an exclusive lock NFS wants a file that is open for writing; elsewhere one that is read will do. */
    g_auto(IngotFd) own = open_regular(path, O_RDWR);
    if (own < 0) {
        own = open_regular(path, O_RDONLY);
    }
    if (own < 0) {
        return ingot_file_is_regular(path) ? HOLD_BY_ANOTHER : HOLD_NONE;
    }
    if (flock(own, LOCK_EX | LOCK_NB) != 0) {
        return HOLD_BY_ANOTHER;
    }
    *fd = g_steal_fd(&own);
    return HOLD_BY_NOBODY;
}
