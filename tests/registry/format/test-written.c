/* A file in the place of another: who may open it, and what a file system says of it at the last moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/packer.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "packed.h"

#define SIZE (1u << 20) /* bytes of the disk */
#define PIPE_SIZE 4096
#define LIMIT (30 * G_USEC_PER_SEC) /* for what takes no time */

/* As NFS of a full disk: what is written to a file gets lost, and close says so. */
static gboolean is_lossy;

int close(int fd)
{
    struct stat info;
    int flags = fcntl(fd, F_GETFL);
    gboolean lost = is_lossy && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (flags & O_ACCMODE) != O_RDONLY;
    int result = (int)syscall(SYS_close, fd);
    if (lost) {
        errno = ENOSPC;
    }
    return lost ? -1 : result;
}

/* As an older kernel of a pipe. */
static gboolean is_older;

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (is_older && (flags & RWF_NOWAIT) != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
}

static char *path;

static int set_up(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = g_malloc(SIZE);
    memset(bytes, 'x', SIZE);
    int result = packed_set_up(bytes, SIZE);
    path = ingot_workdir_file(workdir, "out.raw");
    return result;
}

static int tear_down(void **state)
{
    (void)state;
    g_free(path);
    return packed_tear_down();
}

static gboolean export(const char *format, const char *to, GError **error)
{
    return ingot_format_export(ingot_format_find(format, NULL), &(IngotFormatInput){.disk = disk}, to, NULL, error);
}

static void what_close_says_is_heard(void **state)
{
    g_autofree char *folder = ingot_workdir_file(workdir, "folder"), *late = ingot_workdir_file(workdir, "late");
    (void)state;
    assert_true(ingot_file_replace(path, "before", 6, 0644, NULL));
    const char *const whole[][2] = {{"raw", path}, {"qcow2", path}, {"vmx", folder}};
    for (guint i = 0; i < G_N_ELEMENTS(whole); i++) {
        g_autoptr(GError) error = NULL;
        is_lossy = TRUE;
        gboolean written = export(whole[i][0], whole[i][1], &error);
        is_lossy = FALSE;
        assert_false(written);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    }
    g_autoptr(GBytes) kept = ingot_file_read(path, SIZE, NULL);
    assert_int_equal(g_bytes_get_size(kept), 6);
    assert_int_not_equal(access(folder, F_OK), 0);
    is_lossy = TRUE;
    g_autoptr(GError) error = NULL;
    g_auto(IngotFd) fd = ingot_file_open(late, O_WRONLY | O_CREAT, 0600, NULL);
    gboolean closed = ingot_fd_close(&fd, late, &error);
    is_lossy = FALSE;
    assert_false(closed);
    assert_int_equal(fd, -1);
}

static guint mode_after(guint before)
{
    struct stat now;
    assert_true(ingot_file_replace(path, "before", 6, 0600, NULL));
    assert_int_equal(chmod(path, before), 0);
    assert_true(export("raw", path, NULL));
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_size, SIZE);
    return now.st_mode & 07777;
}

static void a_private_file_stays_private(void **state)
{
    mode_t umask_before = umask(022);
    struct stat now;
    (void)state;
    assert_int_equal(mode_after(0600), 0600);
    assert_int_equal(mode_after(0640), 0640);
    assert_int_equal(mode_after(0666), 0666);
    assert_int_equal(mode_after(04755), 0755); /* who runs it as its owner should know what it is */
    assert_int_equal(unlink(path), 0);
    assert_true(export("raw", path, NULL));
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0644);
    umask(umask_before);
}

/* An access list as the kernel keeps it: a user of its own may read and write, the group may read. */
#define ACCESS_LIST "system.posix_acl_access"
#define LIST_FOR_NEW_FILES "system.posix_acl_default"
static const guint8 list[] = "\2\0\0\0"
                             "\1\0\6\0\377\377\377\377"  /* the owner */
                             "\2\0\6\0\71\60\0\0"        /* user 12345 */
                             "\4\0\4\0\377\377\377\377"  /* the group */
                             "\20\0\6\0\377\377\377\377" /* the most that the two may */
                             "\40\0\0\0\377\377\377\377" /* everybody else */;
#define LIST_SIZE (sizeof list - 1)

/* A folder whose list new files inherit, and in it a file of mode 0640 that has none; NULL: the file system has no
 * lists. Free it. */
static char *file_without_list(void)
{
    g_autofree char *folder = ingot_workdir_file(workdir, "shared");
    g_autofree char *file = g_build_filename(folder, "web.raw", NULL);
    assert_true(ingot_file_make_folder(folder, NULL));
    if (setxattr(folder, LIST_FOR_NEW_FILES, list, LIST_SIZE, 0) != 0) {
        assert_int_equal(errno, ENOTSUP);
        return NULL;
    }
    assert_true(ingot_file_replace(file, "before", 6, 0600, NULL));
    assert_int_equal(removexattr(file, ACCESS_LIST), 0);
    assert_int_equal(chmod(file, 0640), 0);
    return g_steal_pointer(&file);
}

