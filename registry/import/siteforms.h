/* The forms in which sites tell of a box: where it stands below the site's URL. */
#pragma once

#include <glib.h>

/* In the order in which they are tried: those that tell most first. */
typedef enum {
    SITE_V2,        /* Vagrant Cloud's API */
    SITE_V1,        /* the one before */
    SITE_HCP,       /* HCP's, of 2022-09-30 */
    SITE_CATALOGUE, /* what Vagrant 2.4 asks */
    SITE_PLAIN,     /* what Vagrant before that asks, and plain files */
    SITE_JSON       /* plain files with that ending */
} SiteForm;
#define SITE_FORMS 6u

#define SITE_HCP_PATH "/vagrant/2022-09-30/registry/"

char *site_form_box(SiteForm form, const char *base, const char *org, const char *box);
/* Whether it is "ORG/BOX" of at most 255 plain characters, which may stand in a URL and in a path. */
gboolean site_name_check(const char *name);
