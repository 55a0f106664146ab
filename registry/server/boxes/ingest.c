#include "server/boxes/ingest.h"

#include <ingot/error.h>
#include <ingot/format.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/nameless.h"
#include "base/process.h"
#include "import/boximage.h"
#include "server/boxes/ingestblob.h"
#include "server/storage/mentions.h"

#define FOLDER "work" /* of the storage's: what is unpacked, and disks' blobs before they are stored */

/* A box that is being taken in. */
typedef struct {
    IngestTarget target;
    BoxFacts box;
    IngotProgress *progress; /* or NULL */
    const char *folder;      /* for its work */
    IngotBundle *bundle;
    IngotManifest *manifest;
    GPtrArray *indexes; /* of IngotIndex: of its disks */
    json_t *config;
} Ingest;

gboolean ingest_knows_provider(const char *provider, GError **error)
{
    return box_image_form(provider, error) != NULL;
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
    IngotProgress *progress = ingest->progress;
    const IngotPackOptions options = {.progress = progress};
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(ingest->bundle, number, error);
    if (blocks == NULL || (number == 0 && !ingot_bundle_look(ingest->bundle, blocks, error))) {
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_nameless_open(ingest->folder, error);
    ingot_progress_begin(progress, ingot_blocks_size(blocks), "pack %s", ingest->box.what);
    g_autoptr(IngotPacked) packed = fd < 0 ? NULL : ingot_pack(blocks, &options, fd, ingest->folder, error);
    IngotDiskPair pair = {0};
    if (packed == NULL || !ingest_disk(&ingest->target, fd, packed, error) ||
        !add_index(ingest, packed->index, &pair.index, error)) {
        ingot_progress_drop(progress);
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    g_ptr_array_add(ingest->indexes, ingot_index_ref(packed->index));
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

static gboolean read_nothing(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)blob, (void)offset, (void)buffer, (void)size;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the disk is not read to know what it can be");
    return FALSE;
}

/* Nobody is served by an image that the catalogue could never give as that box. */
static gboolean check_form(const Ingest *ingest, GError **error)
{
    const IngotFormat *format = ingot_format_find(box_image_form(ingest->box.provider, NULL)->format, error);
    GPtrArray *disks = g_ptr_array_new();
    for (guint i = 0; i < ingest->indexes->len; i++) {
        IngotIndex *index = g_ptr_array_index(ingest->indexes, i);
        g_ptr_array_add(disks, ingot_disk_new(read_nothing, NULL, NULL, ingest->box.what, index));
    }
    g_autoptr(IngotDisk) disk = ingot_disk_join(disks);
    const IngotFormatInput input = {.disk = disk, .config = ingest->config, .name = ingest->target.name};
    if (!ingot_format_can(format, &input, error)) {
        g_prefix_error(error, "%s: the registry could not give it as a box again: ", ingest->box.what);
        return FALSE;
    }
    return TRUE;
}

static gboolean add_config(Ingest *ingest, GError **error)
{
    box_image_describe(&ingest->box, ingest->bundle, ingest->config);
    if (!check_form(ingest, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_json_canonical(ingest->config);
    ingest->manifest->config.size = strlen(text);
    return ingest_bytes(&ingest->target, text, strlen(text), &ingest->manifest->config.digest, error);
}

static gboolean put_manifest(const Ingest *ingest, IngotDescriptor *out, GError **error)
{
    g_autofree char *text = ingot_manifest_to_text(ingest->manifest);
    g_autoptr(json_t) root = manifest_parse(text, strlen(text), ingest->box.what, error);
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
    g_autoptr(IngotBundle) bundle = box_image_open(&ingest->box, path, ingest->progress, error);
    g_autoptr(IngotManifest) image = ingot_manifest_new(&none, NULL);
    g_autoptr(GPtrArray) indexes = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_index_unref);
    ingest->bundle = bundle;
    ingest->manifest = image;
    ingest->indexes = indexes;
    return bundle != NULL && add_disks(ingest, error) && add_config(ingest, error) &&
           put_manifest(ingest, manifest, error);
}

/* What fails while the program is told to end may do so since its children were told the same: it says nothing of the
 * box. problem is taken. */
static gboolean blame(GError *problem, GError **error)
{
    if (ingot_interrupt_check(error)) {
        g_propagate_error(error, problem);
    } else {
        g_error_free(problem);
    }
    return FALSE;
}

/* Each takes both the memory of a pack and the room of a disk. */
static GMutex turn;

gboolean ingest_box(Storage *storage, const char *name, const char *path, const IngestFacts *facts,
                    IngotDescriptor *manifest, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *what = g_strdup_printf("%s %s, the box for %s", name, facts->version, facts->provider);
    g_autofree char *folder = g_build_filename(storage_path(storage), FOLDER, NULL);
    Ingest ingest = {.target = {storage, facts->actor, name},
                     .box = {what, facts->provider, facts->architecture},
                     .progress = facts->progress,
                     .folder = folder};
    if (!ingest_knows_provider(facts->provider, error)) {
        g_prefix_error(error, "%s: ", what);
        return FALSE;
    }
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    ingot_workdir_use(g_intern_string(folder));
    g_mutex_lock(&turn);
    gboolean ok = ingot_interrupt_check(error) && take_in(&ingest, path, manifest, &problem);
    g_mutex_unlock(&turn);
    json_decref(ingest.config);
    return ok || (problem != NULL && blame(g_steal_pointer(&problem), error));
}
