#include "bundle/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "bundle/find.h"
#include "bundle/refuse.h"
#include "bundle/takeout.h"
#include "image/bootable.h"
#include "image/magic.h"
#include "image/nbd.h"
#include "image/openblocks.h"
#include "image/ties.h"

#define TEXT_PROBED 4096u

struct IngotBundle {
    char *name;    /* for messages */
    GArray *disks; /* of BundleDisk */
    gboolean is_disk, is_folder;
    gboolean uefi, bios;      /* what the machine boots by; neither: it is not known */
    const char *architecture; /* or NULL */
    const char *provider;     /* of a box; else NULL */
    json_t *vagrant;          /* or NULL */
    IngotWorkdir *workdir;    /* of what is unpacked; or NULL */
    Unchanged *files;         /* that the disks are read from */
};

void ingot_bundle_free(IngotBundle *bundle)
{
    if (bundle != NULL) {
        g_array_unref(bundle->disks);
        ingot_workdir_free(bundle->workdir);
        unchanged_unref(bundle->files);
        json_decref(bundle->vagrant);
        g_free(bundle->name);
        g_free(bundle);
    }
}

static BundleDisk *disk_of(const IngotBundle *bundle, guint number)
{
    g_assert(number < bundle->disks->len);
    return &g_array_index(bundle->disks, BundleDisk, number);
}

/* --- opening --- */

/* Text that begins as an OVF descriptor or VMware's *.vmx does, whatever the file is called. */
static gboolean probe_descriptor(const char *path, gboolean *is, GError **error)
{
    static const char *const beginnings[] = {
        "^(\xef\xbb\xbf)?\\s*<(\\?xml|!--|([A-Za-z]+:)?Envelope).*Envelope",
        "^(#![^\n]*\n)?(\\.encoding|config\\.version|virtualHW\\.version)\\s*=\\s*\"",
    };
    g_autofree char *text = g_malloc0(TEXT_PROBED + 1);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    ssize_t got = pread(fd, text, TEXT_PROBED, 0);
    if (got < 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    for (guint i = 0; i < G_N_ELEMENTS(beginnings); i++) {
        *is = *is || g_regex_match_simple(beginnings[i], text, G_REGEX_RAW | G_REGEX_DOTALL, 0);
    }
    return TRUE;
}

/* A folder, an archive, or a descriptor with its files beside it; *parcel stays NULL where it is a disk. */
static gboolean open_parcel(const char *path, const char *name, Parcel **parcel, IngotProgress *progress,
                            GError **error)
{
    gboolean is_archive = FALSE, is_descriptor = FALSE;
    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        *parcel = parcel_open_folder(path, name, error);
        return *parcel != NULL;
    }
    if (!parcel_probe(path, &is_archive, error) || !probe_descriptor(path, &is_descriptor, error)) {
        return FALSE;
    }
    if (is_archive || is_descriptor) {
        *parcel = is_archive ? parcel_open(path, name, progress, error) : parcel_open_beside(path, name, error);
        return *parcel != NULL;
    }
    return TRUE;
}

/* format: NULL: its content tells. */
static gboolean open_disk(IngotBundle *bundle, const char *path, const char *format, GError **error)
{
    const IngotPart whole = {.path = path};
    const char *known = format != NULL ? magic_format(format) : magic_probe(&whole, bundle->name, error);
    const BundleDisk disk = {g_strdup(bundle->name), {.path = g_strdup(path)}, known, NULL, FALSE};
    g_array_append_val(bundle->disks, disk);
    bundle->is_disk = TRUE;
    return known != NULL && ingot_ties_check(&whole, bundle->name, known, error);
}

/* What of a box comes along. */
static json_t *vagrant_of(const Found *found)
{
    g_autoptr(json_t) info = found->info == NULL ? NULL : json_loads(found->info, 0, NULL);
    json_t *vagrant = json_pack("{s:s}", "provider", found->provider);
    if (found->vagrantfile != NULL) {
        json_object_set_new(vagrant, "vagrantfile", json_string(found->vagrantfile));
    }
    if (json_is_object(info)) {
        json_object_set(vagrant, "info", info);
    }
    return vagrant;
}

