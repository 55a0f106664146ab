/* A disk that fails to take bytes says so once: they count as clean from then on, and are gone when memory lets go of
 * them. What is acknowledged after that is on the disk all the same. */
#include "../fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

/* Of the file of an upload: what was not flushed when it failed, and has not been written again. */
static struct {
    int failure;     /* the next flush fails so; 0: it does not */
    off_t flushed;   /* bytes that are on the disk */
    off_t from, to;  /* bytes that are not, and count as clean */
    gboolean let_go; /* memory lets go of them at once */
    guint failed;
} disk;

static gboolean is_upload(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = g_file_read_link(link, NULL);
    return path != NULL && strstr(path, "/uploads/") != NULL && g_str_has_suffix(path, ".pack");
}

static ssize_t real_pwrite(int fd, const void *data, size_t size, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    }
    return real(fd, data, size, at);
}

static void let_go(int fd)
{
    g_autofree char *nothing = g_malloc0((gsize)(disk.to - disk.from));
    real_pwrite(fd, nothing, (gsize)(disk.to - disk.from), disk.from);
}

/* In place of libc's. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (disk.to > disk.from && at <= disk.from && at + (off_t)size > disk.from && is_upload(fd)) {
        disk.from = MIN(at + (off_t)size, disk.to);
    }
    return real_pwrite(fd, data, size, at);
}

int fdatasync(int fd)
{
    struct stat st;
    if (!is_upload(fd) || fstat(fd, &st) != 0) {
        return 0; /* nothing here loses its power */
    }
    if (disk.failure == 0) {
        disk.flushed = st.st_size;
        return 0;
    }
    errno = disk.failure;
    disk.failure = 0;
    disk.from = disk.flushed;
    disk.to = st.st_size;
    disk.failed++;
    if (disk.let_go) {
        let_go(fd);
    }
    return -1;
}

/* Memory lets go of what was not written again. */
static void lose(void **state, const char *id)
{
    g_autofree char *name = g_strdup_printf("data/uploads/%s.pack", id), *path = ingot_workdir_file(*state, name);
    g_auto(IngotFd) fd = open(path, O_WRONLY);
    if (fd >= 0 && disk.to > disk.from) {
        let_go(fd);
    }
}

/* As a client does that is told of an error: asks for the size, and goes on from there. */
static void go_on(void **state, Storage *storage, const char *id, const GByteArray *bytes, gsize to)
{
    guint64 size, settled;
    g_autoptr(GError) error = NULL;
    if (!storage_upload_size(storage, id, &size, &error) || !add_steps(storage, id, bytes, size, to, 50000, &error) ||
        !storage_upload_settle(storage, id, 0, &settled, &error)) {
        fail_msg("%s", error->message);
    }
    lose(state, id);
}

/* The flush of a chunk, or the one before the end. */
static void fail_at(void **state, gboolean at_the_end, int failure, GByteArray *bytes)
{
    IngotDigest digest = digest_of(bytes);
    guint64 size;
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    g_autofree char *id = begin_upload(storage, NULL);
    disk.from = disk.to = disk.flushed = 0;
    disk.failed = 0;
    assert_true(add_steps(storage, id, bytes, 0, 400000, 50000, NULL));
    assert_true(storage_upload_settle(storage, id, 0, &size, NULL));
    assert_true(add_steps(storage, id, bytes, 400000, at_the_end ? bytes->len : 900000, 50000, NULL));
    disk.failure = failure;
    assert_false(at_the_end ? storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)
                            : storage_upload_settle(storage, id, 0, &size, &error));
    assert_int_equal(disk.failed, 1);
    storage_upload_pause(storage, id); /* as the end of the request does */
    go_on(state, storage, id, bytes, bytes->len);
    g_clear_error(&error);
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", bytes);
}

static void a_flush_that_failed_is_not_forgotten(void **state)
{
    static const int failures[] = {EIO, ENOSPC, EDQUOT};
    for (guint i = 0; i < 12; i++) {
        g_autoptr(GByteArray) bytes = frames(1 + 100 * i, 20, 60000);
        disk.let_go = i % 2 == 1;
        fail_at(state, i % 4 >= 2, failures[i / 4], bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flush_that_failed_is_not_forgotten, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
