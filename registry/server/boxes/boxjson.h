/* Boxes, versions and providers as Vagrant Cloud's API writes them. `from` is where its paths begin: the server with
 * the API's version, "https://HOST/api/v2". Each value is to be freed. */
#pragma once

#include "vagrant/catalogue.h"

typedef struct {
    const char *base, *from; /* "https://HOST"; the same with the API's prefix */
    gboolean drafts;         /* the caller may see what is not released */
} BoxJson;

json_t *box_json(const BoxJson *by, const VagrantBox *box);
/* The same with its newest released version alone. */
json_t *box_json_brief(const BoxJson *by, const VagrantBox *box);
json_t *box_json_version(const BoxJson *by, const VagrantBox *box, const VagrantVersion *version);
json_t *box_json_provider(const BoxJson *by, const VagrantProvider *provider);

gint64 box_created(const VagrantBox *box);
gint64 box_updated(const VagrantBox *box);
/* The newest version that is released; NULL: none is. */
const VagrantVersion *box_newest(const VagrantBox *box);
/* Of VMware's names for its provider any does. architecture NULL: the default one, else the first. */
const VagrantProvider *box_find_provider(const VagrantVersion *version, const char *provider, const char *architecture);
