#include "bundle/bundle.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "bundle/checksums.h"
#include "bundle/find.h"
#include "bundle/refuse.h"
#include "image/nbd.h"
#include "image/openblocks.h"
#include "image/ties.h"

#define DISK_SLACK (64u << 20) /* bytes of tables that a disk's file may have, and a tenth of its content */
#define DISK_FILE ".disk"      /* in the work folder: no extent is called so */

struct IngotBundle {
    char *name;         /* "web.ova: web.vmdk" for messages */
    char *file;         /* the disk's, or the archive it lies in */
    IngotPart part;     /* of that */
    const char *format; /* of the disk */
    gboolean uefi, is_disk;
    IngotWorkdir *workdir; /* of what is unpacked; or NULL */
    Unchanged *files;      /* that the disk is read from */
};

void ingot_bundle_free(IngotBundle *bundle)
{
    if (bundle != NULL) {
        ingot_workdir_free(bundle->workdir);
        unchanged_unref(bundle->files);
        g_free(bundle->name);
        g_free(bundle->file);
        g_free(bundle);
    }
}

static gboolean find_disk(const Parcel *parcel, FoundDisk *found, GError **error)
{
    const ParcelMember *metadata = parcel_find(parcel, "metadata.json");
    g_autoptr(GPtrArray) descriptors = parcel_texts(parcel, ".ovf");
    if (metadata != NULL && metadata->text != NULL) {
        return find_in_box(parcel, metadata, found, error);
    }
    if (descriptors->len == 1) {
        return find_in_ovf(parcel, g_ptr_array_index(descriptors, 0), found, error);
    }
    g_autofree char *list = parcel_list_members(descriptors->len > 1 ? descriptors : parcel->members);
    if (descriptors->len > 1) {
        return bundle_refuse(parcel->name, error, "it has several descriptors (%s), an image is one machine", list);
    }
    return bundle_refuse(parcel->name, error,
                         "neither an OVA (it has no *.ovf) nor a Vagrant box (it has no metadata.json): it holds %s",
                         parcel->members->len == 0 ? "nothing (a disk that is compressed is to be unpacked first)"
                                                   : list);
}

/* A file of a disk is hardly larger than the disk; what is, fills file systems and holds none. */
static gboolean check_size(const Parcel *parcel, const FoundDisk *found, GError **error)
{
    guint64 size = found->member->size, capacity = found->capacity;
    if (capacity == 0 || size <= capacity || size - capacity <= capacity / 10 + DISK_SLACK) {
        return TRUE;
    }
    g_autofree char *has = ingot_text_size(size), *holds = ingot_text_size(capacity);
    return bundle_refuse(parcel->name, error, "'%s' is %s large, more than a disk of %s explains", found->member->name,
                         has, holds);
}

