/* A place that has a catalogue of Vagrant boxes: a server that speaks Vagrant Cloud's API (1 or 2), HCP's (2022-09-30),
 * or Vagrant's own catalogue; a file of that, by http(s); or a folder of such files here.
 *
 * Which of these it is, is found out with the first box. What it says is a stranger's: answers have bounds, URLs of a
 * catalogue that came by the network lead nowhere but to http(s), those of a file not out of its folder. A token of
 * $INGOT_TOKEN is shown to the host that it is for alone. A site that asks to wait (429, Retry-After) is waited for.
 * One thread. */
#pragma once

#include "vagrant/catalogue.h"

typedef struct BoxSite BoxSite;

/* INVALID: it is not an http(s) or file URL. */
BoxSite *box_site_new(const char *url, GError **error);
void box_site_free(BoxSite *site);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BoxSite, box_site_free)
/* For messages: without a login or a query. */
const char *box_site_name(const BoxSite *site);

/* The names of its boxes, "ORG/BOX", NULL-terminated: those of one ORG, or (NULL) all. Free it. */
char **box_site_list(BoxSite *site, const char *org, GError **error);

/* A box, and where that was read. */
typedef struct {
    VagrantBox *box; /* all that is told of it, also pages that are behind the first */
    char *url;
} SiteBox;
void site_box_free(SiteBox *box);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SiteBox, site_box_free)
/* NOT_FOUND; DENIED: it wants a token. */
SiteBox *box_site_box(BoxSite *site, const char *name, GError **error);

/* Where a box's file is to be had now: the site is asked where it tells that for a short time only. Free it. */
char *box_site_locate(BoxSite *site, const SiteBox *box, const VagrantVersion *version, const VagrantProvider *provider,
                      GError **error);
/* The path of a file that is here, given its URL; NULL: it is elsewhere. Free it. */
char *box_site_path(const BoxSite *site, const char *url, GError **error);
/* The token to be shown to the URL's host; NULL: none. It stays the site's. */
const char *box_site_token(BoxSite *site, const char *url);