/* Machines of ARM's boot by UEFI alone. */
static void settle_firmware(IngotBundle *bundle)
{
    bundle->uefi = bundle->uefi || (!bundle->bios && g_strcmp0(bundle->architecture, "arm64") == 0);
}

static void take_machine(IngotBundle *bundle, const Found *found)
{
    bundle->uefi = found->uefi;
    bundle->bios = found->bios;
    bundle->architecture = found->architecture;
    bundle->provider = found->provider;
    settle_firmware(bundle);
    if (found->provider != NULL && (found->vagrantfile != NULL || found->info != NULL)) {
        bundle->vagrant = vagrant_of(found);
    }
}

static gboolean open_machine(IngotBundle *bundle, const Parcel *parcel, IngotProgress *progress, GError **error)
{
    g_autoptr(Found) found = find_machine(parcel, error);
    if (found == NULL) {
        return FALSE;
    }
    if (found->disks->len > INGOT_DISKS_MAX) {
        return bundle_refuse(bundle->name, error, "the machine has %u disks, an image has %u at most",
                             found->disks->len, INGOT_DISKS_MAX);
    }
    for (guint i = 0; i < found->notes->len; i++) {
        ingot_progress_message(progress, "%s", (const char *)g_ptr_array_index(found->notes, i));
    }
    take_machine(bundle, found);
    bundle->is_folder = parcel->folder;
    const TakeOut out = {parcel, found, &bundle->workdir, bundle->files, bundle->disks, progress};
    return takeout_disks(&out, error);
}

/* Files that all disks were taken out of have been read; what is done to them from here on is no concern. */
static gboolean leave_parcel(IngotBundle *bundle, GError **error)
{
    for (guint i = 0; i < bundle->disks->len; i++) {
        if (!disk_of(bundle, i)->own) {
            return TRUE;
        }
    }
    gboolean ok = unchanged_check(bundle->files, bundle->name, error);
    unchanged_unref(bundle->files);
    bundle->files = unchanged_new();
    return ok;
}

static IngotBundle *bundle_new(const char *name, Unchanged *files)
{
    IngotBundle *bundle = g_new0(IngotBundle, 1);
    bundle->name = g_strdup(name);
    bundle->disks = g_array_new(FALSE, FALSE, sizeof(BundleDisk));
    g_array_set_clear_func(bundle->disks, bundle_disk_clear);
    bundle->files = files == NULL ? unchanged_new() : unchanged_ref(files);
    return bundle;
}

IngotBundle *ingot_bundle_open(const char *path, const char *name, Unchanged *files, IngotProgress *progress,
                               GError **error)
{
    g_autoptr(IngotBundle) bundle = bundle_new(name, files);
    g_autoptr(Parcel) parcel = NULL;
    if (!unchanged_add(bundle->files, path, error) || !open_parcel(path, name, &parcel, progress, error)) {
        return NULL;
    }
    gboolean ok = parcel != NULL ? open_machine(bundle, parcel, progress, error) : open_disk(bundle, path, NULL, error);
    return ok && leave_parcel(bundle, error) ? g_steal_pointer(&bundle) : NULL;
}

IngotBundle *ingot_bundle_open_disk(const char *path, const char *name, const char *format, Unchanged *files,
                                    GError **error)
{
    g_return_val_if_fail(magic_format(format) != NULL, NULL);
    g_autoptr(IngotBundle) bundle = bundle_new(name, files);
    return unchanged_add(bundle->files, path, error) && open_disk(bundle, path, format, error)
               ? g_steal_pointer(&bundle)
               : NULL;
}

/* --- its disks --- */

guint ingot_bundle_count(const IngotBundle *bundle)
{
    return bundle->disks->len;
}

IngotBlocks *ingot_bundle_blocks(const IngotBundle *bundle, guint number, GError **error)
{
    const BundleDisk *disk = disk_of(bundle, number);
    return blocks_open_since(bundle->files, &disk->part, disk->name, disk->format, error);
}

