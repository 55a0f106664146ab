#include "system/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/json.h>
#include <ingot/process.h>
#include <string.h>
#include <unistd.h>

#include "system/gpt.h"

#define EDGE (1u << 20) /* bytes at either end of a disk that hold its partition tables */

/* A file with nothing of the disk but its two ends: enough for sfdisk, which wants a file. */
static gboolean copy_ends(IngotNbd *disk, const char *path, GError **error)
{
    guint64 size = ingot_nbd_size(disk);
    g_autofree char *buffer = g_malloc(EDGE);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    if (ftruncate(fd, (off_t)size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    guint64 ends[] = {0, size - EDGE};
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        if (!ingot_nbd_read(disk, ends[i], buffer, EDGE, error) ||
            !ingot_file_pwrite(fd, buffer, EDGE, ends[i], path, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean holds_no_system(const char *type)
{
    static const char *const types[] = {
        GPT_BIOS_BOOT, GPT_EFI_SYSTEM, GPT_SWAP, "ef", "82", NULL, /* the last two: EFI and swap in an MBR */
    };
    return g_strv_contains(types, type);
}

gboolean partition_find(IngotNbd *disk, const char *workdir, guint64 *offset, GError **error)
{
    *offset = 0;
    if (ingot_nbd_size(disk) < (guint64)2 * EDGE) {
        return TRUE;
    }
    g_autofree char *path = g_build_filename(workdir, "partitions", NULL);
    if (!copy_ends(disk, path, error)) {
        return FALSE;
    }
    const char *const argv[] = {"sfdisk", "--json", path, NULL};
    g_autofree char *text = ingot_process_output(argv, NULL); /* fails where there is no table */
    unlink(path);
    g_autoptr(json_t) root = text == NULL ? NULL : ingot_json_parse(text, strlen(text), "sfdisk", NULL);
    const json_t *table = json_object_get(root, "partitiontable");
    const json_t *list = json_object_get(table, "partitions");
    json_int_t sector = json_integer_value(json_object_get(table, "sectorsize"));
    guint64 found = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(one, "type"));
        if (type == NULL || holds_no_system(type)) {
            continue;
        }
        if (found != 0) {
            return TRUE;
        }
        found = (guint64)(json_integer_value(json_object_get(one, "start")) * (sector == 0 ? 512 : sector));
    }
    *offset = found;
    return TRUE;
}
