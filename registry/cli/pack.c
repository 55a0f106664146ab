#include <errno.h>
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "base/unchanged.h"
#include "bundle/bundle.h"
#include "bundle/checked.h"
#include "bundle/download.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "image/architecture.h"
#include "image/magic.h"

#define NOT_GIVEN G_MININT

typedef struct {
    char *sha256, *format;
    char *architecture; /* as given; NULL: as the machine says */
    int threads;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->sha256);
    g_free(arguments->format);
    g_free(arguments->architecture);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

/* --- where the disk is --- */

static char *refuse_url(const char *url, gboolean known, GError **error)
{
    g_autofree char *name = ingot_text_url(url);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                known ? "%s: --sha256 HEX is missing: what is fetched is packed only if it is what was meant"
                      : "%s: only http:// and https:// are fetched",
                name);
    return NULL;
}

/* Its size and its holes are looked for first, and the content of a bundle is read here and there. */
static gboolean refuse_stdin(const char *disk, GError **error)
{
    if (strcmp(disk, "-") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "-: a disk is not read from standard input; write it to a file, and pack that (a file of this "
                    "name is ./-)");
        return FALSE;
    }
    return TRUE;
}

/* A pipe would be waited for, and what is read of it is gone. A digest is of one file. */
static gboolean check_disk(const char *path, gboolean has_digest, GError **error)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISDIR(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a disk is a file or a block device, or a folder that holds a machine", path);
        return FALSE;
    }
    if (S_ISDIR(st.st_mode) && has_digest) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: --sha256 is what a file must be, not a folder", path);
        return FALSE;
    }
    return TRUE;
}

/* A file here; free it. wanted NULL: no digest is told, which is for a file alone. files: what has to stay as it was
 * before its digest was taken. use: see ingot_download_cached. */
static char *locate(const char *disk, const IngotDigest *wanted, Unchanged *files, IngotLock **use, GError **error)
{
    if (g_regex_match_simple("^[A-Za-z][A-Za-z0-9+.-]*://", disk, G_REGEX_RAW, 0)) {
        gboolean known = g_regex_match_simple("^https?://", disk, G_REGEX_CASELESS | G_REGEX_RAW, 0);
        if (!known || wanted == NULL) {
            return refuse_url(disk, known, error);
        }
        return ingot_download_cached(ingot_command_common()->cache, disk, wanted, ingot_command_progress(), use, error);
    }
    return refuse_stdin(disk, error) && check_disk(disk, wanted != NULL, error) && unchanged_add(files, disk, error) &&
                   (wanted == NULL || ingot_checked_read(disk, disk, wanted, error))
               ? g_strdup(disk)
               : NULL;
}

