#include "machine/firmware.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"

typedef struct {
    const char *code, *variables;
} Firmware;

static const Firmware of_amd64[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"}, /* Debian, Ubuntu */
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},     /* Fedora */
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"}, /* Arch */
    {NULL, NULL},
};

static const Firmware of_arm64[] = {
    {"/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"}, /* Debian 13 */
    {"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"},
    {"/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"}, /* Fedora */
    {"/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"}, /* QEMU's own */
    {NULL, NULL},
};

static const struct {
    const char *architecture;
    const Firmware *list;
    const char *name, *package;
} known[] = {
    {"amd64", of_amd64, "OVMF", "ovmf"},
    {"arm64", of_arm64, "AAVMF", "qemu-efi-aarch64"},
};

static const Firmware *firmware_installed(const Firmware *list)
{
    while (list->code != NULL && !g_file_test(list->code, G_FILE_TEST_EXISTS)) {
        list++;
    }
    return list->code == NULL ? NULL : list;
}

gboolean firmware_prepare(const char *architecture, const char *path, const char **code, GError **error)
{
    guint i = 0;
    while (i < G_N_ELEMENTS(known) && strcmp(known[i].architecture, architecture) != 0) {
        i++;
    }
    if (i == G_N_ELEMENTS(known)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no UEFI firmware for the architecture %s is known",
                    architecture);
        return FALSE;
    }
    const Firmware *firmware = firmware_installed(known[i].list);
    if (firmware == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "no UEFI firmware for QEMU (%s) is installed here; on Debian: apt-get install %s", known[i].name,
                    known[i].package);
        return FALSE;
    }
    *code = firmware->code;
    return path == NULL || ingot_file_copy(firmware->variables, path, error);
}
