/* Where a registry's answer leads: Location, Ingot-Frames, Link. They are a peer's word: relative or absolute, by
 * another name of the registry, by another scheme, or nonsense. */
#pragma once

#include <ingot/options.h>

/* text, as libcurl understands it, as seen from the URL that was asked; at the registry's own address (base,
 * "https://HOST[:PORT]") it begins with exactly that, so that logins are shown there alone. Free it. Refused (FAILED):
 * what is no http or https URL, or has a login in it; plain HTTP where the registry is spoken to by HTTPS, or to a host
 * that is neither the registry nor a loopback one, nor named for it by the options. */
char *location_resolve(const IngotRemoteOptions *options, const char *base, const char *asked, const char *text,
                       GError **error);

/* The next page's URL, which is another one, out of Link: <URL>; rel="next" (free it), at the registry's own address,
 * by which it may not know itself: behind a proxy, say. NULL: this was the last. FALSE: the list goes on elsewhere, and
 * would be a short one. links (may be NULL): the header's value. */
gboolean location_next_page(const char *base, const char *asked, const char *links, char **next, GError **error);
