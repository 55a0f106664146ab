#include "cache/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/nameless.h"
#include "base/process.h"
#include "cache/checksum.h"
#include "machine/state.h"

#define LEVEL 1
#define BUFFER (1u << 20) /* bytes */
#define PIPE_SIZE (1 << 20)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ZSTD_CCtx, ZSTD_freeCCtx)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ZSTD_DCtx, ZSTD_freeDCtx)

/* Our side of the way between QEMU and the file, in a thread of its own. */
typedef struct Way {
    int pipe, file;
    gboolean (*read)(struct Way *way, void *buffer, gsize *size); /* on the way out; FALSE: way->error is set */
    int wake; /* readable: QEMU has given up, and so may the thread */
    const char *path;
    Checksum *checksum; /* on the way in */
    gboolean unread;    /* the file could not be read to its end: its checksum is not known */
    GError *error;      /* of the file; what happens to the pipe is QEMU's affair */
} Way;

/* Waits until the pipe can be used; FALSE: QEMU has given up. */
static gboolean wait_for_pipe(const Way *way, short events)
{
    struct pollfd waits[] = {{.fd = way->pipe, .events = events}, {.fd = way->wake, .events = POLLIN}};
    while (poll(waits, G_N_ELEMENTS(waits), -1) < 0 && errno == EINTR) {
    }
    return waits[1].revents == 0;
}

/* *size 0: QEMU has closed its end, or given up. */
static gboolean pipe_read(Way *way, void *buffer, gsize *size)
{
    ssize_t got = -1;
    while (got < 0 && wait_for_pipe(way, POLLIN)) {
        got = read(way->pipe, buffer, BUFFER);
        if (got < 0 && errno != EINTR && errno != EAGAIN) {
            break;
        }
    }
    *size = got > 0 ? (gsize)got : 0;
    return TRUE;
}

/* From a spool, which takes the pipe's place. */
static gboolean spool_read(Way *way, void *buffer, gsize *size)
{
    ssize_t got;
    do {
        got = read(way->pipe, buffer, BUFFER);
    } while (got < 0 && errno == EINTR);
    *size = got > 0 ? (gsize)got : 0;
    return got < 0 ? ingot_error_set_errno(&way->error, errno, "the machine's state: cannot read")
                   : ingot_interrupt_check(&way->error);
}

/* FALSE: QEMU reads no more. */
static gboolean pipe_write(const Way *way, const guint8 *data, gsize size)
{
    while (size > 0) {
        if (!wait_for_pipe(way, POLLOUT)) {
            return FALSE;
        }
        ssize_t done = write(way->pipe, data, size);
        if (done < 0 && errno != EINTR && errno != EAGAIN) {
            return FALSE;
        }
        data += MAX(done, 0);
        size -= (gsize)MAX(done, 0);
    }
    return TRUE;
}

static gboolean file_read(Way *way, void *buffer, gsize *size)
{
    ssize_t got;
    do {
        got = read(way->file, buffer, BUFFER);
    } while (got < 0 && errno == EINTR && ingot_interrupt_check(&way->error));
    *size = got > 0 ? (gsize)got : 0;
    way->unread = got < 0;
    return got >= 0 || (way->error == NULL && ingot_error_set_errno(&way->error, errno, "%s: cannot read", way->path));
}

static gboolean file_write(Way *way, const guint8 *data, gsize size)
{
    while (size > 0) {
        ssize_t done = write(way->file, data, size);
        if (done < 0 && errno != EINTR) {
            return ingot_error_set_errno(&way->error, errno, "%s: cannot write", way->path);
        }
        data += MAX(done, 0);
        size -= (gsize)MAX(done, 0);
    }
    return TRUE;
}

static gboolean zstd_failed(size_t code, Way *way)
{
    if (ZSTD_isError(code)) {
        g_set_error(&way->error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", way->path, ZSTD_getErrorName(code));
    }
    return ZSTD_isError(code) != 0;
}

/* --- out --- */

static gboolean compress_part(Way *way, ZSTD_CCtx *context, ZSTD_inBuffer *in, ZSTD_EndDirective mode, guint8 *buffer)
{
    size_t left;
    do {
        ZSTD_outBuffer out = {.dst = buffer, .size = BUFFER};
        left = ZSTD_compressStream2(context, &out, in, mode);
        if (zstd_failed(left, way) || !file_write(way, buffer, out.pos)) {
            return FALSE;
        }
    } while (in->pos < in->size || (mode == ZSTD_e_end && left > 0));
    return TRUE;
}

static gpointer compress_all(gpointer user)
{
    Way *way = user;
    g_autofree guint8 *in_buffer = g_malloc(BUFFER);
    g_autofree guint8 *out_buffer = g_malloc(BUFFER);
    g_autoptr(ZSTD_CCtx) context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, (int)g_get_num_processors());
    gsize size = 0;
    do {
        if (!way->read(way, in_buffer, &size)) {
            break;
        }
        ZSTD_inBuffer in = {.src = in_buffer, .size = size};
        if (!compress_part(way, context, &in, size > 0 ? ZSTD_e_continue : ZSTD_e_end, out_buffer)) {
            break;
        }
    } while (size > 0);
    ingot_fd_clear(&way->pipe); /* after a failure QEMU gets EPIPE and gives up */
    return NULL;
}

/* --- in --- */

