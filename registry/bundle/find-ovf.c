#include <string.h>

#include "bundle/find.h"
#include "bundle/inflate.h"
#include "bundle/ovf.h"
#include "bundle/refuse.h"

#define PIECES_MAX 1000u /* as many members as a parcel may have */

/* A name is a URI ("my%20disk.vmdk") that is relative to the descriptor. */
static const ParcelMember *need_file(const Parcel *parcel, const ParcelMember *descriptor, const char *href,
                                     GError **error)
{
    g_autofree char *plain = g_uri_unescape_string(href, NULL);
    g_autofree char *unescaped = plain == NULL ? NULL : parcel_beside(descriptor, plain);
    g_autofree char *literal = parcel_beside(descriptor, href);
    const ParcelMember *member = unescaped == NULL ? NULL : parcel_find(parcel, unescaped);
    return member != NULL && member->file ? member : parcel_need(parcel, literal, descriptor->name, error);
}

/* The name of the number'th chunk. Free it. */
static char *chunk_name(const char *stem, guint number)
{
    return g_strdup_printf("%s.%09u", stem, number);
}

/* What the names of all chunks begin with, in the spelling that the first one has. Free it. */
static char *find_stem(const Parcel *parcel, const ParcelMember *descriptor, const char *href)
{
    g_autofree char *plain = g_uri_unescape_string(href, NULL);
    g_autofree char *unescaped = plain == NULL ? NULL : parcel_beside(descriptor, plain);
    g_autofree char *first = unescaped == NULL ? NULL : chunk_name(unescaped, 0);
    const ParcelMember *member = first == NULL ? NULL : parcel_find(parcel, first);
    return member != NULL && member->file ? g_steal_pointer(&unescaped) : parcel_beside(descriptor, href);
}

/* Whether a parcel has a file of that name with a number behind it: what snapshots, or chunks that nobody tells of, are
 * called. */
static const ParcelMember *find_numbered(const Parcel *parcel, const ParcelMember *descriptor, const OvfFile *file)
{
    g_autofree char *stem = find_stem(parcel, descriptor, file->href), *first = chunk_name(stem, 0);
    return parcel_find(parcel, first);
}

/* HREF.000000000 and so on: each is of chunkSize bytes, but for the last, which may be shorter. */
static gboolean find_pieces(const Parcel *parcel, const ParcelMember *descriptor, const OvfFile *file, const char *stem,
                            FoundDisk *disk, GError **error)
{
    const ParcelMember *last = NULL;
    for (guint i = 0; i < PIECES_MAX; i++) {
        g_autofree char *name = chunk_name(stem, i);
        const ParcelMember *piece =
            i == 0 ? parcel_need(parcel, name, descriptor->name, error) : parcel_find(parcel, name);
        if (i > 0 && (piece == NULL || !piece->file)) {
            break;
        }
        if (piece == NULL) {
            return FALSE;
        }
        if (last != NULL && last->size != file->chunk) {
            return bundle_refuse(parcel->name, error,
                                 "'%.200s' has %" G_GUINT64_FORMAT " bytes, but the descriptor says that each chunk "
                                 "but the last has %" G_GUINT64_FORMAT,
                                 last->name, last->size, file->chunk);
        }
        g_ptr_array_add(disk->files, (gpointer)piece);
        last = piece;
    }
    disk->piece = file->chunk;
    return TRUE;
}

/* Beside a descriptor, what lies there is seen as it is looked for. */
static void look_behind(const Parcel *parcel, const char *stem, guint from)
{
    for (guint i = from; !parcel->listed && i < PIECES_MAX; i++) {
        g_autofree char *name = chunk_name(stem, i);
        (void)parcel_find(parcel, name);
    }
}

/* Those that come after a gap would be left out. */
static gboolean check_gaps(const Parcel *parcel, const char *stem, const OvfFile *file, const FoundDisk *disk,
                           GError **error)
{
    g_autofree char *prefix = g_strconcat(stem, ".", NULL);
    guint seen = 0;
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        const char *number = member->name + strlen(prefix);
        seen += g_str_has_prefix(member->name, prefix) && strlen(number) == 9 && strspn(number, "0123456789") == 9;
    }
    return seen == disk->files->len ||
           bundle_refuse(parcel->name, error, "of the chunks of '%.200s', number %u is missing", file->href,
                         disk->files->len);
}

/* Those that are missing at the end leave no gap. */
static gboolean check_end(const Parcel *parcel, const OvfFile *file, const FoundDisk *disk, GError **error)
{
    const ParcelMember *last = g_ptr_array_index(disk->files, disk->files->len - 1);
    guint64 size = (disk->files->len - 1) * file->chunk + last->size;
    if (last->size > file->chunk) {
        return bundle_refuse(parcel->name, error,
                             "'%.200s' has %" G_GUINT64_FORMAT
                             " bytes, but the descriptor says that each chunk has %" G_GUINT64_FORMAT " at most",
                             last->name, last->size, file->chunk);
    }
    return file->size == 0 || file->size == size ||
           bundle_refuse(parcel->name, error,
                         "the chunks of '%.200s' (%u) have %" G_GUINT64_FORMAT
                         " bytes together, but the descriptor says %" G_GUINT64_FORMAT,
                         file->href, disk->files->len, size, file->size);
}

