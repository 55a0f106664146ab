#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <ingot/blocks.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <libnbd.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBD_MAX (32u << 20)   /* bytes of one NBD request */
#define EXTENT_MAX (1u << 30) /* bytes asked for in one block status */
#define START_USEC (30 * G_USEC_PER_SEC)

/* A run of bytes of one kind, from the end of the one before. */
typedef struct {
    guint64 end;
    gboolean zero;
} Extent;

struct IngotBlocks {
    char *path;
    guint64 size;
    int fd;                 /* raw */
    struct nbd_handle *nbd; /* everything else */
    GSubprocess *server;
    char *folder;    /* of the server's socket */
    GArray *extents; /* of Extent: the server's last answer */
    guint extent;    /* the one that was used last */
    guint64 asked;   /* the offset that was asked for last */
};

void ingot_blocks_free(IngotBlocks *blocks)
{
    if (blocks == NULL) {
        return;
    }
    if (blocks->fd >= 0) {
        close(blocks->fd);
    }
    if (blocks->nbd != NULL) {
        nbd_close(blocks->nbd);
    }
    if (blocks->server != NULL) {
        g_subprocess_force_exit(blocks->server);
        g_subprocess_wait(blocks->server, NULL, NULL);
        g_object_unref(blocks->server);
    }
    if (blocks->folder != NULL) {
        ingot_file_remove_tree(blocks->folder, NULL);
        g_free(blocks->folder);
    }
    g_array_unref(blocks->extents);
    g_free(blocks->path);
    g_free(blocks);
}

const char *ingot_blocks_probe(const char *path, GError **error)
{
    static const struct {
        const char *magic;
        gsize size, offset;
        const char *format;
    } known[] = {
        {"QFI\xfb", 4, 0, "qcow2"}, {"KDMV", 4, 0, "vmdk"},    {"# Disk DescriptorFile", 21, 0, "vmdk"},
        {"vhdxfile", 8, 0, "vhdx"}, {"conectix", 8, 0, "vpc"}, {"\x7f\x10\xda\xbe", 4, 64, "vdi"},
    };
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    guint8 head[512] = {0};
    if (pread(fd, head, sizeof head, 0) < 0) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (memcmp(head + known[i].offset, known[i].magic, known[i].size) == 0) {
            return known[i].format;
        }
    }
    /* A fixed VHD has its cookie in the last sector alone. */
    off_t end = lseek(fd, 0, SEEK_END);
    if (end >= 1024 && pread(fd, head, 8, end - 512) == 8 && memcmp(head, "conectix", 8) == 0) {
        return "vpc";
    }
    return "raw";
}

static gboolean open_raw(IngotBlocks *blocks, GError **error)
{
    blocks->fd = ingot_file_open(blocks->path, O_RDONLY, 0, error);
    if (blocks->fd < 0) {
        return FALSE;
    }
    struct stat st;
    off_t end = lseek(blocks->fd, 0, SEEK_END);
    if (end < 0 || fstat(blocks->fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a disk is a file or a block device", blocks->path);
        return FALSE;
    }
    blocks->size = (guint64)end;
    return TRUE;
}

static gboolean nbd_failed(const IngotBlocks *blocks, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", blocks->path, nbd_get_error());
    return FALSE;
}

static int open_log(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "log", NULL);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static char *read_log(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "log", NULL);
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : g_strdup("no reason given");
}

