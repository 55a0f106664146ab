#include "format/guest.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "format/input.h"

static const GuestSystem systems[] = {
    {"debian", 96, "Debian_64", "debian10-64"},     {"ubuntu", 94, "Ubuntu_64", "ubuntu-64"},
    {"rhel", 80, "RedHat_64", "rhel8-64"},          {"centos", 107, "RedHat_64", "centos8-64"},
    {"fedora", 101, "Fedora_64", "fedora64"},       {"sles", 85, "OpenSUSE_64", "sles12-64"},
    {"opensuse", 84, "OpenSUSE_64", "opensuse-64"},
};
static const GuestSystem any = {"linux", 101, "Linux26_64", "other4xlinux-64"};
static const GuestSystem arm_systems[] = {
    {"debian", 96, "Debian_arm64", "arm-debian12-64"},
    {"ubuntu", 94, "Ubuntu_arm64", "arm-ubuntu-64"},
    {"rhel", 80, "RedHat_arm64", "arm-rhel9-64"},
    {"centos", 107, "RedHat_arm64", "arm-other5xlinux-64"},
    {"fedora", 101, "Fedora_arm64", "arm-fedora-64"},
    {"sles", 85, "OpenSUSE_arm64", "arm-other5xlinux-64"},
    {"opensuse", 84, "OpenSUSE_arm64", "arm-other5xlinux-64"},
};
static const GuestSystem any_arm = {"linux", 101, "Linux_arm64", "arm-other5xlinux-64"};
G_STATIC_ASSERT(G_N_ELEMENTS(systems) == G_N_ELEMENTS(arm_systems));

const char *guest_architecture(const IngotFormatInput *input)
{
    const char *word = json_string_value(json_object_get(input->config, "architecture"));
    return word == NULL ? "amd64" : word;
}

gboolean guest_is_arm(const IngotFormatInput *input)
{
    return strcmp(guest_architecture(input), "arm64") == 0;
}

gboolean guest_can_machine(const IngotFormatInput *input, GError **error)
{
    static const char *const known[] = {"amd64", "i386", "arm64", NULL};
    if (g_strv_contains(known, guest_architecture(input))) {
        return TRUE;
    }
    g_autofree char *word = ingot_text_line(guest_architecture(input));
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "the image is for %s, and this format describes no machine of that kind: write its disk (raw, qcow2)",
                word);
    return FALSE;
}

gboolean guest_boots_by_bios(const IngotFormatInput *input)
{
    const json_t *firmware = json_object_get(input->config, "firmware");
    return !guest_is_arm(input) && (json_array_size(firmware) == 0 || ingot_json_has_text(firmware, "bios"));
}

gboolean guest_can_bios(const IngotFormatInput *input, GError **error)
{
    if (!guest_boots_by_bios(input)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the image boots by UEFI alone, machines of this kind by BIOS: use another format");
        return FALSE;
    }
    return TRUE;
}

const char *guest_bus(const IngotFormatInput *input)
{
    return json_string_value(json_object_get(input_config(input), "bus"));
}

const GuestSystem *guest_system(const IngotFormatInput *input)
{
    const char *id = json_string_value(json_object_get(json_object_get(input->config, "os"), "id"));
    /* os-release tells Leap and Tumbleweed apart. */
    if (id != NULL && g_str_has_prefix(id, "opensuse-")) {
        id = "opensuse";
    }
    gboolean arm = guest_is_arm(input);
    for (guint i = 0; i < G_N_ELEMENTS(systems); i++) {
        const GuestSystem *system = arm ? &arm_systems[i] : &systems[i];
        if (g_strcmp0(system->id, id) == 0) {
            return system;
        }
    }
    return arm ? &any_arm : &any;
}

char *guest_name(const IngotFormatInput *input)
{
    const char *slash = input->name == NULL ? NULL : strrchr(input->name, '/');
    return g_strdup(input->name == NULL ? "disk" : slash == NULL ? input->name : slash + 1);
}

char *guest_file(const IngotFormatInput *input, const char *ending)
{
    g_autofree char *name = guest_name(input);
    return g_strdup_printf("%.*s%s", (int)GUEST_FILE_MAX, name, ending);
}
