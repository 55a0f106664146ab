/* Policies: the input is a file. What is taken has an answer for every name, and judges every signature's name. */
#include <ingot/error.h>
#include <string.h>

#include "fuzz.h"
#include "trust/policy.h"

static void check_demand(const Demand *demand, const IngotReference *image)
{
    static const char *const names[] = {"r.example:5000/team/web:1.0.0", "r.example/team/web", "web:1.0.0", "", NULL};
    g_assert((demand->kind == DEMAND_BEYOND) == (demand->why != NULL));
    g_assert(demand->kind != DEMAND_SIGNATURE || demand->key_files->len + demand->key_texts->len > 0);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        gboolean fits = signed_identity_fits(&demand->identity, image, names[i], &error);
        g_assert(fits == (error == NULL));
        g_assert(!fits || names[i] != NULL);
    }
}

static void check_image(const Policy *policy, const char *text)
{
    g_autofree char *scope = NULL;
    g_autoptr(IngotReference) image = ingot_reference_parse(text, NULL);
    const GPtrArray *demands = policy_find(policy, image, &scope);
    g_assert((demands == NULL) == (scope == NULL));
    g_assert(demands != NULL || image->host == NULL);
    for (guint i = 0; demands != NULL && i < demands->len; i++) {
        check_demand(g_ptr_array_index(demands, i), image);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Policy) policy = policy_parse(data, size, "input", &error);
    g_assert((policy == NULL) == (error != NULL));
    if (policy == NULL) {
        g_assert_error(error, INGOT_ERROR, INGOT_ERROR_INVALID);
        g_assert(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }
    check_image(policy, "r.example:5000/team/web:1.0.0");
    check_image(policy, "r.example/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    check_image(policy, "127.0.0.1:5000/web:prod");
    check_image(policy, "team/web:1.0.0");
    return 0;
}