/* Connects as soon as the server listens; ends when it ends. */
static gboolean connect_nbd(IngotBlocks *blocks, const char *socket, GError **error)
{
    gint64 end = g_get_monotonic_time() + START_USEC;
    while (nbd_connect_unix(blocks->nbd, socket) != 0) {
        gboolean running = g_subprocess_get_identifier(blocks->server) != NULL;
        if (!running || g_get_monotonic_time() > end) {
            g_autofree char *log = read_log(blocks->folder);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: qemu-nbd cannot open it: %s", blocks->path, log);
            return FALSE;
        }
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        nbd_close(blocks->nbd);
        blocks->nbd = nbd_create();
        nbd_add_meta_context(blocks->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
        g_usleep(G_USEC_PER_SEC / 100);
        while (g_main_context_iteration(NULL, FALSE)) { /* lets GSubprocess notice its end */
        }
    }
    return TRUE;
}

static gboolean open_nbd(IngotBlocks *blocks, const char *format, GError **error)
{
    blocks->folder = g_dir_make_tmp("ingot-nbd.XXXXXX", error);
    if (blocks->folder == NULL) {
        return FALSE;
    }
    g_autofree char *socket = g_build_filename(blocks->folder, "socket", NULL);
    g_auto(IngotFd) log = open_log(blocks->folder);
    const char *const argv[] = {"qemu-nbd",          "--read-only", "--persistent", "--shared=1", "--format", format,
                                "--cache=writeback", "--socket",    socket,         blocks->path, NULL};
    blocks->server = ingot_process_start(argv, log, error);
    blocks->nbd = nbd_create();
    if (blocks->server == NULL || blocks->nbd == NULL) {
        return FALSE;
    }
    nbd_add_meta_context(blocks->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
    if (!connect_nbd(blocks, socket, error)) {
        return FALSE;
    }
    int64_t size = nbd_get_size(blocks->nbd);
    if (size < 0) {
        return nbd_failed(blocks, error);
    }
    blocks->size = (guint64)size;
    return TRUE;
}

IngotBlocks *ingot_blocks_open(const char *path, const char *format, GError **error)
{
    if (format == NULL) {
        format = ingot_blocks_probe(path, error);
    }
    if (format == NULL) {
        return NULL;
    }
    g_autoptr(IngotBlocks) blocks = g_new0(IngotBlocks, 1);
    blocks->fd = -1;
    blocks->extents = g_array_new(FALSE, FALSE, sizeof(Extent));
    blocks->path = g_strdup(path);
    if (!(strcmp(format, "raw") == 0 ? open_raw(blocks, error) : open_nbd(blocks, format, error))) {
        return NULL;
    }
    return g_steal_pointer(&blocks);
}

guint64 ingot_blocks_size(const IngotBlocks *blocks)
{
    return blocks->size;
}

static gboolean raw_extent(const IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    off_t data = lseek(blocks->fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno == EINVAL) { /* a block device does not tell */
        *zero = FALSE;
        *length = blocks->size - offset;
        return TRUE;
    }
    if (data < 0 && errno != ENXIO) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    *zero = data < 0 || (guint64)data > offset;
    off_t end = data < 0 ? (off_t)blocks->size : *zero ? data : lseek(blocks->fd, (off_t)offset, SEEK_HOLE);
    if (end < 0) {
        return ingot_error_set_errno(error, errno, "%s", blocks->path);
    }
    *length = MIN((guint64)end, blocks->size) - offset;
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

static gboolean ask_extents(IngotBlocks *blocks, guint64 offset, GError **error)
{
    nbd_extent_callback callback = {.callback = on_extents, .user_data = blocks->extents};
    g_array_set_size(blocks->extents, 0);
    blocks->extent = 0;
    blocks->asked = offset;
    if (nbd_block_status(blocks->nbd, MIN(EXTENT_MAX, blocks->size - offset), offset, callback, 0) != 0) {
        return nbd_failed(blocks, error);
    }
    if (blocks->extents->len == 0 || g_array_index(blocks->extents, Extent, 0).end <= offset) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: qemu-nbd does not tell what is allocated at offset %" G_GUINT64_FORMAT, blocks->path, offset);
        return FALSE;
    }
    return TRUE;
}

static gboolean nbd_extent(IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    const GArray *extents = blocks->extents;
    if (offset < blocks->asked) { /* not in order: ask anew */
        blocks->extent = extents->len;
    }
    while (blocks->extent < extents->len && g_array_index(extents, Extent, blocks->extent).end <= offset) {
        blocks->extent++;
    }
    if (blocks->extent == extents->len && !ask_extents(blocks, offset, error)) {
        return FALSE;
    }
    const Extent *extent = &g_array_index(extents, Extent, blocks->extent);
    blocks->asked = offset;
    *zero = extent->zero;
    *length = MIN(extent->end, blocks->size) - offset;
    return TRUE;
}

gboolean ingot_blocks_extent(IngotBlocks *blocks, guint64 offset, guint64 *length, gboolean *zero, GError **error)
{
    return blocks->nbd != NULL ? nbd_extent(blocks, offset, length, zero, error)
                               : raw_extent(blocks, offset, length, zero, error);
}

gboolean ingot_blocks_read(IngotBlocks *blocks, guint64 offset, void *buffer, gsize size, GError **error)
{
    if (blocks->nbd == NULL) {
        return ingot_file_pread(blocks->fd, buffer, size, offset, blocks->path, error);
    }
    for (gsize done = 0; done < size;) {
        gsize part = MIN(size - done, (gsize)NBD_MAX);
        if (nbd_pread(blocks->nbd, (guint8 *)buffer + done, part, offset + done, 0) != 0) {
            return nbd_failed(blocks, error);
        }
        done += part;
    }
    return TRUE;
}
