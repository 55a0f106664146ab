/* A catalogue of boxes, in any of the ways in which it is written: as a box, as a page of a list, and written again. */
#include <ingot/error.h>
#include <string.h>

#include "fuzz.h"
#include "image/architecture.h"
#include "vagrant/catalogue.h"
#include "vagrant/providers.h"
#include "vagrant/version.h"

static void check_provider(const VagrantProvider *provider)
{
    g_assert(*provider->name != '\0' && g_utf8_validate(provider->name, -1, NULL));
    g_assert((provider->checksum == NULL) == (provider->checksum_type == NULL));
    g_assert(provider->size <= G_MAXINT64);
    architecture_word(provider->architecture);
    vagrant_form_of(provider->name);
}

/* Equal to itself, and the two ways round agree. */
static void check_order(const char *a, const char *b)
{
    int order = vagrant_version_compare(a, b), back = vagrant_version_compare(b, a);
    g_assert((order > 0) == (back < 0) && (order == 0) == (back == 0));
    g_assert(vagrant_version_compare(a, a) == 0);
}

static void check_versions(const GPtrArray *versions)
{
    for (guint i = 0; i < versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(versions, i),
                             *before = g_ptr_array_index(versions, i == 0 ? 0 : i - 1);
        if (vagrant_version_is_readable(version->version) && vagrant_version_is_readable(before->version)) {
            check_order(version->version, before->version);
        }
        for (guint j = 0; j < version->providers->len; j++) {
            check_provider(g_ptr_array_index(version->providers, j));
        }
    }
}

/* What was written is read again, with nothing in it that was not there. */
static void check_written(const VagrantBox *box)
{
    g_autoptr(json_t) body = vagrant_box_json(box, NULL, NULL);
    g_autofree char *text = ingot_json_canonical(body);
    g_autoptr(GError) error = NULL;
    g_autoptr(VagrantBox) again = vagrant_box_parse(text, strlen(text), NULL, "written", &error);
    g_assert_no_error(error);
    g_assert(again->versions->len <= box->versions->len);
    g_assert_cmpstr(again->name, ==, box->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL, problem = NULL;
    g_autoptr(VagrantBox) box = vagrant_box_parse(data, size, "org", "input", &error);
    g_assert((box == NULL) == (error != NULL));
    g_assert(error == NULL || g_utf8_validate(error->message, -1, NULL));
    if (box != NULL) {
        check_versions(box->versions);
        check_written(box);
    }
    g_autoptr(VagrantPage) page = vagrant_page_parse(data, size, "org", "input", &problem);
    g_assert((page == NULL) == (problem != NULL));
    if (page != NULL) {
        check_versions(page->versions);
    }
    return 0;
}
