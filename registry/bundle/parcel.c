#include "bundle/parcelkinds.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/process.h"
#include "bundle/refuse.h"
#include "bundle/sparse.h"

#define READ_SIZE (1u << 18)
#define LISTED_MAX 8u /* names in one message */

static void member_free(gpointer data)
{
    ParcelMember *member = data;
    g_free(member->name);
    g_free(member->text);
    g_free(member->aside);
    g_free(member);
}

Parcel *members_new(const char *path, const char *name, gboolean folder)
{
    Parcel *parcel = g_new0(Parcel, 1);
    parcel->path = g_strdup(path);
    parcel->name = g_strdup(name);
    parcel->folder = folder;
    parcel->members = g_ptr_array_new_with_free_func(member_free);
    return parcel;
}

void parcel_free(Parcel *parcel)
{
    if (parcel != NULL) {
        g_ptr_array_unref(parcel->members);
        ingot_workdir_free(parcel->workdir);
        g_free(parcel->path);
        g_free(parcel->name);
        g_free(parcel);
    }
}

/* --- names --- */

gboolean members_lead_outside(const char *name)
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

char *members_read_name(const Parcel *parcel, const char *name, GError **error)
{
    if (name == NULL || !is_printable(name)) {
        g_autofree char *shown = g_strescape(name == NULL ? "" : name, NULL);
        bundle_refuse(parcel->name, error, "the name of a member is no text: '%.200s'", shown);
        return NULL;
    }
    if (members_lead_outside(name)) {
        bundle_refuse(parcel->name, error, "it holds '%.200s', a path that leads outside", name);
        return NULL;
    }
    while (g_str_has_prefix(name, "./")) {
        name += 2 + strspn(name + 2, "/");
    }
    return g_strdup(name);
}

ParcelMember *members_add(Parcel *parcel, char *name, GError **error)
{
    ParcelMember *member = g_new0(ParcelMember, 1);
    member->name = name;
    g_ptr_array_add(parcel->members, member);
    if (parcel->members->len > PARCEL_MEMBERS_MAX) {
        bundle_refuse(parcel->name, error, "it has more than %u members", PARCEL_MEMBERS_MAX);
        return NULL;
    }
    return member;
}

/* --- texts --- */

/* The depth of a member: how many folders it lies in. */
static guint depth_of(const char *name)
{
    guint depth = 0;
    for (; *name != '\0'; name++) {
        depth += *name == '/';
    }
    return depth;
}

static gboolean ends_with(const char *name, const char *suffix)
{
    gsize length = strlen(name), wanted = strlen(suffix);
    return length >= wanted && g_ascii_strcasecmp(name + length - wanted, suffix) == 0;
}

/* What of a box comes along when it is small. */
static gboolean is_extra(const char *name)
{
    g_autofree char *base = g_path_get_basename(name);
    return depth_of(name) <= 1 && (strcmp(base, "Vagrantfile") == 0 || strcmp(base, "info.json") == 0);
}

static gboolean describes(const char *name)
{
    static const char *const suffixes[] = {".ovf", ".mf", ".vmx"};
    g_autofree char *base = g_path_get_basename(name), *folder = g_path_get_dirname(name);
    gboolean is = depth_of(name) <= 1 && strcmp(base, "metadata.json") == 0;
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        is = is || ends_with(name, suffixes[i]);
    }
    is = is || (ends_with(name, ".xml") && ends_with(folder, "Virtual Machines"));
    is = is || (strcmp(base, "config.plist") == 0 && ends_with(folder, ".utm"));
    /* macOS puts files of its own, "._NAME", beside every one. */
    return is && !g_str_has_prefix(base, "._");
}

gboolean members_read_descriptor(Parcel *parcel, ParcelMember *member, MembersRead read, gpointer source,
                                 GError **error)
{
    if (member->size > PARCEL_TEXT_MAX) {
        return bundle_refuse(parcel->name, error, "'%s' is larger than 1 MiB", member->name);
    }
    if (member->size > PARCEL_TEXTS_MAX - parcel->texts) {
        return bundle_refuse(parcel->name, error, "its texts are larger than 4 MiB together, with '%s'", member->name);
    }
    parcel->texts += member->size;
    member->text = g_malloc0(member->size + 1);
    gssize got = 1;
    while (got > 0 && member->text_size < member->size) {
        got = read(source, member->text + member->text_size, member->size - member->text_size, error);
        member->text_size += got > 0 ? (gsize)got : 0;
    }
    return got >= 0;
}