/* FALSE: nothing more goes to QEMU, which reads no more, or which zstd has nothing for. */
static gboolean decompress_part(Way *way, ZSTD_DCtx *context, ZSTD_inBuffer *in, guint8 *buffer)
{
    while (in->pos < in->size) {
        ZSTD_outBuffer out = {.dst = buffer, .size = BUFFER};
        if (zstd_failed(ZSTD_decompressStream(context, &out, in), way) || !pipe_write(way, buffer, out.pos)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The file is read to its end even when nothing more goes to QEMU: whether it is whole is known only then. */
static gpointer decompress_all(gpointer user)
{
    Way *way = user;
    g_autofree guint8 *in_buffer = g_malloc(BUFFER);
    g_autofree guint8 *out_buffer = g_malloc(BUFFER);
    g_autoptr(ZSTD_DCtx) context = ZSTD_createDCtx();
    gsize size;
    while (file_read(way, in_buffer, &size) && size > 0) {
        checksum_add(way->checksum, in_buffer, size);
        ZSTD_inBuffer in = {.src = in_buffer, .size = size};
        if (way->pipe >= 0 && !decompress_part(way, context, &in, out_buffer)) {
            ingot_fd_clear(&way->pipe);
            if (!ingot_interrupt_check(NULL)) {
                break;
            }
        }
    }
    ingot_fd_clear(&way->pipe);
    return NULL;
}

/* --- either --- */

typedef gboolean (*Migrate)(Machine *machine, int fd, GError **error);

/* A pipe whose end for us does not block. */
static gboolean open_pipe(Way *way, gboolean qemu_writes, int *theirs, GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ingot_error_set_errno(error, errno, "cannot make a pipe");
    }
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    way->pipe = ends[qemu_writes ? 0 : 1];
    *theirs = ends[qemu_writes ? 1 : 0];
    fcntl(way->pipe, F_SETFL, O_NONBLOCK);
    return TRUE;
}

/* Runs QEMU's side with one end of a pipe and ours with the other. The file's error explains QEMU's. */
static gboolean migrate(Machine *machine, Way *way, Migrate qemu, GThreadFunc ours, gboolean qemu_writes,
                        GError **error)
{
    int theirs = -1;
    g_auto(IngotFd) wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        return ingot_error_set_errno(error, errno, "cannot make an eventfd");
    }
    if (!open_pipe(way, qemu_writes, &theirs, error)) {
        return FALSE;
    }
    way->wake = wake;
    GThread *thread = g_thread_new("memory", ours, way);
    GError *problem = NULL;
    gboolean ok = qemu(machine, theirs, &problem);
    if (!ok) {
        eventfd_write(wake, 1);
    }
    g_thread_join(thread);
    if (way->error != NULL) {
        g_clear_error(&problem);
        problem = way->error;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return ok && problem == NULL;
}

gboolean memory_save(Machine *machine, const char *path, GError **error)
{
    g_auto(IngotFd) file = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (file < 0) {
        return FALSE;
    }
    Way way = {.file = file, .read = pipe_read, .path = path};
    gboolean ok = migrate(machine, &way, machine_save, compress_all, TRUE, error);
    if (!ok) {
        unlink(path);
    }
    return ok;
}

static gboolean has_room_for_spool(const char *folder, guint64 size, GError **error)
{
    struct statvfs room;
    if (statvfs(folder, &room) != 0) {
        return ingot_error_set_errno(error, errno, "%s", folder);
    }
    guint64 left = (guint64)room.f_bavail * room.f_frsize;
    if (left / 3 < size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE, "%s: too little is left for a spool of the memory",
                    folder);
        return FALSE;
    }
    return TRUE;
}

int memory_spool(Machine *machine, guint64 size, const char *folder, GError **error)
{
    g_auto(IngotFd) spool = has_room_for_spool(folder, size, error) ? ingot_nameless_open(folder, error) : -1;
    int theirs = spool < 0 ? -1 : fcntl(spool, F_DUPFD_CLOEXEC, 0);
    if (spool >= 0 && theirs < 0) {
        ingot_error_set_errno(error, errno, "%s", folder);
    }
    return theirs >= 0 && machine_save(machine, theirs, error) ? g_steal_fd(&spool) : -1;
}

gboolean memory_compress(int spool, const char *path, GError **error)
{
    g_auto(IngotFd) file = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (file < 0) {
        return FALSE;
    }
    Way way = {.pipe = fcntl(spool, F_DUPFD_CLOEXEC, 0), .file = file, .read = spool_read, .path = path};
    if (way.pipe < 0 || lseek(spool, 0, SEEK_SET) != 0) {
        ingot_error_set_errno(&way.error, errno, "%s", path);
        ingot_fd_clear(&way.pipe);
    } else {
        compress_all(&way);
    }
    if (way.error != NULL) {
        unlink(path);
        g_propagate_error(error, way.error);
        return FALSE;
    }
    return TRUE;
}

gboolean memory_load(Machine *machine, const char *path, const char *checksum, GError **error)
{
    g_auto(IngotFd) file = ingot_file_open(path, O_RDONLY, 0, error);
    if (file < 0) {
        return FALSE;
    }
    Way way = {.file = file, .path = path, .checksum = checksum_new()};
    g_autoptr(GError) problem = NULL;
    gboolean ok = migrate(machine, &way, machine_load, decompress_all, FALSE, &problem);
    g_autofree char *found = checksum_finish(way.checksum);
    /* A file that is whole has not been the cause, whatever QEMU or zstd says; a damaged one has. */
    if (ingot_interrupt_check(NULL) && !way.unread && g_strcmp0(found, checksum) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its bytes do not match their checksum", path);
        return FALSE;
    }
    if (!ok) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return ok;
}
