/* The other half of file.h: locks, and the work folders that hang on them. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/process.h"

#define WORKDIR_PREFIX "ingot-work-"
#define KEEP_MARK ".keep"
#define MAKE_TRIES 100u /* while sweeps of others take away what was just made */
/* Between two looks at a lock that another has, longer each time: most are held for a moment. */
#define LOCK_FIRST_USEC 2000
#define LOCK_MOST_USEC (G_USEC_PER_SEC / 5)
#define LOCK_SAY_USEC G_USEC_PER_SEC /* a longer wait is said */

struct IngotLock {
    int fd;
};

struct IngotWorkdir {
    char *path;
    int fd; /* of the folder itself, which is flocked while it is in use */
    gboolean keep;
};

gboolean ingot_file_is_named(int fd, const char *path)
{
    struct stat open_one, named;

    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 && open_one.st_ino == named.st_ino &&
           open_one.st_dev == named.st_dev;
}

static gboolean lock_try(int fd, int operation, gboolean *held, const char *path, GError **error)
{
    *held = flock(fd, operation | LOCK_NB) == 0;
    return *held || errno == EWOULDBLOCK || errno == EINTR
               ? TRUE
               : ingot_error_set_errno(error, errno, "%s: cannot lock", path);
}

static IngotLockNote lock_note;

void ingot_lock_set_note(IngotLockNote note)
{
    lock_note = note;
}

/* The process that holds a lock on the open file, as the kernel lists it; 0: it does not (it may be in a container). */
static pid_t lock_holder(int fd)
{
    g_autofree char *locks = NULL;
    struct stat status;

    if (fstat(fd, &status) < 0 || !g_file_get_contents("/proc/locks", &locks, NULL, NULL))
        return 0;
    g_autofree char *file = g_strdup_printf(" %02x:%02x:%" G_GUINT64_FORMAT " ", major(status.st_dev),
                                            minor(status.st_dev), (guint64)status.st_ino);
    g_auto(GStrv) lines = g_strsplit(locks, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        int pid;
        if (strstr(lines[i], file) && sscanf(lines[i], "%*d: FLOCK %*s %*s %d", &pid) == 1 && pid > 0)
            return pid;
    }
    return 0;
}

static void lock_say(int fd, const char *path)
{
    pid_t pid = lock_holder(fd);
    g_autofree char *file = g_strdup_printf("/proc/%d/comm", (int)pid);
    g_autofree char *name = NULL, *holder = NULL;

    if (!lock_note)
        return;
    if (pid == getpid())
        holder = g_strdup("another part of this command");
    else if (pid > 0 && g_file_get_contents(file, &name, NULL, NULL))
        holder = g_strdup_printf("%s (process %d)", g_strchomp(name), (int)pid);
    else
        holder = g_strdup("another process");
    g_autofree char *note = g_strdup_printf("waiting for %s, which holds %s", holder, path);
    lock_note(note);
}

/* A thread that waits in flock would not see that it is to end: a signal reaches another one, a time limit none. */
gboolean ingot_lock_wait(int fd, gboolean exclusive, const char *path, GError **error)
{
    gint64 say = g_get_monotonic_time() + LOCK_SAY_USEC;
    gboolean held;

    for (gulong pause = LOCK_FIRST_USEC;; pause = MIN(2 * pause, LOCK_MOST_USEC)) {
        if (!lock_try(fd, exclusive ? LOCK_EX : LOCK_SH, &held, path, error))
            return FALSE;
        if (held)
            return TRUE;
        if (!ingot_interrupt_check(error))
            return FALSE;
        if (g_get_monotonic_time() >= say) {
            lock_say(fd, path);
            say = G_MAXINT64;
        }
        g_usleep(pause);
    }
}

static gboolean lock_at_once(int fd, gboolean exclusive, const char *path, GError **error)
{
    gboolean held;

    if (lock_try(fd, exclusive ? LOCK_EX : LOCK_SH, &held, path, error) && !held)
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: in use by another process", path);
    return held;
}

/* Who only shares a lock may do so where writing is not allowed. */
static int open_lock_file(const char *path, gboolean exclusive, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0 && !exclusive && (errno == EACCES || errno == EROFS))
        return ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0)
        ingot_error_set_errno(error, errno, "%s: cannot open the lock file", path);
    return fd;
}

IngotLock *ingot_lock_take(const char *path, gboolean exclusive, gboolean wait, GError **error)
{
    for (;;) {
        g_auto(IngotFd) fd = open_lock_file(path, exclusive, error);
        if (fd < 0)
            return NULL;
        if (wait ? !ingot_lock_wait(fd, exclusive, path, error) : !lock_at_once(fd, exclusive, path, error))
            return NULL;
        /* Whoever held it may have removed it; then this is a lock on nothing, and the next comer makes a new file. */
        if (ingot_file_is_named(fd, path)) {
            IngotLock *lock = g_new(IngotLock, 1);
            lock->fd = g_steal_fd(&fd);
            return lock;
        }
    }
}

