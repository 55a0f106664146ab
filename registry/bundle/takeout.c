#include "bundle/takeout.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/index.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "bundle/checksums.h"
#include "bundle/inflate.h"
#include "bundle/refuse.h"
#include "image/encoder.h"
#include "image/magic.h"
#include "image/ties.h"

#define DISK_SLACK (64u << 20) /* bytes of tables that a disk's file may have, and a tenth of its content */
#define DISK_FILE ".disk"      /* in the disk's work folder: no extent is called so */
#define PACKED_FILE ".packed"  /* the same, while it is compressed */
#define CHUNK_DIGITS 9u        /* of the number that a chunk's name ends in */

void bundle_disk_clear(gpointer data)
{
    BundleDisk *disk = data;
    g_free(disk->name);
    g_free((char *)disk->part.path);
}

/* --- bounds --- */

static guint64 size_of(const FoundDisk *disk)
{
    guint64 size = 0;
    for (guint i = 0; i < disk->files->len; i++) {
        size += ((const ParcelMember *)g_ptr_array_index(disk->files, i))->size;
    }
    return size;
}

/* A file of a disk is hardly larger than the disk; what is, fills file systems and holds none. */
static guint64 most_by_capacity(const FoundDisk *disk)
{
    guint64 capacity = disk->capacity;
    return capacity == 0 ? G_MAXUINT64 : capacity + capacity / 10 + DISK_SLACK;
}

static gboolean check_capacity(const Parcel *parcel, const FoundDisk *disk, GError **error)
{
    const guint64 most = (guint64)INGOT_INDEX_CHUNKS_MAX * INGOT_HOLE_MAX;
    g_autofree char *says = ingot_text_size(disk->capacity), *holds = ingot_text_size(most);
    return disk->capacity <= most ||
           bundle_refuse(parcel->name, error, "'%s' is said to be a disk of %s, and an image holds at most %s",
                         disk->name, says, holds);
}

static gboolean check_size(const Parcel *parcel, const FoundDisk *disk, GError **error)
{
    guint64 size = size_of(disk);
    if (size <= most_by_capacity(disk)) {
        return disk->files->len == 0 || size > 0 ||
               bundle_refuse(parcel->name, error, "%s: the disk is an empty file", disk->name);
    }
    g_autofree char *has = ingot_text_size(size), *holds = ingot_text_size(disk->capacity);
    return bundle_refuse(parcel->name, error, "'%s' is %s large, more than a disk of %s explains", disk->name, has,
                         holds);
}

