#include "bundle/parcel.h"

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
#include "bundle/refuse.h"
#include "image/chunker.h"

#define READ_SIZE (1u << 18)
#define HOLE_SIZE 4096u
#define LISTED_MAX 8u /* names in one message */

typedef struct archive Reader;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reader, archive_read_free)

static void member_free(gpointer data)
{
    ParcelMember *member = data;
    g_free(member->name);
    g_free(member->text);
    g_free(member);
}

void parcel_free(Parcel *parcel)
{
    if (parcel != NULL) {
        g_ptr_array_unref(parcel->members);
        g_free(parcel->path);
        g_free(parcel->name);
        g_free(parcel);
    }
}

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

static Reader *open_reader(const Parcel *parcel, GError **error)
{
    g_autoptr(Reader) reader = archive_read_new();
    archive_read_support_format_tar(reader);
    archive_read_support_format_zip_seekable(reader);
    archive_read_support_filter_gzip(reader);
    archive_read_support_filter_bzip2(reader);
    archive_read_support_filter_xz(reader);
    archive_read_support_filter_zstd(reader);
    if (archive_read_open_filename(reader, parcel->path, READ_SIZE) != ARCHIVE_OK) {
        bundle_refuse(parcel->name, error,
                      "neither an OVA nor a Vagrant box (a disk that is compressed is to be unpacked first): %s",
                      why_of(reader));
        return NULL;
    }
    return g_steal_pointer(&reader);
}

/* A warning is of what is not wanted here, like an owner's name that cannot be told. */
static int next_member(Reader *reader, struct archive_entry **entry)
{
    int status = archive_read_next_header(reader, entry);
    return status == ARCHIVE_WARN ? ARCHIVE_OK : status;
}

/* --- looking --- */

static gboolean leads_outside(const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    return *name == '/' || g_strv_contains((const char *const *)parts, "..");
}

