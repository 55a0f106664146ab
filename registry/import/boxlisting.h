/* Which boxes a site has: by its search, by what it says of an organisation, or by the files of a folder. */
#pragma once

#include "import/boxpages.h"

/* Both: names, "ORG/BOX", of one ORG or (NULL) of all, NULL-terminated. Free it. */
char **box_listing_of_site(const char *base, const char *org, BoxGet get, gpointer site, GError **error);
char **box_listing_of_folder(const char *folder, const char *org, GError **error);