const char *ingot_bundle_format(const IngotBundle *bundle, guint number)
{
    return disk_of(bundle, number)->format;
}

const char *ingot_bundle_disk_name(const IngotBundle *bundle, guint number)
{
    return disk_of(bundle, number)->name;
}

gboolean ingot_bundle_is_disk(const IngotBundle *bundle)
{
    return bundle->is_disk;
}

gboolean ingot_bundle_is_one_file(const IngotBundle *bundle, GError **error)
{
    if (bundle->is_disk) {
        const BundleDisk *disk = disk_of(bundle, 0);
        return ingot_ties_check_alone(disk->part.path, disk->name, disk->format, error);
    }
    return !bundle->is_folder || bundle_refuse(bundle->name, error,
                                               "a machine of several files, which one digest does not tell of: make an "
                                               "OVA of them (a tar whose first file is the *.ovf)");
}

gboolean ingot_bundle_has_one_disk(const IngotBundle *bundle, const char *verb, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < bundle->disks->len; i++) {
        const char *name = disk_of(bundle, i)->name;
        gboolean inside = g_str_has_prefix(name, bundle->name) && name[strlen(bundle->name)] == ':';
        g_ptr_array_add(names, (char *)name + (inside ? strlen(bundle->name) + 2 : 0));
    }
    g_autofree char *list = parcel_list_names(names);
    return names->len == 1 ||
           bundle_refuse(bundle->name, error, "the machine has %u disks (%s), %s takes one", names->len, list, verb);
}

gboolean ingot_bundle_convert(const IngotBundle *bundle, guint number, const char *path, GError **error)
{
    const BundleDisk *disk = disk_of(bundle, number);
    if (!blocks_find_files(bundle->files, &disk->part, disk->name, disk->format, error)) {
        return FALSE;
    }
    g_autoptr(IngotNbd) nbd = ingot_nbd_open_part(&disk->part, disk->name, disk->format, error);
    if (nbd == NULL) {
        return FALSE;
    }
    const char *const argv[] = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", ingot_nbd_uri(nbd), path, NULL};
    return ingot_process_run(argv, NULL, NULL, error) && unchanged_check(bundle->files, disk->name, error);
}

/* --- its machine --- */

gboolean ingot_bundle_look(IngotBundle *bundle, IngotBlocks *first, GError **error)
{
    Bootable bootable;
    if ((bundle->uefi || bundle->bios) && bundle->architecture != NULL) {
        return TRUE;
    }
    if (!bootable_look(first, &bootable, error)) {
        return FALSE;
    }
    bundle->uefi = bundle->uefi || (!bundle->bios && bootable.uefi && !bootable.bios);
    bundle->architecture = bundle->architecture == NULL ? bootable.architecture : bundle->architecture;
    settle_firmware(bundle);
    return TRUE;
}

const char *ingot_bundle_told_architecture(const IngotBundle *bundle)
{
    return bundle->architecture;
}

const char *ingot_bundle_architecture(const IngotBundle *bundle)
{
    return bundle->architecture == NULL ? "amd64" : bundle->architecture;
}

const char *ingot_bundle_provider(const IngotBundle *bundle)
{
    return bundle->provider;
}

void ingot_bundle_describe(const IngotBundle *bundle, json_t *config, guint from)
{
    json_object_set_new(config, "architecture", json_string(ingot_bundle_architecture(bundle)));
    if (bundle->uefi) {
        json_object_set_new(config, "firmware", json_pack("[s]", "uefi"));
    }
    if (bundle->vagrant != NULL) {
        json_object_set(config, "vagrant", bundle->vagrant);
    }
    for (guint i = 0; i < bundle->disks->len; i++) {
        json_t *disk = ingot_config_disk(config, from + i);
        const char *bus = disk_of(bundle, i)->bus;
        /* SATA is what every machine has that export describes. */
        if (disk != NULL && bus != NULL && strcmp(bus, "sata") != 0) {
            json_object_set_new(disk, "bus", json_string(bus));
        }
    }
}
