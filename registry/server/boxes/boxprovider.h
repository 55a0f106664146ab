/* Providers of a version, by Vagrant Cloud's API: created, told otherwise, and what is uploaded for them. */
#pragma once

#include "server/boxes/boxapi.h"
#include "server/boxes/boxrecords.h"

/* "sha256"; a number that is none: it is no kind that Vagrant knows. */
GChecksumType box_checksum_type(const char *word);

/* POST …/providers and PUT …/provider/P. */
enum MHD_Result box_provider_create(Request *request, BoxCall *call, const json_t *body);
enum MHD_Result box_provider_change(Request *request, const BoxCall *call, const json_t *body);
/* GET …/upload and …/upload/direct: begins an upload, and says where it goes. */
enum MHD_Result box_provider_upload(Request *request, const BoxCall *call);
/* PUT …/upload/direct/ID, the callback: what became of it. */
enum MHD_Result box_provider_uploaded(Request *request, const BoxCall *call);

/* The record that the path means, whose architecture is in the path from then on; NULL: it is answered. */
const BoxProviderRecord *box_provider_find(Request *request, const BoxCall *call, const BoxRecords *records,
                                           enum MHD_Result *result);
/* Whether it is a box that was released, which stays what it is, revoked or not; and the answer that says so. */
gboolean box_provider_is_kept(Storage *storage, const char *name, const BoxRecords *records,
                              const BoxProviderRecord *record);
enum MHD_Result box_provider_refuse(Request *request, const BoxPath *path);
