#include "image/asmeant.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "image/tables.h"
#include "image/vhdfooter.h"
#include "image/vhdxlog.h"
#include "image/vmdkfile.h"

#define SECTOR 512u
#define LOG_GROWTH (512u << 20) /* bytes that a log may add to its file: two of the largest blocks */
#define STEP (1u << 20)         /* bytes copied between two looks for an interrupt */

void as_meant_clear(AsMeant *meant)
{
    g_clear_pointer(&meant->options, g_free);
    g_clear_pointer(&meant->copy, g_free);
}

/* A run of data from `from` on, to the same place after `base`. */
static gboolean copy_run(const Reader *reader, int out, guint64 from, guint64 end, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(STEP);
    while (from < end) {
        gsize size = MIN(end - from, (guint64)STEP);
        if (!ingot_file_pread(reader->fd, buffer, size, from, reader->name, error) ||
            !ingot_file_pwrite(out, buffer, size, from - reader->offset, reader->name, error) ||
            !ingot_interrupt_check(error)) {
            return FALSE;
        }
        from += size;
    }
    return TRUE;
}

/* Holes stay holes. */
static gboolean copy_part(const Reader *reader, int out, GError **error)
{
    const guint64 end = reader->offset + reader_end(reader);
    if (ftruncate(out, (off_t)(end - reader->offset)) != 0) {
        return ingot_error_set_errno(error, errno, "%s", reader->name);
    }
    for (guint64 at = reader->offset; at < end;) {
        off_t data = lseek(reader->fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            break;
        }
        guint64 from = data < 0 ? at : (guint64)data; /* a block device does not tell */
        off_t hole = lseek(reader->fd, (off_t)from, SEEK_HOLE);
        at = hole < 0 ? end : MIN((guint64)hole, end);
        if (!copy_run(reader, out, from, at, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What ends QEMU is the log, unless there is no room for the copy. */
static gboolean refuse_log(const Reader *reader, GError *why, GError **error)
{
    if (g_error_matches(why, INGOT_ERROR, INGOT_ERROR_FAILED)) {
        why->code = strstr(why->message, g_strerror(ENOSPC)) == NULL ? INGOT_ERROR_INVALID : INGOT_ERROR_NO_SPACE;
    }
    g_propagate_prefixed_error(error, why, "%s: its log cannot be replayed: ", reader->name);
    return FALSE;
}

/* The log may have other tables than those that were looked at. */
static gboolean check_replayed(const char *name, const IngotPart *part, GError **error)
{
    g_auto(Reader) reader = {0};
    return reader_open(&reader, part, name, error) &&
           reader_stands_by(&reader, tables_check(&reader, "vhdx", error), error);
}

/* QEMU writes what the log says, be it more than any disk of this host holds. */
static gboolean replay_log(const Reader *reader, const char *folder, AsMeant *meant, GError **error)
{
    guint64 most = reader_end(reader) + LOG_GROWTH, zeros = vhdx_log_zeros(reader);
    if (!reader_stands_by(reader, TRUE, error)) {
        return FALSE;
    }
    if (zeros > most) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: its log is not replayed: it would write more zeros than the file could hold", reader->name);
        return FALSE;
    }
    meant->copy = g_build_filename(folder, "disk", NULL);
    g_auto(IngotFd) out = ingot_file_open(meant->copy, O_WRONLY | O_CREAT | O_EXCL, 0600, error);
    if (out < 0 || !copy_part(reader, out, error) || !ingot_fd_close(&out, reader->name, error)) {
        return FALSE;
    }
    const char *const argv[] = {"qemu-img", "check", "-q",  "-f",        "vhdx", "-T",
                                "unsafe",   "-r",    "all", meant->copy, NULL};
    g_autoptr(GError) why = NULL;
    if (!ingot_process_run_bounded(argv, AS_MEANT_MEMORY, most, &why)) {
        return refuse_log(reader, g_steal_pointer(&why), error);
    }
    meant->part = (IngotPart){.path = meant->copy};
    return check_replayed(reader->name, &meant->part, error);
}

static gboolean prepare_vhd(const Reader *reader, AsMeant *meant, GError **error)
{
    VhdFooter footer;
    if (!vhd_footer_read(reader, &footer, error)) {
        return FALSE;
    }
    g_free(meant->options);
    meant->options = g_strconcat(",force_size_calc=", footer.by_geometry ? "chs" : "current_size", NULL);
    meant->size = footer.size;
    return TRUE;
}

/* The sum of its extents; 0: it has none. */
static gboolean prepare_vmdk(const Reader *reader, AsMeant *meant, GError **error)
{
    g_autofree char *parent = NULL;
    g_autoptr(GArray) extents = vmdk_file_extents(reader, &parent, error);
    for (guint i = 0; extents != NULL && i < extents->len; i++) {
        meant->size += g_array_index(extents, VmdkExtent, i).sectors * SECTOR;
    }
    return extents != NULL;
}

/* Each layer of a chain has a cache of its own. One from elsewhere is refused before (ties.h). */
static gboolean qcow2_is_layer(const Reader *reader)
{
    guint8 head[16];
    reader_bytes(reader, 0, head, sizeof head);
    return be64(head + 8) != 0;
}

gboolean as_meant_prepare(const IngotPart *part, const char *name, const char *format, const char *folder,
                          AsMeant *meant, GError **error)
{
    *meant = (AsMeant){.part = *part, .options = g_strdup(""), .memory = AS_MEANT_MEMORY};
    g_auto(Reader) reader = {0};
    if (!reader_open(&reader, part, name, error)) {
        return FALSE;
    }
    if (strcmp(format, "qcow2") == 0 && qcow2_is_layer(&reader)) {
        meant->memory = 0;
    }
    gboolean ok = strcmp(format, "vhdx") == 0   ? !vhdx_has_log(&reader) || replay_log(&reader, folder, meant, error)
                  : strcmp(format, "vpc") == 0  ? prepare_vhd(&reader, meant, error)
                  : strcmp(format, "vmdk") == 0 ? prepare_vmdk(&reader, meant, error)
                                                : TRUE;
    return reader_stands_by(&reader, ok, error);
}

gboolean as_meant_is_plain(const char *path, const char *format, gboolean *plain, GError **error)
{
    g_auto(Reader) reader = {0};
    if (!reader_open(&reader, &(IngotPart){.path = path}, path, error)) {
        return FALSE;
    }
    VhdFooter footer = {.undisputed = TRUE};
    if (strcmp(format, "vpc") == 0 && !vhd_footer_read(&reader, &footer, error)) {
        return reader_stands_by(&reader, FALSE, error);
    }
    *plain = footer.undisputed && !(strcmp(format, "vhdx") == 0 && vhdx_has_log(&reader));
    return reader_stands_by(&reader, TRUE, error);
}