static gboolean find_whole(const Parcel *parcel, const ParcelMember *descriptor, const OvfFile *file, FoundDisk *disk,
                           GError **error)
{
    const ParcelMember *member = need_file(parcel, descriptor, file->href, error);
    const ParcelMember *numbered = member == NULL ? find_numbered(parcel, descriptor, file) : NULL;
    if (numbered != NULL) {
        g_clear_error(error);
        return bundle_refuse(parcel->name, error,
                             "%s names '%.200s', of which only '%.200s' is there: the machine was exported with "
                             "snapshots; export it again without",
                             descriptor->name, file->href, numbered->name);
    }
    if (member != NULL) {
        g_ptr_array_add(disk->files, (gpointer)member);
    }
    return member != NULL;
}

static gboolean find_file(const Parcel *parcel, const ParcelMember *descriptor, const OvfFile *file, FoundDisk *disk,
                          const char *name, GError **error)
{
    disk->packed = file->compression == NULL ? NULL : inflate_kind(file->compression);
    if (file->compression != NULL && disk->packed == NULL) {
        return bundle_refuse(name, error, "the disk '%.200s' is compressed with %.50s; gzip and bzip2 are known",
                             file->href, file->compression);
    }
    if (file->chunk == 0) {
        return find_whole(parcel, descriptor, file, disk, error);
    }
    g_autofree char *stem = find_stem(parcel, descriptor, file->href);
    if (!find_pieces(parcel, descriptor, file, stem, disk, error)) {
        return FALSE;
    }
    look_behind(parcel, stem, disk->files->len);
    return check_gaps(parcel, stem, file, disk, error) && check_end(parcel, file, disk, error);
}

/* An empty disk is one of zeros beside others; alone it is no machine's. */
static gboolean check_drive(const Ovf *ovf, const OvfDisk *disk, const char *name, GError **error)
{
    const OvfFile *file = ovf_file(ovf, disk->file_id);
    if (disk->parent != NULL) {
        return bundle_refuse(name, error, "the disk '%.200s' stands on another one ('%.100s')",
                             file == NULL ? disk->id : file->href, disk->parent);
    }
    if (disk->file_id != NULL && file == NULL) {
        return bundle_refuse(name, error,
                             "the disk '%.100s' is in the file '%.100s', which is not among the references", disk->id,
                             disk->file_id);
    }
    if (file == NULL && (disk->capacity == 0 || ovf->drives->len == 1)) {
        return bundle_refuse(name, error, "the disk '%.100s' has no file: it is empty", disk->id);
    }
    return TRUE;
}

static gboolean add_drive(const Parcel *parcel, const ParcelMember *descriptor, const Ovf *ovf, const OvfDrive *drive,
                          const char *name, Found *found, GError **error)
{
    if (!check_drive(ovf, drive->disk, name, error)) {
        return FALSE;
    }
    const OvfFile *file = ovf_file(ovf, drive->disk->file_id);
    FoundDisk *disk = found_add(found, file == NULL ? drive->disk->id : file->href, NULL);
    disk->format = drive->disk->format;
    disk->capacity = drive->disk->capacity;
    disk->bus = drive->bus;
    return file == NULL || find_file(parcel, descriptor, file, disk, name, error);
}

static gboolean check_machines(const Ovf *ovf, const char *name, GError **error)
{
    g_autofree char *list = parcel_list_names(ovf->machines);
    if (ovf->machines->len > 1) {
        return bundle_refuse(name, error, "it describes %u machines (%s), an image is one", ovf->machines->len, list);
    }
    return ovf->drives->len > 0 || bundle_refuse(name, error, "it describes no disk");
}

gboolean find_in_ovf(const Parcel *parcel, const ParcelMember *descriptor, Found *found, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s: %s", parcel->name, descriptor->name);
    g_autoptr(Ovf) ovf = ovf_parse(descriptor->text, descriptor->text_size, name, error);
    if (ovf == NULL || !check_machines(ovf, name, error)) {
        return FALSE;
    }
    for (guint i = 0; i < ovf->drives->len; i++) {
        if (!add_drive(parcel, descriptor, ovf, &g_array_index(ovf->drives, OvfDrive, i), name, found, error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < ovf->unused->len; i++) {
        const OvfDisk *disk = g_ptr_array_index(ovf->unused, i);
        g_ptr_array_add(found->notes, g_strdup_printf("%s: the disk '%.100s' is left out, since the machine has no "
                                                      "drive for it",
                                                      name, disk->id));
    }
    found->uefi = ovf->uefi;
    found->bios = ovf->bios && !ovf->uefi;
    found->architecture = ovf->architecture;
    return TRUE;
}
