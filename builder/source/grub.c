#include "source/grub.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"

#define SECTOR 512
#define BOOT_CODE 440      /* the table of partitions follows, with the disk's signature before it */
#define KERNEL_SECTOR 0x5c /* boot.img: where core's first sector is, 64 bits */
#define BOOT_DRIVE 0x64    /* boot.img: 0xff, the drive that the firmware says */
#define DRIVE_CHECK 0x66   /* boot.img: a jump over the fix for firmware that says it wrongly; no jump, the fix runs */
#define BLOCK_LIST 0x1f4   /* core.img: start 64 bits, count 16 bits, segment 16 bits */
#define IMAGE_MAX (16u << 20)

static void put16(guint8 *at, guint16 value)
{
    value = GUINT16_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

static void put64(guint8 *at, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

gboolean grub_patch(guint8 *boot, gsize boot_size, GByteArray *core, guint64 sector, GError **error)
{
    guint length = core->len;
    guint count = (length + SECTOR - 1) / SECTOR;
    if (boot_size != SECTOR || count < 2 || count - 1 > G_MAXUINT16) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                            "GRUB's boot.img or core.img has no known size: which version of grub-pc-bin is this?");
        return FALSE;
    }
    g_byte_array_set_size(core, count * SECTOR);
    memset(core->data + length, 0, core->len - length);
    put64(boot + KERNEL_SECTOR, sector);
    boot[BOOT_DRIVE] = 0xff;
    memset(boot + DRIVE_CHECK, 0x90, 2); /* two times "nop" */
    put64(core->data + BLOCK_LIST, sector + 1);
    put16(core->data + BLOCK_LIST + 8, (guint16)(count - 1));
    return TRUE;
}

/* What runs before there is any file system: nothing but the way to the real configuration. */
static char *write_early_config(const GrubOptions *options, GError **error)
{
    g_autofree char *path = g_build_filename(options->workdir, "grub-early.cfg", NULL);
    g_autofree char *text = g_strdup_printf("search --no-floppy --fs-uuid --set=root %s\n"
                                            "set prefix=($root)/boot/grub\n"
                                            "configfile $prefix/grub.cfg\n",
                                            options->root_uuid);
    if (!ingot_file_replace(path, text, strlen(text), 0644, error)) {
        return NULL;
    }
    return g_steal_pointer(&path);
}

/* One of GRUB's images as a file in the work folder. modules: of this platform alone. */
static char *make_image(const GrubOptions *options, const char *platform, const char *name, const char *const *modules,
                        GError **error)
{
    static const char *const common[] = {
        "part_gpt", "ext2",   "search",   "search_fs_uuid", "normal", "configfile", "linux",
        "boot",     "serial", "terminal", "echo",           "test",   "reboot",     "halt",
        "ls",       "cat",    "sleep",    "minicmd",        NULL};
    g_autofree char *early = write_early_config(options, error);
    if (early == NULL) {
        return NULL;
    }
    g_autofree char *path = g_build_filename(options->workdir, name, NULL);
    const char *fixed[] = {"grub-mkimage", "-O", platform, "-c", early, "-p", "/boot/grub", "-o", path, NULL};
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *const *lists[] = {fixed, common, modules};
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (const char *const *word = lists[i]; *word != NULL; word++) {
            g_ptr_array_add(argv, (gpointer)*word);
        }
    }
    g_ptr_array_add(argv, NULL);
    return ingot_process_run((const char *const *)argv->pdata, NULL, NULL, error) ? g_steal_pointer(&path) : NULL;
}

static GByteArray *read_image(const char *path, GError **error)
{
    GBytes *bytes = ingot_file_read(path, IMAGE_MAX, error);
    return bytes == NULL ? NULL : g_bytes_unref_to_array(bytes);
}

gboolean grub_write_bios(const GrubOptions *options, GError **error)
{
    static const char *const modules[] = {"biosdisk", NULL};
    g_autofree char *path = make_image(options, "i386-pc", "core.img", modules, error);
    g_autoptr(GByteArray) core = path == NULL ? NULL : read_image(path, error);
    g_autoptr(GByteArray) boot = core == NULL ? NULL : read_image("/usr/lib/grub/i386-pc/boot.img", error);
    if (boot == NULL || !grub_patch(boot->data, boot->len, core, options->bios_offset / SECTOR, error)) {
        return FALSE;
    }
    if (core->len > options->bios_size) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %u bytes do not fit the BIOS boot partition", path,
                    core->len);
        return FALSE;
    }
    g_auto(IngotFd) disk = ingot_file_open(options->disk, O_WRONLY, 0, error);
    return disk >= 0 && ingot_file_pwrite(disk, boot->data, BOOT_CODE, 0, options->disk, error) &&
           ingot_file_pwrite(disk, core->data, core->len, options->bios_offset, options->disk, error);
}

gboolean grub_write_uefi(const GrubOptions *options, GError **error)
{
    static const char *const modules[] = {"fat", "all_video", "efi_gop", NULL};
    g_autofree char *image = make_image(options, "x86_64-efi", "BOOTX64.EFI", modules, error);
    if (image == NULL) {
        return FALSE;
    }
    g_autofree char *offset = g_strdup_printf("%" G_GUINT64_FORMAT, options->esp_offset / SECTOR);
    g_autofree char *blocks = g_strdup_printf("%" G_GUINT64_FORMAT, options->esp_size / 1024);
    g_autofree char *serial = g_strdup_printf("%08x", options->esp_serial);
    g_autofree char *drive = g_strdup_printf("%s@@%" G_GUINT64_FORMAT, options->disk, options->esp_offset);
    g_autofree char *epoch = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, options->time);
    const char *environment[] = {epoch, "TZ=UTC", "MTOOLS_SKIP_CHECK=1", NULL};
    /* clang-format off */
    const char *format[] = {"mkfs.vfat", "--invariant", "-i", serial, "-F", "32", "-s", "1", "-n", "ESP",
                            "--offset", offset, options->disk, blocks, NULL};
    const char *folders[] = {"mmd", "-i", drive, "::/EFI", "::/EFI/BOOT", NULL};
    const char *copy[] = {"mcopy", "-i", drive, image, "::/EFI/BOOT/BOOTX64.EFI", NULL};
    /* clang-format on */
    return ingot_process_run(format, environment, NULL, error) &&
           ingot_process_run(folders, environment, NULL, error) && ingot_process_run(copy, environment, NULL, error);
}
