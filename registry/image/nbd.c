#include "image/nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/sockets.h"
#include "image/asmeant.h"

#define REQUEST_MAX (32u << 20) /* bytes in one NBD request, by the protocol's recommendation */
#define EXTENT_MAX (1u << 30)   /* bytes asked for in one block status */
#define SECTOR 512u
#define END_LOOKS 50u   /* for the end of a server, 10 ms apart */
#define LOOK (1u << 20) /* bytes read at once to see whether the host reads them */
#define START_USEC (30 * G_TIME_SPAN_SECOND)

/* A run of bytes of one kind, from the end of the one before. */
typedef struct {
    guint64 end;
    gboolean zero;
} Extent;

struct IngotNbd {
    char *path;
    char *source;          /* the file that the server reads; NULL: a disk of our own, which is written to */
    IngotWorkdir *workdir; /* of the server's socket and log */
    IngotFd sockets;       /* of it, where its path is too long for a socket's: base/sockets.h */
    char *uri;
    GSubprocess *server;
    struct nbd_handle *handle;
    guint64 size;
    GArray *extents; /* of Extent: the server's last answer */
    guint extent;    /* the one that was used last */
    guint64 asked;   /* the offset that was asked for last */
};

static void end_server(IngotNbd *nbd)
{
    if (nbd->server != NULL) {
        g_subprocess_force_exit(nbd->server);
        g_subprocess_wait(nbd->server, NULL, NULL);
        g_clear_object(&nbd->server);
    }
}

void ingot_nbd_free(IngotNbd *nbd)
{
    if (nbd == NULL) {
        return;
    }
    if (nbd->handle != NULL) {
        nbd_close(nbd->handle);
    }
    end_server(nbd);
    ingot_fd_clear(&nbd->sockets);
    ingot_workdir_free(nbd->workdir);
    g_clear_pointer(&nbd->extents, g_array_unref);
    g_free(nbd->uri);
    g_free(nbd->path);
    g_free(nbd->source);
    g_free(nbd);
}

static gboolean failed(const IngotNbd *nbd, GError **error)
{
    gboolean full = nbd_get_errno() == ENOSPC;
    g_set_error(error, INGOT_ERROR, full ? INGOT_ERROR_NO_SPACE : INGOT_ERROR_FAILED, "%s: %s", nbd->path,
                nbd_get_error());
    return FALSE;
}

static char *read_log(const IngotNbd *nbd)
{
    g_autofree char *path = ingot_workdir_file(nbd->workdir, "log");
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : g_strdup("no reason given");
}

/* Whether this host can read the file to its end: then what QEMU cannot read is the file's own fault. */
static gboolean host_reads(const char *path, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    g_autofree guint8 *buffer = g_malloc(LOOK);
    gssize got = fd < 0 ? -1 : 1;
    for (off_t at = 0; got > 0; at += got) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        got = pread(fd, buffer, LOOK, at);
        if (got < 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
    }
    return got == 0;
}

/* One that only hangs up goes on; of one that has ended we hear a moment later. */
static gboolean was_killed(const IngotNbd *nbd)
{
    for (guint i = 0; i < END_LOOKS && g_subprocess_get_identifier(nbd->server) != NULL; i++) {
        g_usleep(G_USEC_PER_SEC / 100);
    }
    return g_subprocess_get_identifier(nbd->server) == NULL && g_subprocess_get_if_signaled(nbd->server);
}

/* QEMU has an I/O error for damaged content as it has for a disk of this host that fails, and then hangs up. */
static gboolean failed_to_read(const IngotNbd *nbd, GError **error)
{
    if (nbd->source == NULL) {
        return failed(nbd, error);
    }
    g_autofree char *why = g_strdup(nbd_get_error());
    if (was_killed(nbd)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: qemu-nbd was ended by signal %d (%s)", nbd->path,
                    g_subprocess_get_term_sig(nbd->server), g_strsignal(g_subprocess_get_term_sig(nbd->server)));
        return FALSE;
    }
    if (!host_reads(nbd->source, error)) {
        g_prefix_error(error, "%s: ", nbd->path);
        return FALSE;
    }
    g_autofree char *log = read_log(nbd);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: damaged: QEMU cannot read it: %s", nbd->path,
                *log == '\0' ? why : log);
    return FALSE;
}

/* Why the server has ended, or does not listen. */
static gboolean refuse_file(const IngotNbd *nbd, gboolean running, GError **error)
{
    g_autofree char *log = read_log(nbd);
    gboolean memory = strstr(log, "allocate") != NULL || (!running && g_subprocess_get_if_signaled(nbd->server));
    g_autofree char *within =
        memory ? g_strdup_printf(" within %u MiB of memory", AS_MEANT_MEMORY >> 20) : g_strdup("");
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: qemu-nbd cannot open it%s: %s", nbd->path, within, log);
    return FALSE;
}