/* The folder's list for new files lets nobody read what replaces a file that they could not read. */
static void a_list_is_kept_and_none_is_inherited(void **state)
{
    g_autofree char *file = file_without_list();
    guint8 now[LIST_SIZE + 1];
    struct stat info;
    (void)state;
    if (file == NULL) {
        skip();
    }
    assert_true(export("raw", file, NULL));
    assert_int_equal(getxattr(file, ACCESS_LIST, now, sizeof now), -1);
    assert_int_equal(errno, ENODATA);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_size, SIZE);
    assert_int_equal(info.st_mode & 07777, 0640);

    assert_int_equal(setxattr(file, ACCESS_LIST, list, LIST_SIZE, 0), 0);
    assert_int_equal(chmod(file, 0640), 0); /* the user may read alone */
    guint8 before[LIST_SIZE];
    assert_int_equal(getxattr(file, ACCESS_LIST, before, sizeof before), LIST_SIZE);
    assert_true(export("qcow2", file, NULL));
    assert_int_equal(getxattr(file, ACCESS_LIST, now, sizeof now), LIST_SIZE);
    assert_memory_equal(now, before, LIST_SIZE);
}

/* What can't be given away is given to nobody instead. */
static void owner_and_group_stay_where_they_may(void **state)
{
    struct stat now;
    (void)state;
    if (geteuid() != 0) {
        skip(); /* nobody else gives files away */
    }
    assert_true(ingot_file_replace(path, "before", 6, 0640, NULL));
    assert_int_equal(chown(path, 12345, 23456), 0);
    assert_true(export("raw", path, NULL));
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_uid, 12345);
    assert_int_equal(now.st_gid, 23456);
    assert_int_equal(now.st_mode & 07777, 0640);

    assert_int_equal(chmod(ingot_workdir_path(workdir), 0777), 0);
    assert_int_equal(seteuid(34567), 0);
    gboolean written = export("raw", path, NULL);
    assert_int_equal(seteuid(0), 0);
    assert_true(written);
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_uid, 34567);
    assert_int_equal(now.st_mode & 07777, 0600);
}

/* A pipe of one page. */
static void make_pipe(int ends[2], int flags)
{
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE), PIPE_SIZE);
    assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
}

static gboolean wait_until_full(int fd)
{
    for (int there = 0; there < PIPE_SIZE; g_thread_yield()) {
        if (ioctl(fd, FIONREAD, &there) != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Reads all of a pipe, from when it is full on. */
static gpointer read_full(gpointer user)
{
    int fd = GPOINTER_TO_INT(user);
    g_autofree guint8 *buffer = g_malloc(SIZE);
    gsize sum = 0;
    if (!wait_until_full(fd)) {
        return NULL;
    }
    for (ssize_t count; (count = read(fd, buffer, SIZE)) > 0;) {
        sum += (gsize)count;
    }
    return GSIZE_TO_POINTER(sum);
}

static void stream_to_reader(int flags)
{
    int ends[2];
    g_autoptr(GError) error = NULL;
    make_pipe(ends, flags);
    GThread *reader = g_thread_new("reader", read_full, GINT_TO_POINTER(ends[0]));
    gboolean written = ingot_disk_stream(disk, ends[1], NULL, &error);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, flags); /* whoever shares it has it as it was */
    close(ends[1]);
    gsize sum = GPOINTER_TO_SIZE(g_thread_join(reader));
    close(ends[0]);
    assert_null(error);
    assert_true(written);
    assert_int_equal(sum, SIZE);
}

static void a_pipe_is_waited_for(void **state)
{
    (void)state;
    for (is_older = FALSE; is_older <= TRUE; is_older++) {
        stream_to_reader(0);
        stream_to_reader(O_NONBLOCK);
    }
    is_older = FALSE;
}

typedef struct {
    GCancellable *cancellable;
    int fd;
    GAsyncQueue *ended; /* its error */
} Writer;

static gpointer write_cancelled(gpointer user)
{
    Writer *writer = user;
    GError *error = NULL;
    g_cancellable_push_current(writer->cancellable);
    ingot_disk_stream(disk, writer->fd, NULL, &error);
    g_cancellable_pop_current(writer->cancellable);
    g_async_queue_push(writer->ended, error);
    return NULL;
}

/* Nobody reads, and the reader's end stays open. */
static void cancel_full(int ends[2])
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GAsyncQueue) ended = g_async_queue_new();
    Writer writer = {.cancellable = cancellable, .fd = ends[1], .ended = ended};
    GThread *thread = g_thread_new("writer", write_cancelled, &writer);
    assert_true(wait_until_full(ends[0]));
    g_cancellable_cancel(cancellable);
    g_autoptr(GError) error = g_async_queue_timeout_pop(ended, LIMIT);
    gboolean ends_soon = error != NULL;
    close(ends[0]); /* which ends what still waits */
    g_thread_join(thread);
    close(ends[1]);
    assert_true(ends_soon);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
}

static void a_full_pipe_is_left_when_cancelled(void **state)
{
    int ends[2];
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    for (is_older = FALSE; is_older <= TRUE; is_older++) {
        make_pipe(ends, 0);
        cancel_full(ends);
        make_pipe(ends, O_NONBLOCK);
        cancel_full(ends);
    }
    is_older = FALSE;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cancel_full(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_waited_for),
        cmocka_unit_test(a_full_pipe_is_left_when_cancelled),
        cmocka_unit_test(what_close_says_is_heard),
        cmocka_unit_test(a_private_file_stays_private),
        cmocka_unit_test(a_list_is_kept_and_none_is_inherited),
        cmocka_unit_test(owner_and_group_stay_where_they_may),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