static gboolean parse_sha256(const char *text, IngotDigest *digest, GError **error)
{
    g_autofree char *lower = g_ascii_strdown(g_str_has_prefix(text, "sha256:") ? text + strlen("sha256:") : text, -1);
    g_autofree char *full = g_strconcat("sha256:", lower, NULL);
    if (!ingot_digest_parse(full, digest, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--sha256 %s: 64 hex digits are expected", text);
        return FALSE;
    }
    return TRUE;
}

/* --- the image --- */

/* What an image is made of: one machine's disks, from one file or from several. */
typedef struct {
    GPtrArray *bundles;         /* of IngotBundle */
    GPtrArray *uses;            /* of IngotLock: see ingot_download_cached */
    GPtrArray *packed;          /* of IngotPacked: all disks, in order */
    const IngotBundle *machine; /* the one that tells what the machine is */
    guint first;                /* the number of its first disk */
    const char *architecture;   /* of the image, whatever that says of it; NULL: as that says */
} Making;

static void making_clear(Making *making)
{
    g_ptr_array_unref(making->packed);
    g_ptr_array_unref(making->bundles);
    g_ptr_array_unref(making->uses);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

static void free_bundle(gpointer bundle)
{
    ingot_bundle_free(bundle);
}

static void free_use(gpointer use)
{
    ingot_lock_release(use);
}

static void free_packed(gpointer packed)
{
    ingot_packed_free(packed);
}

static gboolean open_bundle(Making *making, const char *disk, const Arguments *arguments, const IngotDigest *wanted,
                            GError **error)
{
    IngotLock *use = NULL;
    g_autoptr(Unchanged) files = unchanged_new();
    g_autofree char *path = locate(disk, wanted, files, &use, error);
    g_autofree char *name = ingot_text_url(disk);
    if (use != NULL) {
        g_ptr_array_add(making->uses, use);
    }
    if (path == NULL) {
        return FALSE;
    }
    IngotBundle *bundle = arguments->format == NULL
                              ? ingot_bundle_open(path, name, files, ingot_command_progress(), error)
                              : ingot_bundle_open_disk(path, name, arguments->format, files, error);
    if (bundle == NULL) {
        return FALSE;
    }
    g_ptr_array_add(making->bundles, bundle);
    return wanted == NULL || ingot_bundle_is_one_file(bundle, error);
}

/* Plain disks may come beside a machine's, but not a second machine. */
static gboolean find_machine(Making *making, char **disks, GError **error)
{
    guint count = 0;
    for (guint i = 0; i < making->bundles->len; i++) {
        const IngotBundle *bundle = g_ptr_array_index(making->bundles, i);
        gboolean tells = !ingot_bundle_is_disk(bundle);
        if (tells && making->machine != NULL && !ingot_bundle_is_disk(making->machine)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a second machine, an image is one", disks[i]);
            return FALSE;
        }
        if (tells || making->machine == NULL) {
            making->machine = bundle;
            making->first = count;
        }
        count += ingot_bundle_count(bundle);
    }
    if (count > INGOT_DISKS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %u disks, an image has %u at most", disks[0], count,
                    INGOT_DISKS_MAX);
        return FALSE;
    }
    return TRUE;
}

static IngotPacked *pack(IngotStore *store, IngotBundle *bundle, guint number, const char *name,
                         const IngotPackOptions *options, GError **error)
{
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, number, error);
    if (blocks == NULL || (number == 0 && !ingot_bundle_look(bundle, blocks, error))) {
        return NULL;
    }
    ingot_progress_begin(options->progress, ingot_blocks_size(blocks), "pack %s", name);
    IngotPacked *packed = ingot_store_pack(store, blocks, options, error);
    if (packed != NULL) {
        g_autofree char *data = ingot_text_size(packed->data), *stored = ingot_text_size(packed->size);
        ingot_progress_end(options->progress, "%s of data, %s stored, %u chunks", data, stored,
                           packed->index->chunks->len);
    }
    return packed;
}

static gboolean pack_bundle(Making *making, IngotStore *store, IngotBundle *bundle, const char *disk,
                            const IngotPackOptions *options, GError **error)
{
    guint count = ingot_bundle_count(bundle);
    g_autofree char *whole = ingot_text_url(disk);
    for (guint i = 0; i < count; i++) {
        const char *name = count == 1 ? whole : ingot_bundle_disk_name(bundle, i);
        IngotPacked *packed = pack(store, bundle, i, name, options, error);
        if (packed == NULL) {
            return FALSE;
        }
        g_ptr_array_add(making->packed, packed);
    }
    return TRUE;
}

static gboolean add_image(IngotStore *store, const IngotReference *reference, const Making *making, IngotDigest *digest,
                          GError **error)
{
    g_autoptr(GArray) disks = g_array_new(FALSE, FALSE, sizeof(IngotPackedDisk));
    g_autoptr(json_t) config = NULL;
    IngotDescriptor manifest;
    for (guint i = 0; i < making->packed->len; i++) {
        const IngotPacked *packed = g_ptr_array_index(making->packed, i);
        const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
        g_array_append_val(disks, disk);
        if (i == 0) {
            config = ingot_config_new(ingot_bundle_architecture(making->machine), packed->index->disk_size);
        } else {
            ingot_config_add_disk(config, packed->index->disk_size);
        }
    }
    ingot_bundle_describe(making->machine, config, making->first);
    if (making->architecture != NULL) {
        ingot_json_set_string(config, "architecture", making->architecture);
    }
    if (!ingot_store_add_image(store, reference->name, reference->tag, config, NULL,
                               (const IngotPackedDisk *)(gpointer)disks->data, disks->len, &manifest, error)) {
        return FALSE;
    }
    *digest = manifest.digest;
    return TRUE;
}

