/* The table of gates. */
#include <string.h>

#include "server/channel/gatekinds.h"

static const Gate *const gates[] = {&gate_soak,     &gate_tested,   &gate_signed, &gate_provenance,
                                    &gate_required, &gate_packages, &gate_base,   &gate_approved,
                                    &gate_window,   &gate_check,    NULL};

char *gate_image(const GateCase *its)
{
    g_autofree char *digest = ingot_digest_to_text(&its->digest);
    return g_strdup_printf("HOST/%s@%s", its->name, digest);
}

const Gate *gate_find(const char *name)
{
    for (guint i = 0; gates[i] != NULL; i++) {
        if (strcmp(gates[i]->name, name) == 0) {
            return gates[i];
        }
    }
    return NULL;
}

const char *const *gate_names(void)
{
    static const char *names[G_N_ELEMENTS(gates)];
    for (guint i = 0; gates[i] != NULL; i++) {
        names[i] = gates[i]->name;
    }
    return names;
}
