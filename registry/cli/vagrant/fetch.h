/* A file of some format of an image, as its registry serves it (GET /formats/NAME/DIGEST/FORMAT/FILE), made from the
 * store: what the store lacks of the image is pulled, the file is worked out. The image stays in the store, named
 * HOST/NAME:vagrant, and the one that had this name before leaves it. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

#define FETCH_TAG "vagrant" /* of the image in the store */
/* What a catalogue may have. */
#define CATALOGUE_MAX (16u << 20) /* bytes */
#define CATALOGUE_VALUES (1u << 18)

typedef struct {
    char *host, *name;
    char *digest; /* of the manifest, "sha256:…" */
    char *format, *file;
} FetchPlace;
/* HOST[:PORT] and path of a URL; free them. FALSE: it is none, or `ingot` would reach that host by another scheme. */
gboolean fetch_address(const char *url, char **host, char **path);
/* What follows the door of ours that a path goes through: a name, and more; NULL: it goes through none. */
const char *fetch_behind_door(const char *path);
/* NAME/TAG-OR-DIGEST/FORMAT/FILE, of which the name may have slashes: *which is the second. Free them all; NULL: it is
 * too short. */
char *fetch_split(const char *text, char **which, char **format, char **file);
/* What a URL names; FALSE: no such file, or none of a registry that `ingot` would reach. */
gboolean fetch_parse(const char *url, FetchPlace *place);
void fetch_place_clear(FetchPlace *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FetchPlace, fetch_place_clear)

/* Makes the file at path, over what is there; nothing is changed there where it fails. */
gboolean fetch_file(IngotStore *store, const FetchPlace *place, const char *path, IngotProgress *progress,
                    GError **error);
/* The entity tag that the registry has for the same bytes; free it. NULL: there is no such format. */
char *fetch_tag(const FetchPlace *place);
