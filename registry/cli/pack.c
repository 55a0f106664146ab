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

#define NOT_GIVEN G_MININT

typedef struct {
    char *sha256;
    int threads;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->sha256);
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

/* A pipe would be waited for, and what is read of it is gone. */
static gboolean check_disk(const char *path, GError **error)
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
    return refuse_stdin(disk, error) && check_disk(disk, error) && unchanged_add(files, disk, error) &&
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

static IngotPacked *pack(IngotStore *store, IngotBundle *bundle, const char *name, const IngotPackOptions *options,
                         GError **error)
{
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, 0, error);
    if (blocks == NULL || !ingot_bundle_look(bundle, blocks, error)) {
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

static gboolean add_image(IngotStore *store, const IngotReference *reference, const IngotPacked *packed,
                          const IngotBundle *bundle, IngotDigest *digest, GError **error)
{
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    IngotDescriptor manifest;
    g_autoptr(json_t) config = ingot_config_new(ingot_bundle_architecture(bundle), packed->index->disk_size);
    ingot_bundle_describe(bundle, config, 0);
    if (!ingot_store_add_image(store, reference->name, reference->tag, config, NULL, &disk, 1, &manifest, error)) {
        return FALSE;
    }
    *digest = manifest.digest;
    return TRUE;
}

static gboolean make(const char *disk, const IngotReference *reference, const Arguments *arguments, IngotDigest *digest,
                     GError **error)
{
    guint threads = arguments->threads == NOT_GIVEN ? 0 : (guint)arguments->threads;
    const IngotPackOptions options = {.threads = threads, .progress = ingot_command_progress()};
    IngotDigest wanted;
    if (arguments->sha256 != NULL && !parse_sha256(arguments->sha256, &wanted, error)) {
        return FALSE;
    }
    g_autoptr(IngotLock) use = NULL;
    g_autoptr(Unchanged) files = unchanged_new();
    g_autofree char *path = locate(disk, arguments->sha256 == NULL ? NULL : &wanted, files, &use, error);
    g_autofree char *name = ingot_text_url(disk);
    g_autoptr(IngotBundle) bundle = path == NULL ? NULL : ingot_bundle_open(path, name, files, options.progress, error);
    if (bundle == NULL || !ingot_bundle_has_one_disk(bundle, "pack", error)) {
        return FALSE;
    }
    g_autoptr(IngotStore) store = cli_store(error);
    g_autoptr(IngotPacked) packed = store == NULL ? NULL : pack(store, bundle, name, &options, error);
    return packed != NULL && add_image(store, reference, packed, bundle, digest, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {.threads = NOT_GIVEN};
    const GOptionEntry entries[] = {
        {"sha256", 0, 0, G_OPTION_ARG_STRING, &arguments.sha256, "what the file must be; a URL needs it", "HEX"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &arguments.threads, "How many threads compress (one per core)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_pack, entries, 2, 2, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[2], error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->host != NULL || reference->tag == NULL || reference->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: NAME:VERSION of the local store is expected",
                    argv[2]);
        return FALSE;
    }
    if (arguments.threads != NOT_GIVEN && arguments.threads < 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--threads %d: a number from 1 on is expected",
                    arguments.threads);
        return FALSE;
    }
    IngotDigest digest;
    if (!make(argv[1], reference, &arguments, &digest, error)) {
        return FALSE;
    }
    cli_print_result(argv[2], &digest);
    return TRUE;
}

const IngotVerb verb_pack = {"pack", "DISK NAME:VERSION", "make an image from a disk, an OVA or a Vagrant box",
                             "DISK is a file or a URL (http, https; with --sha256): raw, qcow2, vmdk, vhd, vhdx or "
                             "vdi, an OVA, or a Vagrant box\n"
                             "for libvirt, qemu, virtualbox, vmware or hyperv. Its content tells which. Only allocated "
                             "ranges are read. A disk that\n"
                             "stands on another file, or a machine of several disks, is refused.\n\n"
                             "Example:\n  ingot pack disk.qcow2 team/web:1.0.0\n  ingot pack web.ova team/web:1.0.0\n"
                             "  ingot pack https://images.example/web.box --sha256 "
                             "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef \\\n"
                             "      team/web:1.0.0\n",
                             run};