/* All is found to be right before the first disk is packed. */
static gboolean make(char **disks, const IngotReference *reference, const Arguments *arguments, IngotDigest *digest,
                     GError **error)
{
    guint threads = arguments->threads == NOT_GIVEN ? 0 : (guint)arguments->threads;
    const IngotPackOptions options = {.threads = threads, .progress = ingot_command_progress()};
    g_auto(Making) making = {.architecture = architecture_word(arguments->architecture),
                             .bundles = g_ptr_array_new_with_free_func(free_bundle),
                             .uses = g_ptr_array_new_with_free_func(free_use),
                             .packed = g_ptr_array_new_with_free_func(free_packed)};
    IngotDigest wanted;
    if (arguments->sha256 != NULL && !parse_sha256(arguments->sha256, &wanted, error)) {
        return FALSE;
    }
    for (guint i = 0; disks[i] != NULL; i++) {
        if (!open_bundle(&making, disks[i], arguments, arguments->sha256 == NULL ? NULL : &wanted, error)) {
            return FALSE;
        }
    }
    if (!find_machine(&making, disks, error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store(error);
    for (guint i = 0; store != NULL && i < making.bundles->len; i++) {
        if (!pack_bundle(&making, store, g_ptr_array_index(making.bundles, i), disks[i], &options, error)) {
            return FALSE;
        }
    }
    return store != NULL && add_image(store, reference, &making, digest, error);
}

static gboolean check_format(const char *format, GError **error)
{
    if (format != NULL && magic_format(format) == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--format %s: raw, qcow2, vmdk, vpc, vhdx or vdi is expected (vpc is a .vhd)", format);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_arguments(const Arguments *arguments, int disks, GError **error)
{
    if (arguments->threads != NOT_GIVEN && arguments->threads < 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--threads %d: a number from 1 on is expected",
                    arguments->threads);
        return FALSE;
    }
    if (arguments->architecture != NULL && !architecture_check(arguments->architecture, error)) {
        return FALSE;
    }
    if (arguments->sha256 != NULL && disks > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--sha256 is what one file must be, and there are %d: check them before, as with sha256sum -c",
                    disks);
        return FALSE;
    }
    return check_format(arguments->format, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {.threads = NOT_GIVEN};
    const GOptionEntry entries[] = {
        {"format", 'F', 0, G_OPTION_ARG_STRING, &arguments.format, "what each disk is, whatever it looks like",
         "FORMAT"},
        {"arch", 0, 0, G_OPTION_ARG_STRING, &arguments.architecture,
         "what processors it is for: amd64, arm64, ... (what the machine or its disk says, else amd64)", "ARCH"},
        {"sha256", 0, 0, G_OPTION_ARG_STRING, &arguments.sha256, "what the file must be; a URL needs it", "HEX"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &arguments.threads, "How many threads compress (one per core)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_pack, entries, 2, G_MAXINT, &argc, &argv, error)) {
        return FALSE;
    }
    const char *name = argv[argc - 1];
    g_autoptr(IngotReference) reference = ingot_reference_parse(name, error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->host != NULL || reference->tag == NULL || reference->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: NAME:VERSION of the local store is expected", name);
        return FALSE;
    }
    IngotDigest digest;
    g_auto(GStrv) disks = g_strdupv(argv + 1);
    g_clear_pointer(&disks[argc - 2], g_free);
    if (!check_arguments(&arguments, argc - 2, error) || !make(disks, reference, &arguments, &digest, error)) {
        return FALSE;
    }
    cli_print_result(name, &digest);
    return TRUE;
}

const IngotVerb verb_pack = {
    "pack", "DISK... NAME:VERSION", "make an image from disks, an OVA or a Vagrant box",
    "DISK is a file or a URL (http, https; with --sha256): raw, qcow2, vmdk, vhd, vhdx or vdi, an OVA, or a Vagrant "
    "box\n"
    "for libvirt, qemu, virtualbox, vmware, hyperv or utm. Its content tells which. It may be the folder, too, in "
    "which an "
    "OVF,\n"
    "VMware's or Hyper-V's machine lies with its files, or the *.ovf or *.vmx there. A machine's disks, and those "
    "given one "
    "after "
    "another,\n"
    "are the image's, in that order. Only allocated ranges are read. A disk that stands on another file is refused; so "
    "is "
    "a\n"
    "file that is none of those nor begins as a disk does, unless it is called *.raw or --format says what it is: raw, "
    "qcow2,\n"
    "vmdk, vpc (a .vhd), vhdx or vdi.\n\n"
    "Example:\n  ingot pack disk.qcow2 team/web:1.0.0\n  ingot pack system.qcow2 data.raw team/db:1.0.0\n"
    "  ingot pack web.ova team/web:1.0.0\n  ingot pack --format raw /srv/data.img team/data:1.0.0\n"
    "  ingot pack https://images.example/web.box --sha256 "
    "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef \\\n"
    "      team/web:1.0.0\n",
    run};
