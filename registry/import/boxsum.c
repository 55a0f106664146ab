#include "import/boxsum.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define BLOCK (1u << 20) /* bytes that are read at once */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_MD_CTX, EVP_MD_CTX_free)

void box_sum_clear(BoxSum *sum)
{
    g_clear_pointer(&sum->type, g_free);
    g_clear_pointer(&sum->hex, g_free);
}

static const EVP_MD *kind_of(const char *type)
{
    static const char *const known[] = {"md5", "sha1", "sha256", "sha384", "sha512", NULL};
    return g_strv_contains(known, type) ? EVP_get_digestbyname(type) : NULL;
}

gboolean box_sum_parse(const char *type, const char *hex, const char *what, BoxSum *sum, GError **error)
{
    *sum = (BoxSum){0};
    if (type == NULL || hex == NULL) {
        return TRUE;
    }
    const EVP_MD *kind = kind_of(type);
    gsize digits = strspn(hex, "0123456789abcdef");
    if (kind == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: its checksum is of type '%.40s'; md5, sha1, sha256, sha384 and sha512 can be checked", what,
                    type);
        return FALSE;
    }
    if (hex[digits] != '\0' || digits != 2 * (gsize)EVP_MD_get_size(kind)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its checksum is not a %s in hex digits", what, type);
        return FALSE;
    }
    *sum = (BoxSum){g_strdup(type), g_strdup(hex)};
    return TRUE;
}

static gboolean add_file(EVP_MD_CTX *context, int fd, const char *path, GError **error)
{
    g_autofree guint8 *block = g_malloc(BLOCK);
    ssize_t count;
    while ((count = read(fd, block, BLOCK)) > 0) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        EVP_DigestUpdate(context, block, (size_t)count);
    }
    return count == 0 || ingot_error_set_errno(error, errno, "%s", path);
}

static char *hex_of(const guint8 *bytes, guint size)
{
    GString *text = g_string_sized_new(2 * (gsize)size);
    for (guint i = 0; i < size; i++) {
        g_string_append_printf(text, "%02x", bytes[i]);
    }
    return g_string_free(text, FALSE);
}

gboolean box_sum_check(const BoxSum *sum, const char *path, const char *name, GError **error)
{
    if (sum->type == NULL) {
        return TRUE;
    }
    guint8 bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    if (fd < 0) {
        return FALSE;
    }
    EVP_DigestInit_ex(context, kind_of(sum->type), NULL);
    if (!add_file(context, fd, path, error)) {
        return FALSE;
    }
    EVP_DigestFinal_ex(context, bytes, &size);
    g_autofree char *found = hex_of(bytes, size);
    if (strcmp(found, sum->hex) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: its %s is %s, where the catalogue says %s", name,
                    sum->type, found, sum->hex);
        return FALSE;
    }
    return TRUE;
}