static gboolean is_printable(const char *name)
{
    if (!g_utf8_validate(name, -1, NULL)) {
        return FALSE;
    }
    for (; *name != '\0'; name = g_utf8_next_char(name)) {
        if (!g_unichar_isprint(g_utf8_get_char(name))) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A member's name as it is compared; NULL with an error for one that no honest archive has. */
static char *read_name(const Parcel *parcel, struct archive_entry *entry, GError **error)
{
    const char *name = archive_entry_pathname(entry);
    name = name == NULL ? archive_entry_pathname_utf8(entry) : name;
    if (name == NULL || !is_printable(name)) {
        g_autofree char *shown = g_strescape(name == NULL ? "" : name, NULL);
        bundle_refuse(parcel->name, error, "the name of a member is no text: '%.200s'", shown);
        return NULL;
    }
    if (leads_outside(name)) {
        bundle_refuse(parcel->name, error, "it holds '%.200s', a path that leads outside", name);
        return NULL;
    }
    while (g_str_has_prefix(name, "./")) {
        name += 2 + strspn(name + 2, "/");
    }
    return g_strdup(name);
}

/* Bytes that lie as they are can be read where they lie. */
static guint64 find_offset(Reader *reader, struct archive_entry *entry)
{
    gboolean plain = archive_filter_count(reader) == 1 && archive_filter_code(reader, 0) == ARCHIVE_FILTER_NONE &&
                     (archive_format(reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR &&
                     archive_entry_sparse_count(entry) == 0;
    return plain ? (guint64)archive_filter_bytes(reader, 0) : 0;
}

static gboolean describes(const ParcelMember *member)
{
    static const char *const suffixes[] = {".ovf", ".mf", ".vmx"};
    gboolean is = strcmp(member->name, "metadata.json") == 0;
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        is = is || g_str_has_suffix(member->name, suffixes[i]);
    }
    /* macOS puts files of its own, "._NAME", beside every one. */
    return is && member->file && strchr(member->name, '/') == NULL && !g_str_has_prefix(member->name, "._");
}

static gboolean read_text(Parcel *parcel, Reader *reader, ParcelMember *member, GError **error)
{
    if (member->size > PARCEL_TEXT_MAX) {
        return bundle_refuse(parcel->name, error, "'%s' is larger than 1 MiB", member->name);
    }
    if (member->size > PARCEL_TEXTS_MAX - parcel->texts) {
        return bundle_refuse(parcel->name, error, "its texts are larger than 4 MiB together, with '%s'", member->name);
    }
    parcel->texts += member->size;
    member->text = g_malloc0(member->size + 1);
    la_ssize_t got = archive_read_data(reader, member->text, member->size);
    if (got < 0) {
        return broken(parcel, reader, error);
    }
    member->text_size = (gsize)got;
    return TRUE;
}

static gboolean check_bounds(const Parcel *parcel, guint64 total, guint64 own, GError **error)
{
    if (parcel->members->len > PARCEL_MEMBERS_MAX) {
        return bundle_refuse(parcel->name, error, "it has more than %u members", PARCEL_MEMBERS_MAX);
    }
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

static gboolean add_member(Parcel *parcel, Reader *reader, struct archive_entry *entry, char *name, GError **error)
{
    ParcelMember *member = g_new0(ParcelMember, 1);
    g_ptr_array_add(parcel->members, member);
    member->name = name;
    member->file = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == NULL;
    if (member->file && (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)) {
        return bundle_refuse(parcel->name, error, "it does not tell the size of '%s'", name);
    }
    member->size = member->file ? (guint64)archive_entry_size(entry) : 0;
    member->offset = member->file ? find_offset(reader, entry) : 0;
    return TRUE;
}

static gboolean look(Parcel *parcel, Reader *reader, guint64 own, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    struct archive_entry *entry;
    guint64 total = 0;
    int status;
    while ((status = next_member(reader, &entry)) == ARCHIVE_OK) {
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
        if (!add_member(parcel, reader, entry, g_steal_pointer(&name), error)) {
            return FALSE;
        }
        ParcelMember *member = g_ptr_array_index(parcel->members, parcel->members->len - 1);
        g_hash_table_add(seen, member->name);
        total = member->size > G_MAXUINT64 - total ? G_MAXUINT64 : total + member->size;
        if (!check_bounds(parcel, total, own, error) ||
            (describes(member) && !read_text(parcel, reader, member, error))) {
            return FALSE;
        }
    }
    return status == ARCHIVE_EOF || broken(parcel, reader, error);
}

Parcel *parcel_open(const char *path, const char *name, GError **error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        ingot_error_set_errno(error, errno, "%s", name);
        return NULL;
    }
    g_autoptr(Parcel) parcel = g_new0(Parcel, 1);
    parcel->path = g_strdup(path);
    parcel->name = g_strdup(name);
    parcel->members = g_ptr_array_new_with_free_func(member_free);
    g_autoptr(Reader) reader = open_reader(parcel, error);
    if (reader == NULL || !look(parcel, reader, (guint64)info.st_size, error)) {
        return NULL;
    }
    return g_steal_pointer(&parcel);
}

/* --- finding --- */

const ParcelMember *parcel_find(const Parcel *parcel, const char *name)
{
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        if (strcmp(member->name, name) == 0) {
            return member;
        }
    }
    return NULL;
}

const ParcelMember *parcel_need(const Parcel *parcel, const char *name, const char *whose, GError **error)
{
    const ParcelMember *member = parcel_find(parcel, name);
    if (member != NULL && member->file) {
        return member;
    }
    bundle_refuse(parcel->name, error, "%s names '%.200s', which is %s", whose, name,
                  leads_outside(name) ? "a path that leads outside"
                  : member == NULL    ? "not in the archive"
                                      : "a link or a device there");
    return NULL;
}

GPtrArray *parcel_with_suffix(const Parcel *parcel, const char *suffix)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; i < parcel->members->len; i++) {
        ParcelMember *member = g_ptr_array_index(parcel->members, i);
        if (g_str_has_suffix(member->name, suffix) && member->file && !g_str_has_prefix(member->name, "._")) {
            g_ptr_array_add(found, member);
        }
    }
    return found;
}

