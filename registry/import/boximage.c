#include "import/boximage.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "bundle/parcel.h"
#include "image/architecture.h"

const VagrantForm *box_image_form(const char *provider, GError **error)
{
    const VagrantForm *form = vagrant_form_of(provider);
    if (form == NULL) {
        g_autoptr(GString) known = g_string_new(NULL);
        for (guint i = 0; i < VAGRANT_FORMS; i++) {
            g_string_append_printf(known, "%s%s", i == 0 ? "" : ", ", vagrant_forms[i].provider);
        }
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "no image can be a box for %.40s, so none is taken; taken are boxes for %s", provider, known->str);
    }
    return form;
}

static gboolean refuse_file(const BoxFacts *facts, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it is not a Vagrant box: %s", facts->what, why);
    return FALSE;
}

/* Anything else might name files that lie beside it. */
static gboolean check_archive(const BoxFacts *facts, const char *path, GError **error)
{
    gboolean is_archive;
    return parcel_probe(path, &is_archive, error) &&
           (is_archive || refuse_file(facts, "it is neither a tar nor a zip", error));
}

static gboolean check_provider(const BoxFacts *facts, const IngotBundle *bundle, GError **error)
{
    const char *provider = ingot_bundle_provider(bundle);
    if (provider == NULL) {
        return refuse_file(facts, "it has no metadata.json", error);
    }
    const VagrantForm *is = vagrant_form_of(provider), *wanted = vagrant_form_of(facts->provider);
    if (is == NULL || is != wanted) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its metadata.json says that it is for %s",
                    facts->what, provider);
        return FALSE;
    }
    return TRUE;
}

/* What Vagrant has for a box that says nothing of it. */
static gboolean is_said(const BoxFacts *facts)
{
    return facts->architecture != NULL && strcmp(facts->architecture, "unknown") != 0;
}

static gboolean check_architecture(const BoxFacts *facts, const IngotBundle *bundle, GError **error)
{
    const char *known = architecture_word(facts->architecture), *told = ingot_bundle_told_architecture(bundle);
    if (!is_said(facts)) {
        return TRUE;
    }
    if (known == NULL) {
        g_autofree char *word = ingot_text_line(facts->architecture);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it is said to be for %s, no architecture that is known", facts->what, word);
        return FALSE;
    }
    if (told != NULL && strcmp(told, known) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it is said to be for %s, but the box is for %s",
                    facts->what, known, told);
        return FALSE;
    }
    return TRUE;
}

IngotBundle *box_image_open(const BoxFacts *facts, const char *path, IngotProgress *progress, GError **error)
{
    g_autoptr(IngotBundle) bundle =
        check_archive(facts, path, error) ? ingot_bundle_open(path, facts->what, NULL, progress, error) : NULL;
    return bundle != NULL && check_provider(facts, bundle, error) && check_architecture(facts, bundle, error)
               ? g_steal_pointer(&bundle)
               : NULL;
}

/* What the catalogue says counts: by that Vagrant has chosen the box. Machines of ARM's boot by UEFI alone. */
static void settle_architecture(const BoxFacts *facts, json_t *config)
{
    const char *known = architecture_word(facts->architecture);
    if (known != NULL) {
        json_object_set_new(config, "architecture", json_string(known));
    }
    if (g_strcmp0(known, "arm64") == 0) {
        json_object_set_new(config, "firmware", json_pack("[s]", "uefi"));
    }
}

void box_image_describe(const BoxFacts *facts, const IngotBundle *bundle, json_t *config)
{
    ingot_bundle_describe(bundle, config, 0);
    settle_architecture(facts, config);
    if (json_object_get(config, "vagrant") == NULL) {
        json_object_set_new(config, "vagrant", json_pack("{s:s}", "provider", ingot_bundle_provider(bundle)));
    }
    json_object_set_new(config, "outputs", json_pack("[s]", vagrant_form_of(facts->provider)->format));
}
