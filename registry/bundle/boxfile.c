#include "bundle/boxfile.h"

#include <string.h>

/* The line that every Vagrantfile has which export writes into a box. */
#define OWN_LINE "# What the box is made from has its own way to share files."

/* The value of a setting `X.NAME = "VALUE"`, in lines that are no comments; NULL: it is not set. Free it. */
static char *find_setting(const char *text, const char *names)
{
    g_autofree char *pattern = g_strdup_printf("^[^#\n]*\\.(?:%s)\\s*=\\s*[\"']([^\"'\n]*)[\"']", names);
    g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    return g_regex_match(regex, text, 0, &match) ? g_match_info_fetch(match, 1) : NULL;
}

static gboolean names_uefi(const char *value)
{
    static const char *const words[] = {"ovmf", "aavmf", "efi", "edk2"};
    g_autofree char *lower = value == NULL ? NULL : g_ascii_strdown(value, -1);
    for (guint i = 0; lower != NULL && i < G_N_ELEMENTS(words); i++) {
        if (strstr(lower, words[i]) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

void boxfile_clear(BoxFile *said)
{
    g_free(said->architecture);
}

BoxFile boxfile_read(const char *text)
{
    g_autofree char *loader = find_setting(text, "loader|firmware|bios"), *variables = find_setting(text, "nvram");
    g_autofree char *architecture = find_setting(text, "machine_arch|arch");
    gboolean told = architecture != NULL && *architecture != '\0' && strstr(architecture, "#{") == NULL;
    return (BoxFile){
        .uefi = names_uefi(loader) || names_uefi(variables),
        .architecture = told ? g_steal_pointer(&architecture) : NULL,
        .own = strstr(text, OWN_LINE) != NULL,
    };
}
