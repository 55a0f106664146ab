/* A disk that fails to take bytes says so once: they count as clean from then on, and are gone when memory lets go of
 * them. What is acknowledged after that is on the disk all the same. */
#include "../fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

#include "server/storage/lapse.h"
#include "server/storage/rebuild.h"

/* Of the file of an upload: what was not flushed when it failed, and has not been written again. */
static struct {
    int failure;     /* the next flush fails so; 0: it does not */
    off_t flushed;   /* bytes that are on the disk */
    off_t from, to;  /* bytes that are not, and count as clean */
    gboolean let_go; /* memory lets go of them at once */
    guint failed;
    gboolean no_commit; /* the catalogue can't be flushed */
    gboolean no_list;   /* there is no room for the next list */
} disk;

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    }
    if (disk.no_list && g_str_has_suffix(path, ".list")) {
        disk.no_list = FALSE;
        errno = ENOSPC;
        return -1;
    }
    return real(path, flags, mode);
}

static char *path_of(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    return g_file_read_link(link, NULL);
}

static gboolean is_upload(int fd)
{
    g_autofree char *path = path_of(fd);
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
    g_autofree char *path = path_of(fd);
    if (disk.no_commit && path != NULL && g_str_has_suffix(path, "-wal")) {
        errno = EIO;
        return -1;
    }
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

/* Nobody knows whether a commit that broke off counts: the pack that it may have made live stays as it is. */
static void a_commit_that_broke_off_leaves_its_pack(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data");
    g_autofree char *catalogue = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autofree char *log = ingot_workdir_file(*state, "data/catalogue.sqlite-wal");
    g_autoptr(GByteArray) bytes = frames(1, 20, 60000);
    IngotDigest digest = digest_of(bytes);
    RebuildReport report;
    Storage *storage = open_storage(state);
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 50000, NULL));
    storage_upload_pause(storage, id);
    disk.no_commit = TRUE;
    assert_false(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    g_autofree char *pack = pack_of(state, bytes);
    disk.no_commit = FALSE;
    storage_close(storage);
    g_unlink(catalogue);
    g_unlink(log);
    assert_true(storage_rebuild(data, &(RebuildOptions){0}, &report, NULL));
    assert_int_equal(report.blobs, 1); /* its table is whole */
}

/* Where there is no room for a new upload's files, and another one gives way, it gets files of its own. */
static void a_second_try_makes_an_upload(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 20, 60000), large = frames(100, 20, 60000);
    IngotDigest digest = digest_of(bytes), wrong = digest_of(large);
    g_autoptr(GError) error = NULL;
    g_autofree char *refused = begin_upload(storage, NULL);
    disk.failure = 0;
    assert_true(add_steps(storage, refused, large, 0, large->len, 50000, NULL));
    disk.failure = ENOSPC;
    assert_false(storage_upload_finish(storage, NULL, refused, 0, "a", &wrong, NULL));
    g_usleep((UPLOAD_REFUSED_REST + 1) * G_USEC_PER_SEC);
    disk.no_list = TRUE;
    g_autofree char *id = begin_upload(storage, &error);
    assert_false(disk.no_list);
    assert_non_null(id);
    if (!add_steps(storage, id, bytes, 0, bytes->len, 50000, &error) ||
        !storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flush_that_failed_is_not_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_that_broke_off_leaves_its_pack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_try_makes_an_upload, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
