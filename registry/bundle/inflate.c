#include "bundle/inflate.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "bundle/parcel.h"
#include "bundle/refuse.h"
#include "bundle/sparse.h"

#define ZEROS_RATIO_MAX 20000u          /* zeros that a compressed disk may unpack to, to its own size */
#define ZEROS_SLACK ((guint64)64 << 30) /* and beyond that */
#define READ_SIZE (1u << 18)

typedef struct archive Reader;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reader, archive_read_free)

static const struct {
    const char *kind;
    int (*support)(Reader *);
} kinds[] = {{"gzip", archive_read_support_filter_gzip}, {"bzip2", archive_read_support_filter_bzip2}};

const char *inflate_kind(const char *said)
{
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_ascii_strcasecmp(said, kinds[i].kind) == 0) {
            return kinds[i].kind;
        }
    }
    return NULL;
}

InflateBounds inflate_bounds(guint64 packed, guint64 most)
{
    guint64 written = packed * PARCEL_RATIO_MAX + PARCEL_SLACK, zeros = packed * ZEROS_RATIO_MAX + ZEROS_SLACK;
    return (InflateBounds){.size = most == 0 ? written : MIN(most, zeros), .written = written};
}

/* The part's own bytes, and no more. */
typedef struct {
    int fd;
    guint64 offset, left;
    IngotProgress *progress;
    guint8 buffer[READ_SIZE];
} Packed;

static la_ssize_t read_packed(Reader *reader, void *data, const void **bytes)
{
    Packed *packed = data;
    ssize_t got = pread(packed->fd, packed->buffer, MIN(packed->left, READ_SIZE), (off_t)packed->offset);
    if (got < 0) {
        archive_set_error(reader, errno, "%s", g_strerror(errno));
        return -1;
    }
    packed->offset += (guint64)got;
    packed->left -= (guint64)got;
    *bytes = packed->buffer;
    ingot_progress_add(packed->progress, (guint64)got);
    return got;
}

static gboolean broken(Reader *reader, const char *name, const char *kind, GError **error)
{
    const char *why = archive_error_string(reader);
    return bundle_refuse(name, error, "it is not compressed with %s as it should be, or damaged%s%s", kind,
                         why == NULL ? "" : ": ", why == NULL ? "" : why);
}

static gboolean refuse_size(guint64 most, const char *why, const char *name, GError **error)
{
    g_autofree char *size = ingot_text_size(most);
    return bundle_refuse(name, error, "it unpacks to more than %s%s", size, why);
}

static gboolean write_all(Reader *reader, const char *kind, int fd, InflateBounds most, const char *name,
                          GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    guint64 done = 0, written = 0;
    la_ssize_t got;
    while ((got = archive_read_data(reader, buffer, READ_SIZE)) > 0) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if ((guint64)got > most.size - done) {
            return refuse_size(most.size, ", which no disk of its kind explains", name, error);
        }
        if (!sparse_write(fd, buffer, (gsize)got, done, &written, name, error)) {
            return FALSE;
        }
        if (written > most.written) {
            return refuse_size(most.written, " that are not zeros, which is too much for its size", name, error);
        }
        done += (guint64)got;
    }
    if (got < 0) {
        return broken(reader, name, kind, error);
    }
    return ftruncate(fd, (off_t)done) == 0 || ingot_error_set_errno(error, errno, "%s", name);
}

gboolean inflate_part(const IngotPart *part, const char *kind, int fd, InflateBounds most, const char *name,
                      IngotProgress *progress, GError **error)
{
    g_auto(IngotFd) from = ingot_file_open(part->path, O_RDONLY, 0, error);
    g_autoptr(Reader) reader = archive_read_new();
    g_autofree Packed *packed = g_new0(Packed, 1);
    struct archive_entry *entry;
    off_t end = from < 0 ? -1 : lseek(from, 0, SEEK_END);
    if (end < 0) {
        return from < 0 ? FALSE : ingot_error_set_errno(error, errno, "%s", name);
    }
    guint64 size = part->length == 0 ? (guint64)end - MIN((guint64)end, part->offset) : part->length;
    packed->fd = from;
    packed->offset = part->offset;
    packed->left = size;
    packed->progress = progress;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            kinds[i].support(reader);
        }
    }
    archive_read_support_format_raw(reader);
    ingot_progress_begin(progress, size, "unpack %s", name);
    /* The raw format takes anything, so that only the filter tells whether it was compressed. */
    if (archive_read_open(reader, packed, NULL, read_packed, NULL) != ARCHIVE_OK ||
        archive_read_next_header(reader, &entry) != ARCHIVE_OK || archive_filter_count(reader) < 2) {
        return broken(reader, name, kind, error);
    }
    if (!write_all(reader, kind, fd, most, name, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}