static gboolean check_disks(const Parcel *parcel, const Found *found, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < found->disks->len; i++) {
        const FoundDisk *disk = &g_array_index(found->disks, FoundDisk, i);
        if (disk->files->len > 0 && !g_hash_table_add(seen, g_ptr_array_index(disk->files, 0))) {
            return bundle_refuse(parcel->name, error, "'%s' is said to be two disks of the machine", disk->name);
        }
        if (!check_capacity(parcel, disk, error) || !check_size(parcel, disk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- files of the work folder --- */

static void take_clear(gpointer data)
{
    ParcelTake *take = data;
    ingot_fd_clear(&take->fd);
    g_clear_pointer(&take->sum, g_checksum_free);
}

static GArray *takes_new(void)
{
    GArray *takes = g_array_new(FALSE, FALSE, sizeof(ParcelTake));
    g_array_set_clear_func(takes, take_clear);
    return takes;
}

/* The files are closed then: what a file system says only of that is no disk either. */
static gboolean take(const TakeOut *out, GArray *takes, GError **error)
{
    if (!parcel_take(out->parcel, (const ParcelTake *)(gpointer)takes->data, takes->len, out->progress, error)) {
        return FALSE;
    }
    for (guint i = 0; i < takes->len; i++) {
        ParcelTake *one = &g_array_index(takes, ParcelTake, i);
        if (one->fd >= 0 && !ingot_fd_close(&one->fd, one->member->name, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The path of a file of that name in the disk's own folder, which is made when the first comes. Free it. */
static char *place_file(const TakeOut *out, guint number, const char *name, GError **error)
{
    if (*out->workdir == NULL && (*out->workdir = ingot_workdir_new(error)) == NULL) {
        return NULL;
    }
    g_autofree char *text = g_strdup_printf("%u", number);
    g_autofree char *folder = ingot_workdir_file(*out->workdir, text);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        ingot_error_set_errno(error, errno, "%s", folder);
        return NULL;
    }
    return g_build_filename(folder, name, NULL);
}

static int create(const char *path, GError **error)
{
    return ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, error);
}

/* The file at path will be the members, one after another; the very file that was put aside, where it is one alone. */
static gboolean add_takes(const char *path, const GPtrArray *members, guint64 piece, GArray *takes, GError **error)
{
    const ParcelMember *first = g_ptr_array_index(members, 0);
    if (members->len == 1 && first->aside != NULL && link(first->aside, path) == 0) {
        return TRUE;
    }
    g_auto(IngotFd) fd = create(path, error);
    if (fd < 0) {
        return FALSE;
    }
    for (guint i = 0; i < members->len; i++) {
        ParcelTake one = {
            .member = g_ptr_array_index(members, i), .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .offset = i * piece};
        if (one.fd < 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
        g_array_append_val(takes, one);
    }
    return TRUE;
}

/* --- digests --- */

/* What has a digest in a folder is to stay as it was when that was looked at. */
static gboolean watch(const TakeOut *out, const ParcelMember *member, GError **error)
{
    g_autofree char *path = g_build_filename(out->parcel->path, member->name, NULL);
    return !out->parcel->folder || unchanged_add(out->files, path, error);
}

/* Whether that is what a further chunk of a disk would be called. */
static gboolean is_chunk(const Found *found, const char *name)
{
    for (guint i = 0; i < found->disks->len; i++) {
        const FoundDisk *disk = &g_array_index(found->disks, FoundDisk, i);
        const char *first = disk->piece == 0 ? "" : ((const ParcelMember *)g_ptr_array_index(disk->files, 0))->name;
        gsize length = strlen(first);
        if (length > CHUNK_DIGITS && strlen(name) == length && strncmp(name, first, length - CHUNK_DIGITS) == 0 &&
            strspn(name + length - CHUNK_DIGITS, "0123456789") == CHUNK_DIGITS) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What the manifests (one, as a rule) say of the members, in their order; each is taken to be summed up. */
static gboolean add_manifest(const TakeOut *out, const ParcelMember *manifest, GPtrArray *all, GArray *takes,
                             GError **error)
{
    g_autofree char *name = g_strdup_printf("%s: %s", out->parcel->name, manifest->name);
    g_autoptr(GPtrArray) checksums = checksums_parse(manifest->text, manifest->text_size, name, error);
    g_autoptr(GPtrArray) missing = g_ptr_array_new();
    for (guint i = 0; checksums != NULL && i < checksums->len; i++) {
        const Checksum *checksum = g_ptr_array_index(checksums, i);
        g_autofree char *file = parcel_beside(manifest, checksum->file);
        ParcelTake one = {.member = parcel_find(out->parcel, file), .fd = -1};
        if (one.member == NULL && is_chunk(out->found, file)) {
            return bundle_refuse(name, error, "it names '%.200s', a chunk of a disk, which is not there",
                                 checksum->file);
        }
        if (one.member == NULL || !one.member->file) {
            g_ptr_array_add(missing, checksum->file);
            continue;
        }
        if (!watch(out, one.member, error)) {
            return FALSE;
        }
        one.sum = g_checksum_new(checksum->type);
        g_array_append_val(takes, one);
        g_ptr_array_add(all, g_strdup(checksum->hex));
    }
    if (missing->len > 0) {
        g_autofree char *list = parcel_list_names(missing);
        ingot_progress_message(out->progress, "%s names what is not there: %s", name, list);
    }
    return checksums != NULL;
}

/* The manifests: of a descriptor that lies beside its files, the one of the same name. */
static GPtrArray *find_manifests(const Parcel *parcel)
{
    if (!parcel->listed) {
        const char *first = ((const ParcelMember *)g_ptr_array_index(parcel->members, 0))->name;
        const char *dot = strrchr(first, '.');
        g_autofree char *name =
            g_strdup_printf("%.*s.mf", (int)(dot == NULL ? strlen(first) : (gsize)(dot - first)), first);
        (void)parcel_find(parcel, name);
    }
    return parcel_texts(parcel, ".mf");
}

static GPtrArray *add_checksums(const TakeOut *out, GArray *takes, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) manifests = find_manifests(out->parcel);
    for (guint i = 0; i < manifests->len; i++) {
        if (!add_manifest(out, g_ptr_array_index(manifests, i), all, takes, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&all);
}

static gboolean check_sums(const Parcel *parcel, const GPtrArray *wanted, const GArray *takes, GError **error)
{
    for (guint i = 0; i < wanted->len; i++) {
        const ParcelTake *take = &g_array_index(takes, ParcelTake, i);
        const char *has = g_checksum_get_string(take->sum), *hex = g_ptr_array_index(wanted, i);
        if (strcmp(has, hex) != 0) {
            return bundle_refuse(parcel->name, error, "the digest of '%s' is %s, but its manifest says %s",
                                 take->member->name, has, hex);
        }
    }
    return TRUE;
}

/* --- where each disk is --- */

static void own_file(BundleDisk *disk, char *path)
{
    g_free((char *)disk->part.path);
    disk->part = (IngotPart){.path = path};
    disk->own = TRUE;
}

/* A disk of nothing but zeros: a file without a block. */
static gboolean make_empty(const TakeOut *out, guint number, BundleDisk *disk, guint64 size, GError **error)
{
    g_autofree char *path = place_file(out, number, DISK_FILE, error);
    g_auto(IngotFd) fd = path == NULL ? -1 : create(path, error);
    if (fd < 0) {
        return FALSE;
    }
    if (size > G_MAXINT64 || ftruncate(fd, (off_t)size) != 0) {
        g_autofree char *text = ingot_text_size(size);
        return ingot_error_set_errno(error, size > G_MAXINT64 ? EFBIG : errno, "%s: an empty disk of %s", disk->name,
                                     text);
    }
    own_file(disk, g_steal_pointer(&path));
    return TRUE;
}

/* Plans where a disk will be: in place, or as a file that the pass through the parcel writes. */
static gboolean plan(const TakeOut *out, guint number, GArray *takes, GError **error)
{
    const FoundDisk *found = &g_array_index(out->found->disks, FoundDisk, number);
    BundleDisk *disk = &g_array_index(out->disks, BundleDisk, number);
    if (found->files->len == 0) {
        return make_empty(out, number, disk, found->capacity, error);
    }
    if (found->files->len == 1 && parcel_in_place(out->parcel, g_ptr_array_index(found->files, 0), &disk->part)) {
        return unchanged_add(out->files, disk->part.path, error);
    }
    g_autofree char *path = place_file(out, number, found->packed == NULL ? DISK_FILE : PACKED_FILE, error);
    if (path == NULL || !add_takes(path, found->files, found->piece, takes, error)) {
        return FALSE;
    }
    own_file(disk, g_steal_pointer(&path));
    return TRUE;
}

/* What is compressed by itself is unpacked from where it is by now. */
static gboolean unpack(const TakeOut *out, guint number, GError **error)
{
    const FoundDisk *found = &g_array_index(out->found->disks, FoundDisk, number);
    BundleDisk *disk = &g_array_index(out->disks, BundleDisk, number);
    if (found->packed == NULL || found->files->len == 0) {
        return TRUE;
    }
    const guint64 most = found->capacity == 0 ? 0 : most_by_capacity(found);
    g_autofree char *path = place_file(out, number, DISK_FILE, error);
    g_auto(IngotFd) fd = path == NULL ? -1 : create(path, error);
    if (fd < 0 ||
        !inflate_part(&disk->part, found->packed, fd, inflate_bounds(size_of(found), most), disk->name, out->progress,
                      error) ||
        !ingot_fd_close(&fd, disk->name, error)) {
        return FALSE;
    }
    if (disk->own) {
        unlink(disk->part.path);
    } else if (!unchanged_check(out->files, disk->name, error)) {
        return FALSE;
    }
    own_file(disk, g_steal_pointer(&path));
    return TRUE;
}

static gboolean read_disks(const TakeOut *out, GError **error)
{
    g_autoptr(GArray) takes = takes_new();
    g_autoptr(GPtrArray) checksums = add_checksums(out, takes, error);
    for (guint i = 0; i < out->disks->len; i++) {
        if (checksums == NULL || !plan(out, i, takes, error)) {
            return FALSE;
        }
    }
    if (!take(out, takes, error) || !check_sums(out->parcel, checksums, takes, error)) {
        return FALSE;
    }
    for (guint i = 0; i < out->disks->len; i++) {
        if (!unpack(out, i, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- what each disk is --- */

/* What a disk should be, by what describes it or by its name; NULL: anything. */
static const char *expected_format(const FoundDisk *found)
{
    const char *format = found->files->len == 0 ? "raw" : found->format;
    g_autofree char *lower = g_ascii_strdown(found->name, -1);
    g_autofree char *packed =
        found->packed == NULL ? NULL : g_strdup(strcmp(found->packed, "gzip") == 0 ? ".gz" : ".bz2");
    if (packed != NULL && g_str_has_suffix(lower, packed)) {
        lower[strlen(lower) - strlen(packed)] = '\0';
    }
    return format == NULL ? magic_named(lower) : format;
}

/* A raw disk is what it is said to be, whatever its first bytes look like. */
static gboolean settle_format(BundleDisk *disk, const FoundDisk *found, GError **error)
{
    const char *expected = expected_format(found);
    g_autoptr(GError) problem = NULL;
    disk->format = g_strcmp0(expected, "raw") == 0 ? expected : magic_probe(&disk->part, disk->name, &problem);
    if (disk->format == NULL && (expected == NULL || problem->code != INGOT_ERROR_INVALID)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (expected != NULL && g_strcmp0(disk->format, expected) != 0) {
        return bundle_refuse(disk->name, error, "it is no %s, as it should be", expected);
    }
    return TRUE;
}

static gboolean take_alone(const TakeOut *out, guint number, const ParcelMember *member, const char *name,
                           GArray *takes, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new();
    g_autofree char *path = member == NULL ? NULL : place_file(out, number, name, error);
    g_ptr_array_add(files, (gpointer)member);
    return path != NULL && add_takes(path, files, 0, takes, error);
}

/* Extents lie beside the disk, so both are taken out. */
static gboolean take_extents(const TakeOut *out, guint number, char **extents, GError **error)
{
    const FoundDisk *found = &g_array_index(out->found->disks, FoundDisk, number);
    const ParcelMember *file = g_ptr_array_index(found->files, 0);
    BundleDisk *disk = &g_array_index(out->disks, BundleDisk, number);
    g_autoptr(GArray) takes = takes_new();
    if (!disk->own && !take_alone(out, number, file, DISK_FILE, takes, error)) {
        return FALSE;
    }
    for (guint i = 0; extents[i] != NULL; i++) {
        g_autofree char *name = parcel_beside(file, extents[i]);
        const ParcelMember *member = parcel_need(out->parcel, name, found->name, error);
        if (member == NULL || !take_alone(out, number, member, extents[i], takes, error)) {
            return FALSE;
        }
    }
    if (!take(out, takes, error)) {
        return FALSE;
    }
    own_file(disk, place_file(out, number, DISK_FILE, error));
    return disk->part.path != NULL;
}

/* A disk's other files are beside it in a folder, and taken out of an archive. All must be whole. */
static gboolean settle_files(const TakeOut *out, guint number, GError **error)
{
    BundleDisk *disk = &g_array_index(out->disks, BundleDisk, number);
    gboolean lies = out->parcel->folder && !disk->own;
    g_auto(GStrv) extents = ingot_ties_extents(&disk->part, disk->name, disk->format, error);
    gboolean all = extents != NULL && (extents[0] == NULL || lies || take_extents(out, number, extents, error));
    return all && ingot_ties_check(&disk->part, disk->name, disk->format, error);
}

gboolean takeout_disks(const TakeOut *out, GError **error)
{
    if (!check_disks(out->parcel, out->found, error)) {
        return FALSE;
    }
    for (guint i = 0; i < out->found->disks->len; i++) {
        const FoundDisk *found = &g_array_index(out->found->disks, FoundDisk, i);
        const BundleDisk disk = {.name = g_strdup_printf("%s: %s", out->parcel->name, found->name), .bus = found->bus};
        g_array_append_val(out->disks, disk);
    }
    if (!read_disks(out, error)) {
        return FALSE;
    }
    for (guint i = 0; i < out->disks->len; i++) {
        BundleDisk *disk = &g_array_index(out->disks, BundleDisk, i);
        if (!settle_format(disk, &g_array_index(out->found->disks, FoundDisk, i), error) ||
            !settle_files(out, i, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