GPtrArray *parcel_texts(const Parcel *parcel, const char *suffix)
{
    GPtrArray *found = parcel_with_suffix(parcel, suffix);
    for (guint i = found->len; i > 0; i--) {
        if (((const ParcelMember *)g_ptr_array_index(found, i - 1))->text == NULL) {
            g_ptr_array_remove_index(found, i - 1);
        }
    }
    return found;
}

char *parcel_list_names(const GPtrArray *names)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < MIN(names->len, LISTED_MAX); i++) {
        g_string_append_printf(list, "%s%.200s", i == 0 ? "" : ", ", (const char *)g_ptr_array_index(names, i));
    }
    if (names->len > LISTED_MAX) {
        g_string_append_printf(list, " and %u more", names->len - LISTED_MAX);
    }
    return g_string_free(list, FALSE);
}

char *parcel_list_members(const GPtrArray *members)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < members->len; i++) {
        g_ptr_array_add(names, ((const ParcelMember *)g_ptr_array_index(members, i))->name);
    }
    return parcel_list_names(names);
}

/* --- taking --- */

static gboolean write_sparse(int fd, const guint8 *bytes, gsize size, guint64 offset, const char *name, GError **error)
{
    for (gsize done = 0; done < size;) {
        gsize part = MIN(size - done, HOLE_SIZE);
        if (!chunker_is_zero(bytes + done, part) &&
            !ingot_file_pwrite(fd, bytes + done, part, offset + done, name, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

/* All bytes of the member that the reader stands at, for all who want it. */
static gboolean take_member(const Parcel *parcel, Reader *reader, const ParcelMember *member, const ParcelTake *takes,
                            guint count, IngotProgress *progress, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    g_autofree char *name = g_strdup_printf("%s: unpacking %s", parcel->name, member->name);
    guint64 done = 0;
    la_ssize_t got;
    while ((got = archive_read_data(reader, buffer, READ_SIZE)) > 0) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if ((guint64)got > member->size - done) {
            return bundle_refuse(parcel->name, error, "'%s' is larger than the archive says", member->name);
        }
        for (guint i = 0; i < count; i++) {
            if (takes[i].member != member) {
                continue;
            }
            if (takes[i].sum != NULL) {
                g_checksum_update(takes[i].sum, buffer, got);
            }
            if (takes[i].fd >= 0 && !write_sparse(takes[i].fd, buffer, (gsize)got, done, name, error)) {
                return FALSE;
            }
        }
        done += (guint64)got;
        ingot_progress_add(progress, (guint64)got);
    }
    if (got < 0) {
        return broken(parcel, reader, error);
    }
    return done == member->size ||
           bundle_refuse(parcel->name, error, "'%s' is smaller than the archive says", member->name);
}

static gboolean is_wanted(const ParcelMember *member, const ParcelTake *takes, guint count)
{
    gboolean wanted = FALSE;
    for (guint i = 0; i < count; i++) {
        wanted = wanted || takes[i].member == member;
    }
    return wanted;
}

/* The members come in the order in which they were looked at; folders are left out. */
static gboolean take_all(const Parcel *parcel, Reader *reader, const ParcelTake *takes, guint count,
                         IngotProgress *progress, GError **error)
{
    struct archive_entry *entry;
    for (guint i = 0; i < parcel->members->len;) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        if (next_member(reader, &entry) != ARCHIVE_OK) {
            return broken(parcel, reader, error);
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
        if (is_wanted(member, takes, count) && !take_member(parcel, reader, member, takes, count, progress, error)) {
            return FALSE;
        }
        i++;
    }
    return TRUE;
}

gboolean parcel_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                     GError **error)
{
    guint64 total = 0;
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        total += is_wanted(member, takes, count) ? member->size : 0;
    }
    if (total == 0) {
        return TRUE;
    }
    g_autoptr(Reader) reader = open_reader(parcel, error);
    ingot_progress_begin(progress, total, "read %s", parcel->name);
    if (reader == NULL || !take_all(parcel, reader, takes, count, progress, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        if (takes[i].fd >= 0 && ftruncate(takes[i].fd, (off_t)takes[i].member->size) != 0) {
            return ingot_error_set_errno(error, errno, "%s: unpacking %s", parcel->name, takes[i].member->name);
        }
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}