void ingot_lock_release(IngotLock *lock)
{
    if (!lock)
        return;
    close(lock->fd);
    g_free(lock);
}

/* Opens a work folder and locks it, without waiting; -1 and errno: EWOULDBLOCK where another has it, ENOENT where it
 * has gone. */
static int lock_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), number;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ingot_file_is_named(fd, path))
        return fd;
    number = fd >= 0 && !ingot_file_is_named(fd, path) ? ENOENT : errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return -1;
}

/* A lock on a folder that was left; -1 if it is another user's, in use or kept. */
static int claim_folder(const char *path, uid_t owner)
{
    struct stat status;

    if (lstat(path, &status) < 0 || status.st_uid != owner)
        return -1;
    g_auto(IngotFd) fd = lock_folder(path);
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != owner || faccessat(fd, KEEP_MARK, F_OK, 0) == 0)
        return -1;
    return g_steal_fd(&fd);
}

/* What cannot be removed stays for the next sweep: it must not keep this command from its work. */
static void sweep(const char *parent, uid_t owner)
{
    g_autoptr(GDir) folder = g_dir_open(parent, 0, NULL);
    const char *name;

    while (folder && (name = g_dir_read_name(folder))) {
        if (!g_str_has_prefix(name, WORKDIR_PREFIX))
            continue;
        g_autofree char *path = g_build_filename(parent, name, NULL);
        g_auto(IngotFd) fd = claim_folder(path, owner);
        if (fd >= 0)
            ingot_file_remove_tree(path, NULL);
    }
}

/* A new folder, locked; NULL: a sweep has come between its making and its lock, and takes it away (*swept), or an
 * error.
 */
static IngotWorkdir *make_folder(const char *parent, gboolean *swept, GError **error)
{
    g_autofree char *path = g_build_filename(parent, WORKDIR_PREFIX "XXXXXX", NULL);

    *swept = FALSE;
    if (!g_mkdtemp_full(path, 0700)) {
        ingot_error_set_errno(error, errno, "%s: cannot make a work folder (set TMPDIR to another place)", parent);
        return NULL;
    }
    int fd = lock_folder(path);
    *swept = fd < 0 && (errno == ENOENT || errno == EWOULDBLOCK);
    if (fd < 0 && !*swept) {
        int number = errno;
        rmdir(path);
        ingot_error_set_errno(error, number, "%s: cannot lock a work folder there (set TMPDIR to another place)",
                              parent);
    }
    if (fd < 0)
        return NULL;
    IngotWorkdir *workdir = g_new0(IngotWorkdir, 1);
    workdir->path = g_steal_pointer(&path);
    workdir->fd = fd;
    return workdir;
}

static gconstpointer work_parent; /* atomic: char *; NULL: the usual */

void ingot_workdir_use(const char *parent)
{
    g_atomic_pointer_set(&work_parent, parent && *parent ? parent : NULL);
}

IngotWorkdir *ingot_workdir_new(GError **error)
{
    const char *chosen = g_atomic_pointer_get(&work_parent);
    /* From the root on, since other programs get names in it: a relative one could be an option or a protocol. */
    g_autofree char *parent = g_canonicalize_filename(chosen ? chosen : "/var/tmp", NULL);
    IngotWorkdir *workdir = NULL;
    gboolean swept = TRUE;
    struct stat status;

    for (guint i = 0; swept && !workdir && i < MAKE_TRIES; i++) {
        if (!ingot_interrupt_check(error))
            return NULL;
        workdir = make_folder(parent, &swept, error);
    }
    if (!workdir && swept)
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: each work folder is taken away at once (set TMPDIR to another place)", parent);
    /* Where a file system gives all files one owner, that is not us. */
    if (workdir && fstat(workdir->fd, &status) == 0)
        sweep(parent, status.st_uid);
    return workdir;
}

const char *ingot_workdir_path(const IngotWorkdir *workdir)
{
    return workdir->path;
}

char *ingot_workdir_file(const IngotWorkdir *workdir, const char *name)
{
    return g_build_filename(workdir->path, name, NULL);
}

void ingot_workdir_keep(IngotWorkdir *workdir)
{
    g_auto(IngotFd) mark = openat(workdir->fd, KEEP_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (mark < 0)
        g_printerr("ingot: %s: cannot mark it to be kept: %s\n", workdir->path, g_strerror(errno));
    workdir->keep = TRUE;
}

void ingot_workdir_free(IngotWorkdir *workdir)
{
    if (!workdir)
        return;
    g_autoptr(GError) error = NULL;
    if (!workdir->keep && !ingot_file_remove_tree(workdir->path, &error))
        g_printerr("ingot: %s\n", error->message);
    close(workdir->fd);
    g_free(workdir->path);
    g_free(workdir);
}
