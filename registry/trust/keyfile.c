#include "trust/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/prompt.h"
#include "trust/keystore.h"

#define PASSPHRASE_MAX 1024u /* bytes: PEM's own bound */
#define ENVIRONMENT "INGOT_PASSPHRASE"

/* --- passphrases --- */

static char *passphrase_bad(char *passphrase, GError **error, const char *why)
{
    ingot_secret_free(passphrase);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the passphrase %s", why);
    return NULL;
}

/* NULL without an error: the environment has none. */
static char *passphrase_given(GError **error)
{
    const char *given = g_getenv(ENVIRONMENT);
    return given == NULL                     ? NULL
           : strlen(given) >= PASSPHRASE_MAX ? passphrase_bad(NULL, error, "has more than 1023 bytes")
                                             : g_strdup(given);
}

static char *passphrase_ask(const char *prompt, GError **error)
{
    if (!isatty(STDIN_FILENO)) {
        return passphrase_bad(NULL, error, "is missing: set " ENVIRONMENT ", or type it at a terminal");
    }
    char *typed = ingot_prompt_secret(prompt, error);
    return typed != NULL && strlen(typed) >= PASSPHRASE_MAX ? passphrase_bad(typed, error, "has more than 1023 bytes")
                                                            : typed;
}

/* Of a key that is there. */
static char *passphrase_of(const char *shown, GError **error)
{
    GError *problem = NULL;
    g_autofree char *prompt = g_strdup_printf("Passphrase of %s: ", shown);
    char *passphrase = passphrase_given(&problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return passphrase != NULL ? passphrase : passphrase_ask(prompt, error);
}

/* For a new key: typed twice. */
static char *passphrase_new(const TrustKeyOptions *options, GError **error)
{
    if (options->no_passphrase) {
        return g_strdup("");
    }
    GError *problem = NULL;
    char *passphrase = passphrase_given(&problem);
    if (passphrase == NULL && problem == NULL) {
        passphrase = passphrase_ask("Passphrase for the new key: ", &problem);
        g_autoptr(IngotSecret) again = passphrase == NULL ? NULL : passphrase_ask("The same again: ", &problem);
        if (passphrase != NULL && g_strcmp0(passphrase, again) != 0) {
            g_clear_error(&problem);
            return passphrase_bad(passphrase, error, "was not typed the same twice");
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return *passphrase != '\0' ? passphrase
                               : passphrase_bad(passphrase, error, "is empty: --no-passphrase makes a key without one");
}

/* --- files --- */

static gboolean keyfile_is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* The place of a new private key, which nobody else takes from now on. */
static gboolean keyfile_reserve(const char *path, const char *public_path, GError **error)
{
    g_auto(IngotFd) fd = -1;
    if (!keyfile_is_there(public_path)) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    } else {
        errno = EEXIST;
    }
    if (fd < 0 && errno == EEXIST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                    "%s: there is a file already, or one at %s; --force replaces the key, and what it has signed needs "
                    "the public key that is there now",
                    path, public_path);
        return FALSE;
    }
    return fd >= 0 || ingot_error_set_errno(error, errno, "%s", path);
}

static gboolean keyfile_write(const TrustKey *key, const char *path, const char *public_path, const char *passphrase,
                              GError **error)
{
    g_autofree char *public = trust_key_public_pem(key);
    g_autoptr(IngotSecret) private = trust_key_private_pem(key, passphrase, error);
    return private != NULL && ingot_file_replace(path, private, strlen(private), S_IRUSR | S_IWUSR, error) &&
           ingot_file_replace(public_path, public, strlen(public), S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, error);
}

TrustKey *trust_keyfile_generate(const char *path, const TrustKeyOptions *options, GError **error)
{
    if (trust_keystore_is_uri(path)) {
        g_autofree char *shown = trust_keystore_shown(path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a key is made in a file alone; one in a token is made by the token's own tools (pkcs11-tool, "
                    "p11tool). A file of this name is written ./NAME",
                    shown);
        return NULL;
    }
    g_autofree char *public_path = g_strconcat(path, ".pub", NULL);
    if (!options->replace && !keyfile_reserve(path, public_path, error)) {
        return NULL;
    }
    g_autoptr(IngotSecret) passphrase = passphrase_new(options, error);
    g_autoptr(TrustKey) key = passphrase == NULL ? NULL : trust_key_generate(error);
    if (key != NULL && keyfile_write(key, path, public_path, passphrase, error)) {
        return g_steal_pointer(&key);
    }
    if (!options->replace) {
        g_unlink(path);
    }
    return NULL;
}

/* As ssh does. */
static gboolean keyfile_check_private(const char *path, GError **error)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s: others than its owner may read this private key (mode %04o), so it is not used: chmod 600 %s",
                    path, (unsigned)status.st_mode & 07777u, path);
        return FALSE;
    }
    return TRUE;
}

