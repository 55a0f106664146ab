#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "trust/keyfile.h"
#include "trust/keystore.h"

static void key_print(const char *path, const TrustKey *key)
{
    char fingerprint[INGOT_DIGEST_TEXT_SIZE];
    g_autofree char *public = trust_key_public_pem(key), *shown = trust_keystore_shown(path);
    ingot_digest_write_text(trust_key_fingerprint(key), fingerprint);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all = ingot_json_pack("{s:o, s:s, s:s, s:s}", "file", ingot_json_text(shown), "fingerprint",
                                                fingerprint, "kind", "ECDSA P-256", "public", public);
        cli_print_json(all);
    } else if (ingot_command_common()->quiet) {
        printf("%s\n", fingerprint);
    } else {
        printf("%s\n%s", fingerprint, public);
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    TrustKeyOptions options = {0};
    const GOptionEntry entries[] = {
        {"force", 0, 0, G_OPTION_ARG_NONE, &options.replace, "generate: replace a key that is there", NULL},
        {"no-passphrase", 0, 0, G_OPTION_ARG_NONE, &options.no_passphrase,
         "generate: leave the private key unencrypted", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_key, entries, 2, 2, &argc, &argv, error)) {
        return FALSE;
    }
    gboolean generates = strcmp(argv[1], "generate") == 0;
    if (!generates && strcmp(argv[1], "show") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "'%s': generate or show is expected", argv[1]);
        return FALSE;
    }
    if (!generates && (options.replace || options.no_passphrase)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--force and --no-passphrase are for `key generate`");
        return FALSE;
    }
    g_autoptr(TrustKey) key =
        generates ? trust_keyfile_generate(argv[2], &options, error) : trust_keyfile_read_any(argv[2], error);
    if (key == NULL) {
        return FALSE;
    }
    key_print(argv[2], key);
    return TRUE;
}

const IngotVerb verb_key = {
    "key", "generate|show FILE", "make a key that signs images, or show one",
    "generate writes the private key to FILE, which its owner alone can read, encrypted with the passphrase of\n"
    "$INGOT_PASSPHRASE or one that is typed, and the public key to FILE.pub. Both are PEM, of ECDSA on P-256, which\n"
    "openssl reads. cosign reads the public key; its own private keys are of another format, which is not read here.\n"
    "show prints a key's fingerprint (the SHA-256 of the public key in DER) and the public key; for FILE it takes the\n"
    "URI of a public key or a certificate too (pkcs11:..., file:/...).\n\n"
    "Examples:\n  ingot key generate release.key\n  ingot key show release.key.pub\n"
    "  ingot key show 'pkcs11:token=ci;object=release' >release.key.pub\n",
    run};
