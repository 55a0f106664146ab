/* Writing a layout: its literals first, then the disk's chunks as they come, each where it stands in the file. One with
 * coded blocks is written range by range, as it is read; that of a format, while it is laid out. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/newfile.h"
#include "format/early.h"
#include "format/extents.h"
#include "format/input.h"
#include "format/parallel.h"
#include "format/segments.h"
#include "format/target.h"

#define PIECE ((guint64)1 << 20) /* bytes that a thread takes at once */

/* A range of the disk, and where it stands in the file. */
typedef struct {
    guint64 offset, size, place;
} Range;

typedef struct {
    int fd;
    const char *name;
    GArray *ranges; /* of Range, by offset */
} Target;

/* A layout that is written as it is read. */
typedef struct {
    const IngotLayout *layout;
    IngotDisk *disk;
    const Target *target;
    IngotProgress *progress;
} Ranged;

/* --- literals --- */

static gboolean write_literals(Target *target, const IngotLayout *layout, guint64 place, GError **error)
{
    const GArray *segments = layout_segments(layout);
    for (guint i = 0; i < segments->len; i++) {
        const LayoutSegment *segment = &g_array_index(segments, LayoutSegment, i);
        guint64 at = place + segment->start;
        Range range = {.offset = segment->offset, .size = segment->size, .place = at};
        if (segment->kind == LAYOUT_DISK) {
            g_array_append_val(target->ranges, range);
        } else if (segment->kind == LAYOUT_INNER) {
            if (!write_literals(target, segment->inner, at, error)) {
                return FALSE;
            }
        } else if (segment->kind == LAYOUT_BYTES &&
                   !ingot_file_pwrite(target->fd, g_bytes_get_data(segment->bytes, NULL), segment->size, at,
                                      target->name, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static int by_offset(gconstpointer a, gconstpointer b)
{
    const Range *first = a, *second = b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

/* --- the disk --- */

/* The last range that begins at or before the offset; 0 where none does. */
static guint range_at(const GArray *ranges, guint64 offset)
{
    guint low = 0, high = ranges->len;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(ranges, Range, middle).offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What the file has of these bytes of the disk goes to its places; called by several threads. */
static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const Target *target = user;
    for (guint i = range_at(target->ranges, offset); i < target->ranges->len; i++) {
        const Range *range = &g_array_index(target->ranges, Range, i);
        guint64 from = MAX(offset, range->offset), to = MIN(offset + size, range->offset + range->size);
        if (range->offset >= offset + size) {
            break;
        }
        if (from < to && !ingot_file_pwrite(target->fd, (const guint8 *)data + (from - offset), (gsize)(to - from),
                                            range->place + (from - range->offset), target->name, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A part of the target: the ranges that are of one member, by their offsets in that. */
static GArray *ranges_of(const Target *target, const IngotDisk *disk, guint member)
{
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    for (guint i = 0; i < target->ranges->len; i++) {
        Range range = g_array_index(target->ranges, Range, i);
        if (ingot_disk_at(disk, range.offset) == member) {
            range.offset -= ingot_disk_base(disk, member);
            g_array_append_val(ranges, range);
        }
    }
    g_array_sort(ranges, by_offset);
    return ranges;
}

/* A disk of which nothing is in the file is not read. */
static gboolean write_disk(const IngotLayout *layout, IngotDisk *disk, Target *target, IngotProgress *progress,
                           GError **error)
{
    if (!write_literals(target, layout, 0, error)) {
        return FALSE;
    }
    for (guint i = 0; i < ingot_disk_count(disk); i++) {
        g_autoptr(GArray) ranges = ranges_of(target, disk, i);
        Target part = {.fd = target->fd, .name = target->name, .ranges = ranges};
        if (ranges->len > 0 && !ingot_disk_each(ingot_disk_member(disk, i), take, &part, progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- ranges --- */

static gboolean write_piece(guint64 number, gpointer slot, gpointer user, GError **error)
{
    const Ranged *ranged = user;
    guint64 from = number * PIECE, size = MIN(PIECE, ingot_layout_size(ranged->layout) - from);
    guint64 disk_size = ingot_disk_size(ranged->disk);
    if (!ingot_layout_read(ranged->layout, from, slot, (gsize)size, ranged->disk, error) ||
        !ingot_file_pwrite(ranged->target->fd, slot, (gsize)size, from, ranged->target->name, error)) {
        return FALSE;
    }
    ingot_progress_add(ranged->progress, disk_size / extents_divide_up(ingot_layout_size(ranged->layout), PIECE));
    return TRUE;
}

static gboolean write_ranges(const IngotLayout *layout, IngotDisk *disk, Target *target, IngotProgress *progress,
                             GError **error)
{
    static const ParallelWork work = {.work = write_piece, .slot_size = PIECE};
    Ranged ranged = {.layout = layout, .disk = disk, .target = target, .progress = progress};
    return parallel_run(&work, extents_divide_up(ingot_layout_size(layout), PIECE), &ranged, error);
}

static gboolean set_size(const Target *target, guint64 size, GError **error)
{
    return ftruncate(target->fd, (off_t)size) == 0 ||
           ingot_error_set_errno(error, errno, "%s: cannot be %" G_GUINT64_FORMAT " bytes long", target->name, size);
}

/* early: of what is there already; NULL: nothing is. */
static gboolean write_file(const IngotLayout *layout, IngotDisk *disk, Target *target, const Early *early,
                           IngotProgress *progress, GError **error)
{
    guint64 size = ingot_layout_size(layout);
    gboolean fits = early != NULL && early_fits(early, layout);
    if ((early != NULL && !fits && !set_size(target, 0, error)) || !set_size(target, size, error)) {
        return FALSE;
    }
    return fits                      ? write_literals(target, layout, 0, error)
           : layout_is_coded(layout) ? write_ranges(layout, disk, target, progress, error)
                                     : write_disk(layout, disk, target, progress, error);
}

/* A device keeps what it had where nothing is written: holes are written as well. */
gboolean layout_write_over(const IngotLayout *layout, IngotDisk *disk, int fd, const char *name,
                           IngotProgress *progress, GError **error)
{
    Target target = {.fd = fd, .name = name};
    if (!write_ranges(layout, disk, &target, progress, error)) {
        g_prefix_error(error, "%s is written in part, and of no use: ", name);
        return FALSE;
    }
    return fsync(fd) == 0 || ingot_error_set_errno(error, errno, "%s: cannot sync", name);
}

/* A damaged chunk is found before a byte of the device is written over. */
static gboolean write_device(const IngotLayout *layout, IngotDisk *disk, const FormatTarget *place,
                             IngotProgress *progress, GError **error)
{
    g_auto(IngotFd) fd = format_target_open_device(place, ingot_layout_size(layout), error);
    return fd >= 0 && ingot_disk_verify(disk, NULL, error) &&
           layout_write_over(layout, disk, fd, place->path, progress, error);
}

/* As private as the one that it replaces, from its first byte on. */
static IngotNewFile *open_new(const FormatTarget *place, GError **error)
{
    g_autoptr(IngotNewFile) file = ingot_newfile_open(place->path, place->replaces ? 0600 : 0644, error);
    gboolean ok = file != NULL && (!place->replaces || format_target_keep_access(place, ingot_newfile_fd(file), error));
    return ok ? g_steal_pointer(&file) : NULL;
}

static gboolean write_new(const IngotLayout *layout, IngotDisk *disk, IngotNewFile *file, const char *path,
                          const Early *early, IngotProgress *progress, GError **error)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    Target target = {.fd = ingot_newfile_fd(file), .name = path, .ranges = ranges};
    return write_file(layout, disk, &target, early, progress, error) && ingot_newfile_name(file, error);
}

gboolean ingot_layout_export(const IngotLayout *layout, IngotDisk *disk, const char *path, IngotProgress *progress,
                             GError **error)
{
    g_auto(FormatTarget) place = {0};
    if (!format_target_find(path, &place, error)) {
        return FALSE;
    }
    if (place.device) {
        return write_device(layout, disk, &place, progress, error);
    }
    g_autoptr(IngotNewFile) file = open_new(&place, error);
    return file != NULL && write_new(layout, disk, file, place.path, NULL, progress, error);
}

/* --- a format's file --- */

/* Of several disks that each are a file, the one that has this file alone: the others need not be laid out. */
static IngotFormatInput narrow(const IngotFormat *format, const IngotFormatInput *input, const char *name)
{
    for (guint k = 0; format->disks == 0 && k < input_count(input); k++) {
        const IngotFormatInput one = input_of(input, k);
        g_autofree char *file = input_file(&one, format->ending);
        if (name == NULL || strcmp(name, file) == 0) {
            return one;
        }
    }
    return *input;
}

static const IngotFormatFile *choose(const GPtrArray *files, const char *name, GError **error)
{
    return name == NULL ? g_ptr_array_index(files, 0) : ingot_format_file(files, name, error);
}

/* What compresses is written while it is laid out. */
static gboolean export_new(const IngotFormat *format, const IngotFormatInput *input, const char *name,
                           const FormatTarget *place, guint64 *size, IngotProgress *progress, GError **error)
{
    g_autoptr(IngotNewFile) target = open_new(place, error);
    g_autoptr(Early) early = target == NULL ? NULL : early_new(ingot_newfile_fd(target), place->path);
    IngotFormatInput with = *input;
    with.progress = progress;
    with.early = early;
    g_autoptr(GPtrArray) files = target == NULL ? NULL : ingot_format_files(format, &with, error);
    const IngotFormatFile *file = files == NULL ? NULL : choose(files, name, error);
    if (file == NULL) {
        return FALSE;
    }
    *size = ingot_layout_size(file->layout);
    return write_new(file->layout, input->disk, target, place->path, early, progress, error);
}

static gboolean export_laid_out(const IngotFormat *format, const IngotFormatInput *input, const char *name,
                                const char *path, guint64 *size, IngotProgress *progress, GError **error)
{
    IngotFormatInput without = *input;
    without.progress = NULL;
    g_autoptr(GPtrArray) files = ingot_format_files(format, &without, error);
    const IngotFormatFile *file = files == NULL ? NULL : choose(files, name, error);
    if (file == NULL) {
        return FALSE;
    }
    *size = ingot_layout_size(file->layout);
    return ingot_layout_export(file->layout, input->disk, path, progress, error);
}

gboolean ingot_format_export_file(const IngotFormat *format, const IngotFormatInput *input, const char *file,
                                  const char *path, guint64 *size, IngotProgress *progress, GError **error)
{
    guint64 unwanted = 0;
    g_auto(FormatTarget) place = {0};
    if (!ingot_format_can(format, input, error) || !format_target_find(path, &place, error)) {
        return FALSE;
    }
    const IngotFormatInput one = narrow(format, input, file);
    size = size == NULL ? &unwanted : size;
    return place.device || format->codec == NULL ? export_laid_out(format, &one, file, path, size, progress, error)
                                                 : export_new(format, &one, file, &place, size, progress, error);
}