gboolean members_read_text(Parcel *parcel, ParcelMember *member, MembersRead read, gpointer source, GError **error)
{
    gboolean extra = is_extra(member->name);
    if (!member->file || !(extra || describes(member->name)) || (extra && member->size > PARCEL_EXTRA_MAX)) {
        return TRUE;
    }
    return members_read_descriptor(parcel, member, read, source, error);
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
    return parcel->listed ? NULL : folder_find(parcel, name);
}

const ParcelMember *parcel_need(const Parcel *parcel, const char *name, const char *whose, GError **error)
{
    const ParcelMember *member = parcel_find(parcel, name);
    if (member != NULL && member->file) {
        return member;
    }
    const char *place = parcel->folder ? "folder" : "archive";
    g_autofree char *missing = g_strdup_printf("not in the %s", place);
    bundle_refuse(parcel->name, error, "%s names '%.200s', which is %s", whose, name,
                  members_lead_outside(name) ? "a path that leads outside"
                  : member == NULL           ? missing
                                             : "a link or a device there");
    return NULL;
}

char *parcel_beside(const ParcelMember *member, const char *name)
{
    const char *slash = strrchr(member->name, '/');
    return slash == NULL ? g_strdup(name)
                         : g_strdup_printf("%.*s%s", (int)(slash + 1 - member->name), member->name, name);
}

GPtrArray *parcel_with_suffix(const Parcel *parcel, const char *suffix)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; i < parcel->members->len; i++) {
        ParcelMember *member = g_ptr_array_index(parcel->members, i);
        g_autofree char *base = g_path_get_basename(member->name);
        if (ends_with(base, suffix) && member->file && !g_str_has_prefix(base, "._")) {
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

gboolean parcel_in_place(const Parcel *parcel, const ParcelMember *member, IngotPart *part)
{
    if (!parcel->folder && member->offset == 0) {
        return FALSE;
    }
    if (parcel->folder) {
        *part = (IngotPart){.path = g_build_filename(parcel->path, member->name, NULL)};
    } else {
        *part = (IngotPart){g_strdup(parcel->path), member->offset, member->size};
    }
    return TRUE;
}

/* --- taking --- */

gboolean members_wanted(const ParcelMember *member, const ParcelTake *takes, guint count)
{
    gboolean wanted = FALSE;
    for (guint i = 0; i < count; i++) {
        wanted = wanted || takes[i].member == member;
    }
    return wanted;
}

/* Hands on some bytes, which are at `done` of the member. */
static gboolean give(const ParcelMember *member, const ParcelTake *takes, guint count, const guint8 *bytes, gsize size,
                     guint64 done, const char *name, GError **error)
{
    for (guint i = 0; i < count; i++) {
        if (takes[i].member != member) {
            continue;
        }
        if (takes[i].sum != NULL) {
            g_checksum_update(takes[i].sum, bytes, (gssize)size);
        }
        if (takes[i].fd >= 0 && !sparse_write(takes[i].fd, bytes, size, takes[i].offset + done, NULL, name, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean members_take(const Parcel *parcel, const ParcelMember *member, MembersRead read, gpointer source,
                      const ParcelTake *takes, guint count, IngotProgress *progress, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    g_autofree char *name = g_strdup_printf("%s: unpacking %s", parcel->name, member->name);
    const char *says = parcel->folder ? "it was" : "the archive says";
    guint64 done = 0;
    gssize got;
    while ((got = read(source, buffer, READ_SIZE, error)) > 0) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if ((guint64)got > member->size - done) {
            return bundle_refuse(parcel->name, error, "'%s' is larger than %s", member->name, says);
        }
        if (!give(member, takes, count, buffer, (gsize)got, done, name, error)) {
            return FALSE;
        }
        done += (guint64)got;
        ingot_progress_add(progress, (guint64)got);
    }
    if (got < 0) {
        return FALSE;
    }
    return done == member->size || bundle_refuse(parcel->name, error, "'%s' is smaller than %s", member->name, says);
}

/* A file may be taken in several runs, the last of which may end in zeros that were not written. */
static gboolean reach(int fd, guint64 end)
{
    struct stat info;
    return fstat(fd, &info) == 0 && ((guint64)info.st_size >= end || ftruncate(fd, (off_t)end) == 0);
}

gboolean parcel_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                     GError **error)
{
    guint64 total = 0;
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        total += members_wanted(member, takes, count) ? member->size : 0;
    }
    if (total == 0) {
        return TRUE;
    }
    ingot_progress_begin(progress, total, "read %s", parcel->name);
    if (!(parcel->folder ? folder_take : archive_take)(parcel, takes, count, progress, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        guint64 end = takes[i].offset + takes[i].member->size;
        if (takes[i].fd >= 0 && !reach(takes[i].fd, end)) {
            return ingot_error_set_errno(error, errno, "%s: unpacking %s", parcel->name, takes[i].member->name);
        }
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}
