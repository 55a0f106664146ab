#include "source/imagemachine.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "image/bootable.h"

#define KEPT_MAX (64u << 10)

/* Takes the firmware over. */
static json_t *machine_new(const char *file, const char *architecture, json_t *firmware, GError **error)
{
    if (strcmp(architecture, "amd64") != 0) {
        json_decref(firmware);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a machine of %s, while those that are built are of amd64 (ingot pack takes it as it is)", file,
                    architecture);
        return NULL;
    }
    json_t *machine = json_pack("{s:s}", "architecture", architecture);
    if (firmware != NULL) {
        json_object_set_new(machine, "firmware", firmware);
    }
    return machine;
}

json_t *image_machine_of_bundle(IngotBundle *bundle, const char *file, GError **error)
{
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, 0, error);
    if (blocks == NULL || !ingot_bundle_look(bundle, blocks, error)) {
        return NULL;
    }
    g_autoptr(json_t) described = json_object();
    ingot_bundle_describe(bundle, described, 0);
    return machine_new(file, ingot_bundle_architecture(bundle), json_incref(json_object_get(described, "firmware")),
                       error);
}

json_t *image_machine_of_disk(const char *path, const char *format, GError **error)
{
    Bootable bootable;
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, format, error);
    if (blocks == NULL || !bootable_look(blocks, &bootable, error)) {
        return NULL;
    }
    json_t *firmware = bootable.uefi && !bootable.bios ? json_pack("[s]", "uefi") : NULL;
    return machine_new(path, bootable.architecture == NULL ? "amd64" : bootable.architecture, firmware, error);
}

static char *kept_path(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    return g_build_filename(folder, "machine.json", NULL);
}

gboolean image_machine_keep(const json_t *machine, const char *path, GError **error)
{
    g_autofree char *file = kept_path(path), *text = json_dumps(machine, JSON_SORT_KEYS | JSON_COMPACT);
    return ingot_file_replace(file, text, strlen(text), 0644, error);
}

json_t *image_machine_kept(const char *path)
{
    g_autofree char *file = kept_path(path);
    g_autoptr(GBytes) bytes = ingot_file_read_regular(file, KEPT_MAX, NULL);
    g_autoptr(json_t) machine =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), file, NULL);
    return json_is_string(json_object_get(machine, "architecture")) ? g_steal_pointer(&machine) : NULL;
}

void image_machine_apply(const SourceContext *context, const char *file, const json_t *machine, Source *made)
{
    json_t *firmware = json_object_get(machine, "firmware");
    const json_t *shape = json_object_get(context->recipe->tree, "machine");
    if (firmware == NULL) {
        return;
    }
    if (g_strcmp0(json_string_value(json_object_get(shape, "firmware")), "bios") == 0) {
        ingot_progress_message(context->progress,
                               "%s: its machine boots by UEFI alone; where the build boots it, the recipe must say "
                               "machine.firmware: uefi",
                               file);
    }
    json_object_set(made->config, "firmware", firmware);
}
