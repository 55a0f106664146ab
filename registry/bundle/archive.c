/* A parcel that is an archive. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "bundle/gunzip.h"
#include "bundle/parcelkinds.h"
#include "bundle/refuse.h"

#define READ_SIZE (1u << 18)
#define ASIDE_MIN (1u << 20) /* bytes: what is smaller is hardly a disk, and read again in no time */

typedef struct archive Reader;

/* A tar older than its magic is known by the sum of its first header, its own field taken as blanks. */
static gboolean is_old_tar(const guint8 *head)
{
    char text[9] = "";
    guint sum = 0;
    for (guint i = 0; i < 512; i++) {
        gboolean own = i >= 148 && i < 156;
        sum += own ? ' ' : head[i];
        if (own) {
            text[i - 148] = (char)head[i];
        }
    }
    return head[0] != 0 && g_ascii_strtoull(text, NULL, 8) == sum;
}

gboolean parcel_probe(const char *path, gboolean *is_archive, GError **error)
{
    static const struct {
        const char *magic;
        gsize size, offset;
    } known[] = {
        {"ustar", 5, 257}, {"\x1f\x8b", 2, 0},         {"\xfd\x37zXZ", 6, 0},
        {"BZh", 3, 0},     {"\x28\xb5\x2f\xfd", 4, 0}, {"PK\x03\x04", 4, 0},
    };
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    guint8 head[512] = {0};
    if (fd < 0) {
        return FALSE;
    }
    if (pread(fd, head, sizeof head, 0) < 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    *is_archive = is_old_tar(head);
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        *is_archive = *is_archive || memcmp(head + known[i].offset, known[i].magic, known[i].size) == 0;
    }
    return TRUE;
}

static const char *why_of(Reader *reader)
{
    const char *why = archive_error_string(reader);
    return why == NULL ? "no reason given" : why;
}

static gboolean broken(const Parcel *parcel, Reader *reader, GError **error)
{
    return bundle_refuse(parcel->name, error, "the archive is damaged or cut short: %s", why_of(reader));
}

/* An archive that is read. What gzip has packed is unpacked before libarchive sees it, in less than half of its time.
 */
typedef struct {
    const Parcel *parcel;
    int fd;
    Gunzip *gunzip; /* or NULL */
    Reader *reader;
    IngotProgress *progress; /* of the archive's own bytes, or NULL */
    guint64 told;            /* of those */
} Source;

