#include "machine/firmware.h"

#include <ingot/error.h>

#include "base/file.h"

static const struct {
    const char *code, *variables;
} known[] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"}, /* Debian, Ubuntu */
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},     /* Fedora */
    {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"}, /* Arch */
};

gboolean firmware_prepare(const char *path, const char **code, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (g_file_test(known[i].code, G_FILE_TEST_EXISTS)) {
            *code = known[i].code;
            return path == NULL || ingot_file_copy(known[i].variables, path, error);
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                "no UEFI firmware for QEMU (OVMF) is installed here; on Debian: apt-get install ovmf");
    return FALSE;
}
