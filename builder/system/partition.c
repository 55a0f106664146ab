#include "system/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "system/gpt.h"
#include "system/swap.h"

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

typedef enum { PARTITION_SYSTEM, PARTITION_BIOS, PARTITION_EFI, PARTITION_SWAP } PartitionUse;

static PartitionUse partition_use(const char *type)
{
    static const struct {
        const char *type;
        PartitionUse use;
    } uses[] = {
        {GPT_BIOS_BOOT, PARTITION_BIOS}, {GPT_EFI_SYSTEM, PARTITION_EFI},
        {GPT_SWAP, PARTITION_SWAP},      {"ef", PARTITION_EFI}, /* in an MBR */
        {"82", PARTITION_SWAP},
    };
    for (guint i = 0; i < G_N_ELEMENTS(uses); i++) {
        if (g_ascii_strcasecmp(type, uses[i].type) == 0) {
            return uses[i].use;
        }
    }
    return PARTITION_SYSTEM;
}

/* A partition of any type that mkswap was run on. */
static gboolean partition_is_swap(IngotNbd *disk, const PartitionRange *range, gboolean *swap, GError **error)
{
    g_autofree char *head = g_malloc0(SWAP_HEAD);
    gsize size = (gsize)MIN(range->size, SWAP_HEAD);
    if (!ingot_nbd_read(disk, range->offset, head, size, error)) {
        return FALSE;
    }
    *swap = swap_header(head, size) != 0;
    return TRUE;
}

static gboolean partition_add(IngotNbd *disk, const char *type, const PartitionRange *range, PartitionTable *table,
                              guint *systems, GError **error)
{
    PartitionUse use = partition_use(type);
    gboolean swap = FALSE;
    if (use == PARTITION_SYSTEM && !partition_is_swap(disk, range, &swap, error)) {
        return FALSE;
    }
    if (swap || use == PARTITION_SWAP) {
        g_array_append_val(table->swaps, *range);
    } else if (use == PARTITION_EFI) {
        table->efi = *range;
    } else if (use == PARTITION_SYSTEM && (*systems)++ == 0) {
        table->system = *range;
    }
    return TRUE;
}

static json_t *partition_list(IngotNbd *disk, const char *workdir, GError **error)
{
    g_autofree char *path = g_build_filename(workdir, "partitions", NULL);
    if (!copy_ends(disk, path, error)) {
        return NULL;
    }
    const char *const argv[] = {"sfdisk", "--json", path, NULL};
    g_autofree char *text = ingot_process_output(argv, NULL); /* fails where there is no table */
    unlink(path);
    json_t *root = text == NULL ? NULL : ingot_json_parse(text, strlen(text), "sfdisk", NULL);
    return root != NULL ? root : json_object();
}

gboolean partition_read(IngotNbd *disk, const char *workdir, PartitionTable *table, GError **error)
{
    *table = (PartitionTable){.swaps = g_array_new(FALSE, FALSE, sizeof(PartitionRange))};
    if (ingot_nbd_size(disk) < (guint64)2 * EDGE) {
        return TRUE;
    }
    g_autoptr(json_t) root = partition_list(disk, workdir, error);
    if (root == NULL) {
        return FALSE;
    }
    const json_t *found = json_object_get(root, "partitiontable");
    const json_t *list = json_object_get(found, "partitions");
    json_int_t sector = json_integer_value(json_object_get(found, "sectorsize"));
    guint systems = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(one, "type"));
        guint64 unit = sector == 0 ? 512 : (guint64)sector;
        PartitionRange range = {.offset = (guint64)json_integer_value(json_object_get(one, "start")) * unit,
                                .size = (guint64)json_integer_value(json_object_get(one, "size")) * unit};
        if (range.size == 0 || range.offset + range.size > ingot_nbd_size(disk) || type == NULL) {
            systems++; /* nothing that is understood here */
        } else if (!partition_add(disk, type, &range, table, &systems, error)) {
            return FALSE;
        }
    }
    if (systems != 1) {
        table->system.size = 0;
    }
    return TRUE;
}

void partition_clear(PartitionTable *table)
{
    g_clear_pointer(&table->swaps, g_array_unref);
}
