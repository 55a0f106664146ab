#include "image/architecture.h"

#include <ingot/error.h>
#include <sys/utsname.h>

static const struct {
    const char *said, *word;
} words[] = {
    {"amd64", "amd64"},       {"x86_64", "amd64"},    {"x86-64", "amd64"},        {"x64", "amd64"},
    {"i386", "i386"},         {"386", "i386"},        {"i486", "i386"},           {"i586", "i386"},
    {"i686", "i386"},         {"x86", "i386"},        {"arm64", "arm64"},         {"aarch64", "arm64"},
    {"arm64e", "arm64"},      {"arm", "arm"},         {"armhf", "arm"},           {"armv7l", "arm"},
    {"ppc64le", "ppc64le"},   {"ppc64el", "ppc64le"}, {"ppc64", "ppc64"},         {"s390x", "s390x"},
    {"riscv64", "riscv64"},   {"loong64", "loong64"}, {"loongarch64", "loong64"}, {"mips64le", "mips64le"},
    {"mips64el", "mips64le"}, {"mips64", "mips64"},   {"mipsle", "mipsle"},       {"mipsel", "mipsle"},
    {"mips", "mips"},
};

const char *architecture_word(const char *text)
{
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_ascii_strcasecmp(words[i].said, text) == 0) {
            return words[i].word;
        }
    }
    return NULL;
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
