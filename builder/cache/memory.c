#include "cache/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "cache/checksum.h"
#include "machine/state.h"

#define LEVEL 1
#define BUFFER (1u << 20) /* bytes */
#define PIPE_SIZE (1 << 20)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ZSTD_CCtx, ZSTD_freeCCtx)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ZSTD_DCtx, ZSTD_freeDCtx)

/* Our side of the way between QEMU and the file, in a thread of its own. */
typedef struct {
    int pipe, file;
    const char *path;
    Checksum *checksum; /* on the way in */
    GError *error;
} Way;

static gboolean read_some(int fd, Way *way, void *buffer, gsize *size)
{
    ssize_t got;
    do {
        got = read(fd, buffer, BUFFER);
    } while (got < 0 && errno == EINTR);
    *size = got > 0 ? (gsize)got : 0;
    return got >= 0 || ingot_error_set_errno(&way->error, errno, "%s: cannot read", way->path);
}

static gboolean write_all(int fd, Way *way, const guint8 *data, gsize size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
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
        g_set_error(&way->error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s", way->path, ZSTD_getErrorName(code));
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
        if (zstd_failed(left, way) || !write_all(way->file, way, buffer, out.pos)) {
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
    gsize size = 1;
    while (size > 0 && read_some(way->pipe, way, in_buffer, &size)) {
        ZSTD_inBuffer in = {.src = in_buffer, .size = size};
        if (!compress_part(way, context, &in, size > 0 ? ZSTD_e_continue : ZSTD_e_end, out_buffer)) {
            break;
        }
    }
    ingot_fd_clear(&way->pipe); /* after a failure QEMU gets EPIPE and gives up */
    return NULL;
}

/* --- in --- */

static gboolean decompress_part(Way *way, ZSTD_DCtx *context, ZSTD_inBuffer *in, guint8 *buffer)
{
    while (in->pos < in->size) {
        ZSTD_outBuffer out = {.dst = buffer, .size = BUFFER};
        if (zstd_failed(ZSTD_decompressStream(context, &out, in), way) || !write_all(way->pipe, way, buffer, out.pos)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gpointer decompress_all(gpointer user)
{
    Way *way = user;
    g_autofree guint8 *in_buffer = g_malloc(BUFFER);
    g_autofree guint8 *out_buffer = g_malloc(BUFFER);
    g_autoptr(ZSTD_DCtx) context = ZSTD_createDCtx();
    gsize size;
    while (read_some(way->file, way, in_buffer, &size) && size > 0) {
        checksum_add(way->checksum, in_buffer, size);
        ZSTD_inBuffer in = {.src = in_buffer, .size = size};
        if (!decompress_part(way, context, &in, out_buffer)) {
            break;
        }
    }
    ingot_fd_clear(&way->pipe);
    return NULL;
}

/* --- either --- */

typedef gboolean (*Migrate)(Machine *machine, int fd, GError **error);

/* Runs QEMU's side with one end of a pipe and ours with the other. The file's error explains QEMU's. */
static gboolean migrate(Machine *machine, Way *way, Migrate qemu, GThreadFunc ours, gboolean qemu_writes,
                        GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ingot_error_set_errno(error, errno, "cannot make a pipe");
    }
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is only slower */
    way->pipe = ends[qemu_writes ? 0 : 1];
    GThread *thread = g_thread_new("memory", ours, way);
    GError *problem = NULL;
    gboolean ok = qemu(machine, ends[qemu_writes ? 1 : 0], &problem);
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
    Way way = {.file = file, .path = path};
    gboolean ok = migrate(machine, &way, machine_save, compress_all, TRUE, error);
    if (!ok) {
        unlink(path);
    }
    return ok;
}

gboolean memory_load(Machine *machine, const char *path, const char *checksum, GError **error)
{
    g_auto(IngotFd) file = ingot_file_open(path, O_RDONLY, 0, error);
    if (file < 0) {
        return FALSE;
    }
    Way way = {.file = file, .path = path, .checksum = checksum_new()};
    gboolean ok = migrate(machine, &way, machine_load, decompress_all, FALSE, error);
    g_autofree char *found = checksum_finish(way.checksum);
    /* Damage may also be what made zstd or QEMU stop; a file that was read to its end and is whole has not been it. */
    if (g_strcmp0(found, checksum) != 0 && (ok || way.error != NULL)) {
        g_clear_error(error);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its bytes do not match their checksum", path);
        return FALSE;
    }
    return ok;
}
