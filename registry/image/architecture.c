#include "image/architecture.h"

#include <ingot/error.h>
#include <sys/utsname.h>

/* The word first, then what others call it. */
static const char *const words[][8] = {
    {"amd64", "x86_64", "x86-64", "x64"},
    {"i386", "386", "i486", "i586", "i686", "x86"},
    {"arm64", "aarch64", "arm64e", "armv8", "armv8l"},
    {"arm", "armhf", "armv6l", "armv7l", "armv7", "armel"},
    {"ppc64le", "ppc64el", "powerpc64le"},
    {"ppc64", "powerpc64"},
    {"mips64le", "mips64el"},
    {"mips64"},
    {"mipsle", "mipsel"},
    {"mips"},
    {"s390x"},
    {"riscv64"},
    {"loong64", "loongarch64"},
};

const char *architecture_word(const char *text)
{
    for (guint i = 0; text != NULL && i < G_N_ELEMENTS(words); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(words[i]) && words[i][j] != NULL; j++) {
            if (g_ascii_strcasecmp(words[i][j], text) == 0) {
                return words[i][0];
            }
        }
    }
    return NULL;
}

const char *architecture_plain(const char *text)
{
    const char *word = architecture_word(text);
    return word == NULL ? text : word;
}

gboolean architecture_check(const char *text, GError **error)
{
    if (architecture_word(text) == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--arch %s: no architecture that is known: amd64, arm64, riscv64, ...", text);
        return FALSE;
    }
    return TRUE;
}

const char *architecture_of_host(void)
{
    struct utsname machine;
    const char *word = uname(&machine) == 0 ? architecture_word(machine.machine) : NULL;
    return word == NULL ? "amd64" : word;
}