/* Connects as soon as the server listens; ends when it ends. */
static gboolean connect_handle(IngotNbd *nbd, GError **error)
{
    gint64 end = g_get_monotonic_time() + START_USEC;
    for (;;) {
        nbd->handle = nbd_create();
        if (nbd->handle == NULL || nbd_add_meta_context(nbd->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0) {
            return failed(nbd, error);
        }
        if (nbd_connect_uri(nbd->handle, nbd->uri) == 0) {
            return TRUE;
        }
        nbd_close(nbd->handle);
        nbd->handle = NULL;
        gboolean running = g_subprocess_get_identifier(nbd->server) != NULL;
        if (!running || g_get_monotonic_time() > end) {
            return refuse_file(nbd, running, error);
        }
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        g_usleep(G_USEC_PER_SEC / 200);
    }
}

/* How qemu-nbd is told of a file, or of a part of one: never by its name alone, of which a dash at the beginning would
 * make an option, and a colon a protocol. A comma is doubled. The sectors of a part are whole, in a tar by zeros that
 * follow. */
static char *describe(const IngotPart *part, const char *format, const char *options)
{
    struct stat info;
    const char *kind = stat(part->path, &info) == 0 && S_ISBLK(info.st_mode) ? "host_device" : "file";
    g_autofree char *absolute = g_canonicalize_filename(part->path, NULL);
    g_auto(GStrv) words = g_strsplit(absolute, ",", -1);
    g_autofree char *path = g_strjoinv(",,", words);
    if (part->length == 0) {
        return g_strdup_printf("driver=%s%s,file.driver=%s,file.filename=%s", format, options, kind, path);
    }
    return g_strdup_printf("driver=%s%s,file.driver=raw,file.offset=%" G_GUINT64_FORMAT ",file.size=%" G_GUINT64_FORMAT
                           ",file.file.driver=%s,file.file.filename=%s",
                           format, options, part->offset, (part->length + SECTOR - 1) / SECTOR * SECTOR, kind, path);
}

static gboolean start_server(IngotNbd *nbd, const AsMeant *meant, const char *format, gboolean writable, GError **error)
{
    g_autofree char *folder = sockets_folder(ingot_workdir_path(nbd->workdir), &nbd->sockets, error);
    if (folder == NULL) {
        return FALSE;
    }
    g_autofree char *socket = g_build_filename(folder, "socket", NULL);
    g_autofree char *words = ingot_workdir_file(nbd->workdir, "log");
    g_autofree char *escaped = g_uri_escape_string(socket, "/", FALSE);
    nbd->uri = g_strdup_printf("nbd+unix:///?socket=%s", escaped);
    g_auto(IngotFd) log = ingot_file_open(words, O_RDWR | O_CREAT, 0600, error);
    if (log < 0) {
        return FALSE;
    }
    const char *access = writable ? "--discard=unmap" : "--read-only";
    const char *cache = writable ? "--cache=unsafe" : "--cache=writeback";
    g_autofree char *image = describe(&meant->part, format, meant->options);
    const char *const argv[] = {"qemu-nbd", access, "--persistent", "--shared=2", cache,
                                "--socket", socket, "--image-opts", image,        NULL};
    nbd->source = writable ? NULL : g_strdup(meant->part.path);
    nbd->server = ingot_process_start_bounded(argv, log, meant->memory, error);
    return nbd->server != NULL;
}

/* What is written to is a disk of our own, which QEMU made. */
static gboolean prepare(const IngotNbd *nbd, const IngotPart *part, const char *format, gboolean writable,
                        AsMeant *meant, GError **error)
{
    if (writable) {
        *meant = (AsMeant){.part = *part, .options = g_strdup("")};
        return TRUE;
    }
    return as_meant_prepare(part, nbd->path, format, ingot_workdir_path(nbd->workdir), meant, error);
}

static gboolean check_size(const IngotNbd *nbd, guint64 wanted, GError **error)
{
    if (wanted == 0 || wanted == nbd->size) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: qemu-nbd shows a disk of %" G_GUINT64_FORMAT " bytes, not of %" G_GUINT64_FORMAT, nbd->path,
                nbd->size, wanted);
    return FALSE;
}

static IngotNbd *open_server(const IngotPart *part, const char *name, const char *format, gboolean writable,
                             GError **error)
{
    g_auto(AsMeant) meant = {0};
    g_autoptr(IngotNbd) nbd = g_new0(IngotNbd, 1);
    nbd->path = g_strdup(name);
    nbd->sockets = -1;
    nbd->extents = g_array_new(FALSE, FALSE, sizeof(Extent));
    nbd->workdir = ingot_workdir_new(error);
    if (nbd->workdir == NULL || !prepare(nbd, part, format, writable, &meant, error) ||
        !start_server(nbd, &meant, format, writable, error) || !connect_handle(nbd, error)) {
        return NULL;
    }
    int64_t size = nbd_get_size(nbd->handle);
    if (size < 0) {
        failed(nbd, error);
        return NULL;
    }
    nbd->size = (guint64)size;
    if (!check_size(nbd, meant.size, error)) {
        return NULL;
    }
    return g_steal_pointer(&nbd);
}