/* The path of a file: URI, as OpenSSL takes it; NULL: of another scheme. */
static const char *keyfile_of_uri(const char *uri)
{
    if (strcmp(g_uri_peek_scheme(uri), "file") != 0) {
        return NULL;
    }
    const char *path = uri + strlen("file:"), *host = "//localhost";
    return g_ascii_strncasecmp(path, host, strlen(host)) == 0 ? path + strlen(host)
           : g_str_has_prefix(path, "//")                     ? path + 2
                                                              : path;
}

static TrustKey *keyfile_read_uri(const char *uri, GError **error)
{
    const char *path = keyfile_of_uri(uri);
    g_autoptr(TrustKey) key = trust_keystore_read_private(uri, passphrase_of, error);
    return key != NULL && (path == NULL || keyfile_check_private(path, error)) ? g_steal_pointer(&key) : NULL;
}

TrustKey *trust_keyfile_read_private(const char *path, GError **error)
{
    if (trust_keystore_is_uri(path)) {
        return keyfile_read_uri(path, error);
    }
    g_autoptr(GBytes) text = ingot_file_read(path, TRUST_KEY_MAX, error);
    if (text == NULL) {
        return NULL;
    }
    gsize size;
    const void *pem = g_bytes_get_data(text, &size);
    if (size > 0 && g_strstr_len(pem, (gssize)size, "PRIVATE KEY-----") != NULL &&
        !keyfile_check_private(path, error)) {
        return NULL;
    }
    if (!trust_key_check_kind(pem, size, path, error)) {
        return NULL;
    }
    g_autoptr(IngotSecret) passphrase = NULL;
    if (size > 0 && trust_key_is_encrypted(pem, size)) {
        passphrase = passphrase_of(path, error);
        if (passphrase == NULL) {
            g_prefix_error(error, "%s: ", path);
            return NULL;
        }
    }
    return trust_key_read_private(pem, size, passphrase == NULL ? "" : passphrase, path, error);
}

TrustKey *trust_keyfile_read_public(const char *path, GError **error)
{
    if (trust_keystore_is_uri(path)) {
        return trust_keystore_read_public(path, passphrase_of, error);
    }
    g_autoptr(GBytes) text = ingot_file_read(path, TRUST_KEY_MAX, error);
    return text == NULL ? NULL
                        : trust_key_read_public(g_bytes_get_data(text, NULL), g_bytes_get_size(text), path, error);
}

TrustKey *trust_keyfile_read_any(const char *path, GError **error)
{
    g_autofree char *public_path = g_strconcat(path, ".pub", NULL);
    if (trust_keystore_is_uri(path) || g_str_has_suffix(path, ".pub")) {
        return trust_keyfile_read_public(path, error);
    }
    if (keyfile_is_there(public_path)) {
        return trust_keyfile_read_public(public_path, error);
    }
    TrustKey *key = trust_keyfile_read_public(path, NULL);
    return key != NULL ? key : trust_keyfile_read_private(path, error);
}

GPtrArray *trust_keyfile_read_all(char *const *paths, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)trust_key_free);
    for (guint i = 0; paths[i] != NULL; i++) {
        TrustKey *key = trust_keyfile_read_public(paths[i], error);
        if (key == NULL) {
            return NULL;
        }
        g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}