static void source_clear(Source *source)
{
    g_clear_pointer(&source->reader, archive_read_free);
    g_clear_pointer(&source->gunzip, gunzip_free);
    ingot_fd_clear(&source->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Source, source_clear)

static la_ssize_t read_gunzip(Reader *reader, void *gunzip, const void **bytes)
{
    const guint8 *unpacked = NULL;
    const char *why = NULL;
    gssize got = gunzip_read(gunzip, &unpacked, &why);
    if (got < 0) {
        archive_set_error(reader, EINVAL, "%s", why);
    }
    *bytes = unpacked;
    return got;
}

static gboolean source_open(Source *source, const Parcel *parcel, GError **error)
{
    Reader *reader = source->reader = archive_read_new();
    source->parcel = parcel;
    source->fd = ingot_file_open(parcel->path, O_RDONLY, 0, error);
    if (source->fd < 0) {
        return FALSE;
    }
    source->gunzip = gunzip_probe(source->fd) ? gunzip_new(source->fd) : NULL;
    archive_read_support_format_tar(reader);
    archive_read_support_format_zip_seekable(reader);
    archive_read_support_filter_gzip(reader);
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_zstd(reader);
    int status = source->gunzip != NULL ? archive_read_open(reader, source->gunzip, NULL, read_gunzip, NULL)
                                        : archive_read_open_fd(reader, source->fd, READ_SIZE);
    return status == ARCHIVE_OK ||
           bundle_refuse(parcel->name, error,
                         "neither an OVA nor a Vagrant box (a disk that is compressed is to be unpacked first): %s",
                         why_of(reader));
}

/* Bytes of the archive's own that were read. */
static guint64 source_taken(const Source *source)
{
    return source->gunzip != NULL ? gunzip_taken(source->gunzip)
                                  : (guint64)MAX(archive_filter_bytes(source->reader, -1), 0);
}

/* A warning is of what is not wanted here, like an owner's name that cannot be told. */
static int next_member(Reader *reader, struct archive_entry **entry)
{
    int status = archive_read_next_header(reader, entry);
    return status == ARCHIVE_WARN ? ARCHIVE_OK : status;
}

static gssize read_data(gpointer data, void *buffer, gsize size, GError **error)
{
    Source *source = data;
    la_ssize_t got = archive_read_data(source->reader, buffer, size);
    guint64 at = source_taken(source);
    if (at > source->told) {
        ingot_progress_add(source->progress, at - source->told);
        source->told = at;
    }
    if (got < 0) {
        broken(source->parcel, source->reader, error);
    }
    return got < 0 ? -1 : (gssize)got;
}

/* --- looking --- */

static char *read_name(const Parcel *parcel, struct archive_entry *entry, GError **error)
{
    const char *name = archive_entry_pathname(entry);
    return members_read_name(parcel, name == NULL ? archive_entry_pathname_utf8(entry) : name, error);
}

/* Bytes that lie as they are can be read where they lie. */
static guint64 find_offset(const Source *source, struct archive_entry *entry)
{
    Reader *reader = source->reader;
    gboolean plain = source->gunzip == NULL && archive_filter_count(reader) == 1 &&
                     archive_filter_code(reader, 0) == ARCHIVE_FILTER_NONE &&
                     (archive_format(reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR &&
                     archive_entry_sparse_count(entry) == 0;
    return plain ? (guint64)archive_filter_bytes(reader, 0) : 0;
}

static gboolean check_bounds(const Parcel *parcel, guint64 total, guint64 own, GError **error)
{
    if (total > own * PARCEL_RATIO_MAX + PARCEL_SLACK) {
        const ParcelMember *last = g_ptr_array_index(parcel->members, parcel->members->len - 1);
        g_autofree char *size = ingot_text_size(last->size), *small = ingot_text_size(own);
        return bundle_refuse(parcel->name, error,
                             "with '%s' of %s it would unpack to more than %u times its own %s; if that is what it "
                             "should be, unpack it yourself and pack the disk",
                             last->name, size, PARCEL_RATIO_MAX, small);
    }
    return TRUE;
}

static gboolean add_member(Parcel *parcel, const Source *source, struct archive_entry *entry, char *name,
                           GError **error)
{
    ParcelMember *member = members_add(parcel, name, error);
    if (member == NULL) {
        return FALSE;
    }
    member->file = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL;
    if (member->file && (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)) {
        return bundle_refuse(parcel->name, error, "it does not tell the size of '%s'", name);
    }
    member->size = member->file ? (guint64)archive_entry_size(entry) : 0;
    member->offset = member->file ? find_offset(source, entry) : 0;
    return TRUE;
}

/* A disk of a machine's, or an extent of one, for all that is known yet. */
static gboolean may_be_disk(const ParcelMember *member)
{
    g_autofree char *lower = g_ascii_strdown(member->name, -1);
    return member->file && member->offset == 0 && member->size >= ASIDE_MIN && !g_str_has_suffix(lower, ".iso");
}

static gboolean put_aside(Parcel *parcel, Source *source, ParcelMember *member, GError **error)
{
    if (parcel->workdir == NULL && (parcel->workdir = ingot_workdir_new(error)) == NULL) {
        return FALSE;
    }
    g_autofree char *name = g_strdup_printf("%u", parcel->members->len);
    g_autofree char *path = ingot_workdir_file(parcel->workdir, name);
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, error);
    const ParcelTake take = {.member = member, .fd = fd};
    if (fd < 0 || !members_take(parcel, member, read_data, source, &take, 1, NULL, error)) {
        return FALSE;
    }
    if (ftruncate(fd, (off_t)member->size) != 0) {
        return ingot_error_set_errno(error, errno, "%s: unpacking %s", parcel->name, member->name);
    }
    member->aside = g_steal_pointer(&path);
    return ingot_fd_close(&fd, member->name, error);
}

static gboolean look_at(Parcel *parcel, Source *source, ParcelMember *member, GError **error)
{
    return members_read_text(parcel, member, read_data, source, error) &&
           (member->text != NULL || !may_be_disk(member) || put_aside(parcel, source, member, error));
}

static gboolean look(Parcel *parcel, Source *source, guint64 own, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    struct archive_entry *entry;
    guint64 total = 0;
    int status;
    while ((status = next_member(source->reader, &entry)) == ARCHIVE_OK) {
        g_autofree char *name = read_name(parcel, entry, error);
        if (name == NULL || !ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (archive_entry_filetype(entry) == AE_IFDIR) {
            continue;
        }
        if (g_hash_table_contains(seen, name)) {
            return bundle_refuse(parcel->name, error, "it holds '%s' twice", name);
        }
        if (!add_member(parcel, source, entry, g_steal_pointer(&name), error)) {
            return FALSE;
        }
        ParcelMember *member = g_ptr_array_index(parcel->members, parcel->members->len - 1);
        g_hash_table_add(seen, member->name);
        total = member->size > G_MAXUINT64 - total ? G_MAXUINT64 : total + member->size;
        if (!check_bounds(parcel, total, own, error) || !look_at(parcel, source, member, error)) {
            return FALSE;
        }
    }
    return status == ARCHIVE_EOF || broken(parcel, source->reader, error);
}

Parcel *parcel_open(const char *path, const char *name, IngotProgress *progress, GError **error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        ingot_error_set_errno(error, errno, "%s", name);
        return NULL;
    }
    g_autoptr(Parcel) parcel = members_new(path, name, FALSE);
    parcel->listed = TRUE;
    g_auto(Source) source = {.fd = -1, .progress = progress};
    ingot_progress_begin(progress, (guint64)info.st_size, "read %s", parcel->name);
    if (!source_open(&source, parcel, error) || !look(parcel, &source, (guint64)info.st_size, error)) {
        return NULL;
    }
    ingot_progress_end(progress, NULL);
    return g_steal_pointer(&parcel);
}

/* --- taking --- */

/* The members come in the order in which they were looked at; folders are left out. */
static gboolean take_all(const Parcel *parcel, Source *source, const ParcelTake *takes, guint count,
                         IngotProgress *progress, GError **error)
{
    struct archive_entry *entry;
    for (guint i = 0; i < parcel->members->len;) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        if (next_member(source->reader, &entry) != ARCHIVE_OK) {
            return broken(parcel, source->reader, error);
        }
        if (archive_entry_filetype(entry) == AE_IFDIR) {
            continue;
        }
        g_autofree char *name = read_name(parcel, entry, error);
        if (name == NULL) {
            return FALSE;
        }
        if (strcmp(name, member->name) != 0) {
            return bundle_refuse(parcel->name, error, "it changes while it is read ('%s')", name);
        }
        if (member->aside == NULL && members_wanted(member, takes, count) &&
            !members_take(parcel, member, read_data, source, takes, count, progress, error)) {
            return FALSE;
        }
        i++;
    }
    return TRUE;
}

static gssize read_aside(gpointer source, void *buffer, gsize size, GError **error)
{
    const int *fd = source;
    gssize got = read(*fd, buffer, size);
    if (got < 0) {
        ingot_error_set_errno(error, errno, "reading what was unpacked");
    }
    return got;
}

/* Those that were put aside; *rest: whether others are wanted. */
static gboolean take_aside(const Parcel *parcel, const ParcelTake *takes, guint count, gboolean *rest,
                           IngotProgress *progress, GError **error)
{
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        gboolean wanted = members_wanted(member, takes, count);
        *rest = *rest || (wanted && member->aside == NULL);
        if (!wanted || member->aside == NULL) {
            continue;
        }
        g_auto(IngotFd) fd = ingot_file_open(member->aside, O_RDONLY, 0, error);
        if (fd < 0 || !members_take(parcel, member, read_aside, &fd, takes, count, progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean archive_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                      GError **error)
{
    gboolean rest = FALSE;
    g_auto(Source) source = {.fd = -1};
    if (!take_aside(parcel, takes, count, &rest, progress, error)) {
        return FALSE;
    }
    return !rest || (source_open(&source, parcel, error) && take_all(parcel, &source, takes, count, progress, error));
}