/* --- reading --- */

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
static gboolean take(const Parcel *parcel, GArray *takes, IngotProgress *progress, GError **error)
{
    if (!parcel_take(parcel, (const ParcelTake *)(gpointer)takes->data, takes->len, progress, error)) {
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

/* The member will be the file of that name in the work folder, which is made when the first comes. */
static char *add_file(IngotBundle *bundle, const ParcelMember *member, const char *name, GArray *takes, GError **error)
{
    if (bundle->workdir == NULL && (bundle->workdir = ingot_workdir_new(error)) == NULL) {
        return NULL;
    }
    g_autofree char *path = ingot_workdir_file(bundle->workdir, name);
    ParcelTake one = {.member = member,
                      .fd = ingot_file_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, error)};
    if (one.fd < 0) {
        return NULL;
    }
    g_array_append_val(takes, one);
    return g_steal_pointer(&path);
}

static gboolean add_disk(IngotBundle *bundle, const ParcelMember *member, GArray *takes, GError **error)
{
    char *path = add_file(bundle, member, DISK_FILE, takes, error);
    if (path == NULL) {
        return FALSE;
    }
    g_free(bundle->file);
    bundle->file = path;
    bundle->part = (IngotPart){.path = path};
    return TRUE;
}

/* What the manifests (one, as a rule) say of the members, in their order; each is taken to be summed up. */
static GPtrArray *add_checksums(const Parcel *parcel, GArray *takes, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(checksum_free);
    g_autoptr(GPtrArray) manifests = parcel_texts(parcel, ".mf");
    for (guint i = 0; i < manifests->len; i++) {
        const ParcelMember *manifest = g_ptr_array_index(manifests, i);
        g_autofree char *name = g_strdup_printf("%s: %s", parcel->name, manifest->name);
        GPtrArray *checksums = checksums_parse(manifest->text, manifest->text_size, name, error);
        if (checksums == NULL) {
            return NULL;
        }
        guint first = all->len;
        g_ptr_array_extend_and_steal(all, checksums);
        for (guint j = first; j < all->len; j++) {
            const Checksum *checksum = g_ptr_array_index(all, j);
            ParcelTake one = {.member = parcel_need(parcel, checksum->file, manifest->name, error), .fd = -1};
            if (one.member == NULL) {
                return NULL;
            }
            one.sum = g_checksum_new(checksum->type);
            g_array_append_val(takes, one);
        }
    }
    return g_steal_pointer(&all);
}

static gboolean check_sums(const Parcel *parcel, const GPtrArray *checksums, const GArray *takes, GError **error)
{
    for (guint i = 0; i < checksums->len; i++) {
        const Checksum *checksum = g_ptr_array_index(checksums, i);
        const char *has = g_checksum_get_string(g_array_index(takes, ParcelTake, i).sum);
        if (strcmp(has, checksum->hex) != 0) {
            return bundle_refuse(parcel->name, error, "the digest of '%s' is %s, but its manifest says %s",
                                 checksum->file, has, checksum->hex);
        }
    }
    return TRUE;
}

/* One pass through the archive: all digests, and the disk, unless it can be read where it lies. */
static gboolean read_disk(IngotBundle *bundle, const Parcel *parcel, const FoundDisk *found, IngotProgress *progress,
                          GError **error)
{
    g_autoptr(GArray) takes = takes_new();
    g_autoptr(GPtrArray) checksums = add_checksums(parcel, takes, error);
    if (checksums == NULL) {
        return FALSE;
    }
    if (found->member->offset != 0) {
        bundle->file = g_strdup(parcel->path);
        bundle->part = (IngotPart){bundle->file, found->member->offset, found->member->size};
    } else if (!add_disk(bundle, found->member, takes, error)) {
        return FALSE;
    }
    return take(parcel, takes, progress, error) && check_sums(parcel, checksums, takes, error);
}

/* --- what the disk is --- */

/* What the disk should be, by what describes it or by its name; NULL: anything. */
static const char *expected_format(const FoundDisk *found)
{
    static const char *const suffixes[][2] = {
        {".vmdk", "vmdk"}, {".qcow2", "qcow2"}, {".vdi", "vdi"}, {".vhdx", "vhdx"}, {".vhd", "vpc"},
    };
    const char *format = found->format;
    for (guint i = 0; format == NULL && i < G_N_ELEMENTS(suffixes); i++) {
        format = g_str_has_suffix(found->member->name, suffixes[i][0]) ? suffixes[i][1] : NULL;
    }
    return format;
}

/* A raw disk is what it is said to be, whatever its first bytes look like. */
static gboolean settle_format(IngotBundle *bundle, const FoundDisk *found, GError **error)
{
    const char *expected = expected_format(found);
    bundle->format = g_strcmp0(expected, "raw") == 0 ? expected : ingot_blocks_probe_part(&bundle->part, error);
    if (bundle->format == NULL) {
        return FALSE;
    }
    if (expected != NULL && strcmp(bundle->format, expected) != 0) {
        return bundle_refuse(bundle->name, error, "it is no %s, as it should be", expected);
    }
    return TRUE;
}

/* Extents lie beside the disk, so both are unpacked. */
static gboolean read_extents(IngotBundle *bundle, const Parcel *parcel, const FoundDisk *found, char **extents,
                             IngotProgress *progress, GError **error)
{
    g_autoptr(GArray) takes = takes_new();
    g_autofree char *folder = g_path_get_dirname(found->member->name);
    if (bundle->part.length != 0 && !add_disk(bundle, found->member, takes, error)) {
        return FALSE;
    }
    for (guint i = 0; extents[i] != NULL; i++) {
        g_autofree char *name =
            strcmp(folder, ".") == 0 ? g_strdup(extents[i]) : g_build_filename(folder, extents[i], NULL);
        const ParcelMember *member = parcel_need(parcel, name, found->member->name, error);
        g_autofree char *path = member == NULL ? NULL : add_file(bundle, member, extents[i], takes, error);
        if (path == NULL) {
            return FALSE;
        }
    }
    return take(parcel, takes, progress, error) && ingot_ties_check(bundle->file, bundle->name, bundle->format, error);
}

/* --- the whole --- */

static gboolean open_parcel(IngotBundle *bundle, const Parcel *parcel, IngotProgress *progress, GError **error)
{
    FoundDisk found = {0};
    if (!find_disk(parcel, &found, error)) {
        return FALSE;
    }
    g_assert(found.member != NULL);
    if (!check_size(parcel, &found, error)) {
        return FALSE;
    }
    g_free(bundle->name);
    bundle->name = g_strdup_printf("%s: %s", parcel->name, found.member->name);
    bundle->uefi = found.uefi;
    if (found.member->size == 0) {
        return bundle_refuse(bundle->name, error, "the disk is an empty file");
    }
    if (!read_disk(bundle, parcel, &found, progress, error) || !settle_format(bundle, &found, error)) {
        return FALSE;
    }
    g_auto(GStrv) extents = ingot_ties_extents(&bundle->part, bundle->name, bundle->format, error);
    return extents != NULL && (extents[0] == NULL || read_extents(bundle, parcel, &found, extents, progress, error));
}

static gboolean open_disk(IngotBundle *bundle, const char *path, GError **error)
{
    bundle->file = g_strdup(path);
    bundle->part = (IngotPart){.path = bundle->file};
    bundle->is_disk = TRUE;
    bundle->format = ingot_blocks_probe(path, error);
    return bundle->format != NULL && ingot_ties_check(path, bundle->name, bundle->format, error);
}

/* An archive that the disk was taken out of has been read; what is done to it from here on is no concern. */
static gboolean leave_archive(IngotBundle *bundle, const char *path, GError **error)
{
    if (g_strcmp0(bundle->part.path, path) == 0) {
        return TRUE;
    }
    gboolean ok = unchanged_check(bundle->files, bundle->name, error);
    unchanged_unref(bundle->files);
    bundle->files = unchanged_new();
    return ok;
}

IngotBundle *ingot_bundle_open(const char *path, const char *name, Unchanged *files, IngotProgress *progress,
                               GError **error)
{
    g_autoptr(IngotBundle) bundle = g_new0(IngotBundle, 1);
    gboolean is_parcel;
    bundle->name = g_strdup(name);
    bundle->files = files == NULL ? unchanged_new() : unchanged_ref(files);
    if (!unchanged_add(bundle->files, path, error) || !parcel_probe(path, &is_parcel, error)) {
        return NULL;
    }
    g_autoptr(Parcel) parcel = is_parcel ? parcel_open(path, name, error) : NULL;
    gboolean ok =
        parcel != NULL ? open_parcel(bundle, parcel, progress, error) : !is_parcel && open_disk(bundle, path, error);
    return ok && leave_archive(bundle, path, error) ? g_steal_pointer(&bundle) : NULL;
}

IngotBlocks *ingot_bundle_blocks(const IngotBundle *bundle, GError **error)
{
    return blocks_open_since(bundle->files, &bundle->part, bundle->name, bundle->format, error);
}

const char *ingot_bundle_format(const IngotBundle *bundle)
{
    return bundle->format;
}

gboolean ingot_bundle_is_disk(const IngotBundle *bundle)
{
    return bundle->is_disk;
}

gboolean ingot_bundle_convert(const IngotBundle *bundle, const char *path, GError **error)
{
    if (!blocks_find_files(bundle->files, &bundle->part, bundle->name, bundle->format, error)) {
        return FALSE;
    }
    g_autoptr(IngotNbd) nbd = ingot_nbd_open_part(&bundle->part, bundle->name, bundle->format, error);
    if (nbd == NULL) {
        return FALSE;
    }
    const char *const argv[] = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", ingot_nbd_uri(nbd), path, NULL};
    return ingot_process_run(argv, NULL, NULL, error) && unchanged_check(bundle->files, bundle->name, error);
}

gboolean ingot_bundle_uefi(const IngotBundle *bundle)
{
    return bundle->uefi;
}
