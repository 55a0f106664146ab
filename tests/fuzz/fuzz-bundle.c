/* Bundles and disk files: the input is one. What is taken can be told the format of, and names no other file; nothing
 * is left of what was unpacked. */
#include <ingot/error.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    g_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(IngotBundle) bundle = ingot_bundle_open(path, "input", NULL, NULL, &error);
    close(fd);
    g_assert((bundle == NULL) == (error != NULL));
    if (bundle == NULL) {
        g_assert_error(error, INGOT_ERROR, INGOT_ERROR_INVALID);
        g_assert(g_utf8_validate(error->message, -1, NULL));
        g_assert(g_str_has_prefix(error->message, "input: "));
    }
    return 0;
}
