#include <fcntl.h>
#include <ingot/error.h>
#include <libssh/libssh.h>
#include <sys/stat.h>

#include "base/file.h"
#include "guest/guest.h"

void guest_key_free(GuestKey *key)
{
    if (key != NULL) {
        g_free(key->private_path);
        g_free(key->public_line);
        g_free(key);
    }
}

GuestKey *guest_key_new(const char *folder, GError **error)
{
    g_autoptr(GuestKey) made = g_new0(GuestKey, 1);
    made->private_path = g_build_filename(folder, "id_ed25519", NULL);
    /* Made with its mode before there is anything in it. */
    g_auto(IngotFd) fd = ingot_file_open(made->private_path, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);
    if (fd < 0) {
        return NULL;
    }
    ssh_key pair = NULL;
    char *base64 = NULL;
    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &pair) == SSH_OK &&
        ssh_pki_export_privkey_file(pair, NULL, NULL, NULL, made->private_path) == SSH_OK &&
        ssh_pki_export_pubkey_base64(pair, &base64) == SSH_OK) {
        made->public_line = g_strdup_printf("ssh-ed25519 %s " GUEST_KEY_COMMENT, base64);
    }
    ssh_string_free_char(base64);
    ssh_key_free(pair);
    if (made->public_line == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: making the build's ssh key failed",
                    made->private_path);
        return NULL;
    }
    chmod(made->private_path, 0600);
    return g_steal_pointer(&made);
}
