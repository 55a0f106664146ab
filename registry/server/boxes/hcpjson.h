/* Boxes, versions, providers and architectures as HCP's API of 2022-09-30 writes them, each with all that is below it,
 * whether that is asked for (?expanded) or not. Each value is to be freed. */
#pragma once

#include "server/boxes/boxjson.h"

/* A box without its versions, as lists have it; and with them. */
json_t *hcp_json_brief(const BoxJson *by, const VagrantBox *box);
json_t *hcp_json_box(const BoxJson *by, const VagrantBox *box);
json_t *hcp_json_versions(const BoxJson *by, const VagrantBox *box);
json_t *hcp_json_version(const BoxJson *by, const VagrantVersion *version);
json_t *hcp_json_providers(const BoxJson *by, const VagrantVersion *version);
/* NULL: the version has none of that name. */
json_t *hcp_json_provider(const BoxJson *by, const VagrantVersion *version, const char *name);
json_t *hcp_json_architecture(const BoxJson *by, const VagrantProvider *provider);
/* "SHA256", "NONE". */
void hcp_json_set_checksum(json_t *object, const VagrantProvider *provider);

/* Where a box of the catalogue is to be had; NULL: nowhere yet. Free it. */
char *hcp_url(const BoxJson *by, const VagrantProvider *provider);
