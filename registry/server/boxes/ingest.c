#include "server/boxes/ingest.h"

#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/nameless.h"
#include "base/process.h"
#include "bundle/bundle.h"
#include "bundle/parcel.h"
#include "server/boxes/ingestblob.h"
#include "server/storage/mentions.h"
#include "vagrant/providers.h"

#define FOLDER "work" /* of the storage's: what is unpacked, and disks' blobs before they are stored */

/* A box that is being taken in. */
typedef struct {
    IngestTarget target;
    const IngestFacts *facts;
    const VagrantForm *form;
    const char *what;   /* it, for messages */
    const char *folder; /* for its work */
    IngotBundle *bundle;
    IngotManifest *manifest;
    json_t *config;
} Ingest;

/* --- whether it can be --- */

static const VagrantForm *form_of(const char *provider, GError **error)
{
    const VagrantForm *form = vagrant_form_of(provider);
    if (form == NULL) {
        g_autoptr(GString) known = g_string_new(NULL);
        for (guint i = 0; i < VAGRANT_FORMS; i++) {
            g_string_append_printf(known, "%s%s", i == 0 ? "" : ", ", vagrant_forms[i].provider);
        }
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "a box for %s cannot be made of an image again, so it is not taken; taken are boxes for %s",
                    provider, known->str);
    }
    return form;
}

gboolean ingest_knows_provider(const char *provider, GError **error)
{
    return form_of(provider, error) != NULL;
}

static gboolean refuse_file(const Ingest *ingest, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it is not a Vagrant box: %s", ingest->what, why);
    return FALSE;
}

/* Anything else might name files that lie beside it. */
static gboolean check_archive(const Ingest *ingest, const char *path, GError **error)
{
    gboolean is_archive;
    return parcel_probe(path, &is_archive, error) &&
           (is_archive || refuse_file(ingest, "it is neither a tar nor a zip", error));
}

static gboolean check_provider(const Ingest *ingest, GError **error)
{
    const char *provider = ingot_bundle_provider(ingest->bundle);
    if (provider == NULL) {
        return refuse_file(ingest, "it has no metadata.json", error);
    }
    const VagrantForm *form = vagrant_form_of(provider);
    if (form == NULL || strcmp(form->provider, ingest->form->provider) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its metadata.json says that it is for %s",
                    ingest->what, provider);
        return FALSE;
    }
    return TRUE;
}

/* --- its disks --- */

static gboolean add_index(const Ingest *ingest, const IngotIndex *index, IngotDescriptor *out, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_index_serialize(index);
    out->size = g_bytes_get_size(bytes);
    return ingest_bytes(&ingest->target, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &out->digest, error);
}

static void describe_disk(Ingest *ingest, guint number, guint64 size)
{
    if (number == 0) {
        ingest->config = ingot_config_new(ingot_bundle_architecture(ingest->bundle), size);
    } else {
        ingot_config_add_disk(ingest->config, size);
    }
}

static gboolean add_disk(Ingest *ingest, guint number, GError **error)
{
    IngotProgress *progress = ingest->facts->progress;
    const IngotPackOptions options = {.progress = progress};
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(ingest->bundle, number, error);
    if (blocks == NULL || (number == 0 && !ingot_bundle_look(ingest->bundle, blocks, error))) {
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_nameless_open(ingest->folder, error);
    ingot_progress_begin(progress, ingot_blocks_size(blocks), "pack %s", ingest->what);
    g_autoptr(IngotPacked) packed = fd < 0 ? NULL : ingot_pack(blocks, &options, fd, ingest->folder, error);
    IngotDiskPair pair = {0};
    if (packed == NULL || !ingest_disk(&ingest->target, fd, packed, error) ||
        !add_index(ingest, packed->index, &pair.index, error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    pair.disk = (IngotDescriptor){packed->digest, packed->size};
    ingot_manifest_add_disk(ingest->manifest, &pair.index, &pair.disk);
    describe_disk(ingest, number, packed->index->disk_size);
    return TRUE;
}

static gboolean add_disks(Ingest *ingest, GError **error)
{
    for (guint i = 0; i < ingot_bundle_count(ingest->bundle); i++) {
        if (!ingot_interrupt_check(error) || !add_disk(ingest, i, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- the image --- */

/* What the catalogue says counts: by that Vagrant has chosen the box. Machines of ARM's boot by UEFI alone. */
static void settle_architecture(const Ingest *ingest)
{
    const char *said = ingest->facts->architecture;
    const char *known = said == NULL ? NULL : vagrant_architecture(said);
    if (known != NULL) {
        json_object_set_new(ingest->config, "architecture", json_string(known));
    }
    if (g_strcmp0(known, "arm64") == 0) {
        json_object_set_new(ingest->config, "firmware", json_pack("[s]", "uefi"));
    }
}

static gboolean add_config(Ingest *ingest, GError **error)
{
    ingot_bundle_describe(ingest->bundle, ingest->config, 0);
    settle_architecture(ingest);
    json_object_set_new(ingest->config, "outputs", json_pack("[s]", ingest->form->format));
    g_autofree char *text = ingot_json_canonical(ingest->config);
    ingest->manifest->config.size = strlen(text);
    return ingest_bytes(&ingest->target, text, strlen(text), &ingest->manifest->config.digest, error);
}

static gboolean put_manifest(const Ingest *ingest, IngotDescriptor *out, GError **error)
{
    g_autofree char *text = ingot_manifest_to_text(ingest->manifest);
    g_autoptr(json_t) root = manifest_parse(text, strlen(text), ingest->what, error);
    g_autoptr(GArray) mentions = root == NULL ? NULL : mentions_read(root);
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = INGOT_TYPE_MANIFEST,
                                      .artifact = INGOT_TYPE_IMAGE,
                                      .mentions = mentions,
                                      .actor = ingest->target.actor};
    out->size = strlen(text);
    return mentions != NULL &&
           storage_put_manifest(ingest->target.storage, ingest->target.name, &manifest, &out->digest, error);
}

static gboolean take_in(Ingest *ingest, const char *path, IngotDescriptor *manifest, GError **error)
{
    const IngotDescriptor none = {0};
    g_autoptr(IngotBundle) bundle = check_archive(ingest, path, error)
                                        ? ingot_bundle_open(path, ingest->what, NULL, ingest->facts->progress, error)
                                        : NULL;
    g_autoptr(IngotManifest) image = ingot_manifest_new(&none, NULL);
    ingest->bundle = bundle;
    ingest->manifest = image;
    return bundle != NULL && check_provider(ingest, error) && add_disks(ingest, error) && add_config(ingest, error) &&
           put_manifest(ingest, manifest, error);
}

/* Each takes both the memory of a pack and the room of a disk. */
static GMutex turn;

gboolean ingest_box(Storage *storage, const char *name, const char *path, const IngestFacts *facts,
                    IngotDescriptor *manifest, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s %s, the box for %s", name, facts->version, facts->provider);
    g_autofree char *folder = g_build_filename(storage_path(storage), FOLDER, NULL);
    Ingest ingest = {.target = {storage, facts->actor, name},
                     .facts = facts,
                     .form = form_of(facts->provider, error),
                     .what = what,
                     .folder = folder};
    if (ingest.form == NULL) {
        g_prefix_error(error, "%s: ", what);
        return FALSE;
    }
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    ingot_workdir_use(g_intern_string(folder));
    g_mutex_lock(&turn);
    gboolean ok = ingot_interrupt_check(error) && take_in(&ingest, path, manifest, error);
    g_mutex_unlock(&turn);
    json_decref(ingest.config);
    return ok;
}
