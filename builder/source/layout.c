#include "source/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "source/ext4.h"
#include "source/grub.h"
#include "source/identity.h"
#include "source/tree.h"
#include "system/gpt.h"

#define MIB (1ull << 20)
#define SECTOR 512
#define BIOS_OFFSET (1 * MIB)
#define BIOS_SIZE (1 * MIB)
#define ESP_OFFSET (2 * MIB)
#define ESP_SIZE (64 * MIB)
#define ROOT_OFFSET (ESP_OFFSET + ESP_SIZE)
#define TABLE_COPY (1 * MIB) /* the second table's at the end; a whole MiB keeps the root's end aligned */
#define DISK_MIN (512 * MIB)

static gboolean make_empty(const LayoutOptions *options, GError **error)
{
    g_auto(IngotFd) disk = ingot_file_open(options->path, O_RDWR | O_CREAT | O_EXCL, 0644, error);
    if (disk < 0) {
        return FALSE;
    }
    return ftruncate(disk, (off_t)options->size) == 0 ||
           ingot_error_set_errno(error, errno, "%s: cannot make a file of %" G_GUINT64_FORMAT " bytes", options->path,
                                 options->size);
}

static void add_partition(GString *table, const LayoutOptions *options, const char *label, const char *type,
                          guint64 offset, guint64 size)
{
    char uuid[IDENTITY_UUID_SIZE];
    identity_derive_uuid(options->key, label, uuid);
    g_string_append_printf(table,
                           "start=%" G_GUINT64_FORMAT ", size=%" G_GUINT64_FORMAT ", type=%s, uuid=%s, name=%s\n",
                           offset / SECTOR, size / SECTOR, type, uuid, label);
}

/* sfdisk reads its script from stdin, which ingot_process_run keeps shut: a shell hands it the file. */
static gboolean write_table(const LayoutOptions *options, GError **error)
{
    char uuid[IDENTITY_UUID_SIZE];
    identity_derive_uuid(options->key, "disk", uuid);
    g_autoptr(GString) table = g_string_new(NULL);
    g_string_append_printf(table, "label: gpt\nlabel-id: %s\nunit: sectors\n", uuid);
    add_partition(table, options, "bios", GPT_BIOS_BOOT, BIOS_OFFSET, BIOS_SIZE);
    add_partition(table, options, "esp", GPT_EFI_SYSTEM, ESP_OFFSET, ESP_SIZE);
    add_partition(table, options, "root", GPT_ROOT_X86_64, ROOT_OFFSET, options->size - ROOT_OFFSET - TABLE_COPY);
    g_autofree char *script = g_build_filename(options->workdir, "partitions", NULL);
    const char *argv[] = {"sh",     "-c",          "exec sfdisk --quiet --no-reread --no-tell-kernel \"$1\" <\"$2\"",
                          "sfdisk", options->path, script,
                          NULL};
    return ingot_file_replace(script, table->str, table->len, 0644, error) &&
           ingot_process_run(argv, NULL, NULL, error);
}

static gboolean write_root(const LayoutOptions *options, const char *uuid, guint32 esp_serial, GError **error)
{
    char hash[IDENTITY_UUID_SIZE];
    identity_derive_uuid(options->key, "hash", hash);
    g_autofree char *esp_uuid = g_strdup_printf("%04X-%04X", esp_serial >> 16, esp_serial & 0xffff);
    TreeOptions tree = {.root_uuid = uuid, .esp_uuid = esp_uuid, .apt = options->apt, .apt_conf = options->apt_conf};
    g_autoptr(GPtrArray) files = tree_settings(&tree);
    Ext4Options ext4 = {
        .disk = options->path,
        .offset = ROOT_OFFSET,
        .size = options->size - ROOT_OFFSET - TABLE_COPY,
        .uuid = uuid,
        .hash = hash,
        .time = options->time,
    };
    return ext4_make(&ext4, options->tree, files, error);
}

gboolean layout_make(const LayoutOptions *options, GError **error)
{
    if (options->size < DISK_MIN || options->size % MIB != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "machine.disk: %" G_GUINT64_FORMAT
                    " bytes; a bootstrapped disk has whole MiB, and 512 MiB at least",
                    options->size);
        return FALSE;
    }
    char root_uuid[IDENTITY_UUID_SIZE];
    identity_derive_uuid(options->key, "file system", root_uuid);
    GrubOptions grub = {
        .disk = options->path,
        .workdir = options->workdir,
        .root_uuid = root_uuid,
        .time = options->time,
        .bios_offset = BIOS_OFFSET,
        .bios_size = BIOS_SIZE,
        .esp_offset = ESP_OFFSET,
        .esp_size = ESP_SIZE,
        .esp_serial = identity_serial(options->key, "esp"),
    };
    return make_empty(options, error) && write_table(options, error) &&
           write_root(options, root_uuid, grub.esp_serial, error) && grub_write_bios(&grub, error) &&
           grub_write_uefi(&grub, error);
}
