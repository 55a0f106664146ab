/* The package sources of a bootstrap, and what state they are in. */
#pragma once

#include <ingot/json.h>

/* One line "deb URI SUITE COMPONENTS" for each, of the recipe's mirror or of this host's own apt configuration (asked
 * of apt-get, so every way of writing it down counts). Known without the network. Free it. */
char *apt_sources(const json_t *source, GError **error);

/* The same lines but for those that are not the distribution's own (a vendor's repository may have a suite of the same
 * name), and the time of the newest of them: their InRelease files are fetched with apt's own settings for proxies and
 * logins. *sources: free it. */
gboolean apt_state(const char *lines, const char *distribution, const char *workdir, char **sources, gint64 *time,
                   GError **error);

/* How this host's apt reaches its sources, as lines of apt.conf: everything that matters for fetching (proxies,
 * retries, logins), and the part that holds for a guest with the same sources too (whether a frozen mirror's age
 * counts). */
gboolean apt_settings(char **host, char **guest, GError **error);

/* Of what `apt-get update --print-uris` says, the lines of apt_sources. */
char *apt_select(const char *listing, const char *suite, const char *components);
