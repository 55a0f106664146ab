/* Docker Hub has several names: people write docker.io, its API answers at registry-1.docker.io, and docker keeps its
 * login under index.docker.io. Images without a folder of their own lie in "library".
 *
 * An image has one local name, as docker and podman have it: docker.io/library/x, however the Hub was written. */
#pragma once

#include <glib.h>

#define HUB_HOST "docker.io" /* what logins are kept under */
#define HUB_BASE "https://registry-1.docker.io"
#define HUB_SERVER "https://index.docker.io/v1/" /* what credential helpers know it as */

/* All of them, NULL-terminated. */
extern const char *const hub_names[];
gboolean hub_is(const char *host);
/* What a name is called there; free it. */
char *hub_path(const char *name);
/* What the local store calls HOST/NAME: the Hub's images by their one name, any other as it is. Free it. */
char *hub_local_name(const char *name);