IngotNbd *ingot_nbd_open(const char *path, const char *format, gboolean writable, GError **error)
{
    return open_server(&(IngotPart){.path = path}, path, format, writable, error);
}

IngotNbd *ingot_nbd_open_part(const IngotPart *part, const char *name, const char *format, GError **error)
{
    return open_server(part, name, format, FALSE, error);
}

gboolean ingot_nbd_finish(IngotNbd *nbd, GError **error)
{
    if (nbd_flush(nbd->handle, 0) != 0 || nbd_shutdown(nbd->handle, 0) != 0) {
        return failed(nbd, error);
    }
    /* SIGTERM: qemu-nbd writes its format's own tables back before it ends. */
    g_subprocess_send_signal(nbd->server, SIGTERM);
    if (!g_subprocess_wait_check(nbd->server, NULL, error)) {
        g_prefix_error(error, "%s: qemu-nbd: ", nbd->path);
        return FALSE;
    }
    return TRUE;
}

guint64 ingot_nbd_size(const IngotNbd *nbd)
{
    return nbd->size;
}

const char *ingot_nbd_uri(const IngotNbd *nbd)
{
    return nbd->uri;
}

struct nbd_handle *ingot_nbd_handle(const IngotNbd *nbd)
{
    return nbd->handle;
}

gboolean ingot_nbd_read(IngotNbd *nbd, guint64 offset, void *buffer, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        gsize part = MIN(size - done, (gsize)REQUEST_MAX);
        if (nbd_pread(nbd->handle, (guint8 *)buffer + done, part, offset + done, 0) != 0) {
            return failed_to_read(nbd, error);
        }
        done += part;
    }
    return TRUE;
}

gboolean ingot_nbd_zero(IngotNbd *nbd, guint64 offset, guint64 size, GError **error)
{
    for (guint64 done = 0; done < size;) {
        guint64 part = MIN(size - done, (guint64)REQUEST_MAX);
        if (nbd_zero(nbd->handle, part, offset + done, 0) != 0) {
            return failed(nbd, error);
        }
        done += part;
    }
    return TRUE;
}

/* One answer to "block status" tells of many extents: they are kept, for each question costs a walk through the
 * image's tables. */
static int on_extents(void *user, const char *context, uint64_t offset, uint32_t *entries, size_t count, int *error)
{
    (void)error;
    GArray *extents = user;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0) {
        return 0;
    }
    for (size_t i = 0; i + 1 < count; i += 2) {
        gboolean zero = (entries[i + 1] & LIBNBD_STATE_ZERO) != 0;
        Extent *last = extents->len == 0 ? NULL : &g_array_index(extents, Extent, extents->len - 1);
        offset += entries[i];
        if (last != NULL && last->zero == zero) {
            last->end = offset;
        } else {
            Extent extent = {.end = offset, .zero = zero};
            g_array_append_val(extents, extent);
        }
    }
    return 0;
}

static gboolean ask_extents(IngotNbd *nbd, guint64 offset, GError **error)
{
    nbd_extent_callback callback = {.callback = on_extents, .user_data = nbd->extents};
    g_array_set_size(nbd->extents, 0);
    nbd->extent = 0;
    nbd->asked = offset;
    if (nbd_block_status(nbd->handle, MIN(EXTENT_MAX, nbd->size - offset), offset, callback, 0) != 0) {
        return failed_to_read(nbd, error);
    }
    if (nbd->extents->len == 0 || g_array_index(nbd->extents, Extent, 0).end <= offset) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: qemu-nbd does not tell what is allocated at offset %" G_GUINT64_FORMAT, nbd->path, offset);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_nbd_extent(IngotNbd *nbd, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    const GArray *extents = nbd->extents;
    if (offset < nbd->asked) { /* not in order: ask anew */
        nbd->extent = extents->len;
    }
    while (nbd->extent < extents->len && g_array_index(extents, Extent, nbd->extent).end <= offset) {
        nbd->extent++;
    }
    if (nbd->extent == extents->len && !ask_extents(nbd, offset, error)) {
        return FALSE;
    }
    const Extent *extent = &g_array_index(extents, Extent, nbd->extent);
    nbd->asked = offset;
    *zero = extent->zero;
    *length = MIN(extent->end, nbd->size) - offset;
    return TRUE;
}
