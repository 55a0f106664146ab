#include "import/siteforms.h"

#include <string.h>

#define NAME_MAX_BYTES 255u /* as a registry's names */

static const char *const forms[SITE_FORMS][2] = {[SITE_V2] = {"/api/v2/box/", "/"},
                                                 [SITE_V1] = {"/api/v1/box/", "/"},
                                                 [SITE_HCP] = {SITE_HCP_PATH, "/box/"},
                                                 [SITE_CATALOGUE] = {"/api/v2/vagrant/", "/"},
                                                 [SITE_PLAIN] = {"/", "/"},
                                                 [SITE_JSON] = {"/", "/"}};

char *site_form_box(SiteForm form, const char *base, const char *org, const char *box)
{
    return g_strconcat(base, forms[form][0], org, forms[form][1], box, form == SITE_JSON ? ".json" : NULL, NULL);
}

gboolean site_name_check(const char *name)
{
    return strlen(name) <= NAME_MAX_BYTES &&
           g_regex_match_simple("^[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*$", name,
                                G_REGEX_DOLLAR_ENDONLY, 0);
}
