/* The package sources of a bootstrap, and what state they are in.
 *
 * Logins stay on this host: a URL's user and password are split off from it at once, and reach apt by a file in the
 * form of apt_auth.conf(5) that lies in the work folder. What is kept, keyed, or given to the guest has none. */
#pragma once

#include "base/json.h"

typedef struct {
    char *lines;    /* "deb URI SUITE COMPONENTS" for each */
    char *logins;   /* lines of auth.conf; "": none */
    gboolean named; /* by the recipe, which knows whose they are: a mirror that was filtered has an Origin of its own */
} AptSources;
void apt_sources_clear(AptSources *sources);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AptSources, apt_sources_clear)

/* Those of the recipe's mirror or of this host's own apt configuration (asked of apt-get, so every way of writing it
 * down counts; its options are left out: the keys have to be among those that apt trusts). Known without the network.
 */
gboolean apt_sources(const json_t *source, AptSources *sources, GError **error);

/* Whether one of the lines is of a mirror that is asked by https: a guest needs a list of authorities for it. */
gboolean apt_needs_certificates(const char *lines);

/* Whether one of the lines is of the suite's security fixes, SUITE-security or SUITE/updates; TRUE for suites that have
 * none. */
gboolean apt_has_security(const char *lines, const char *suite);

/* The lines without those that only this host reaches: its folders (file:, copy:, mirror+file:, cdrom:) and its
 * loopback addresses mean nothing in a guest, or another thing. Free it. */
char *apt_guest_lines(const char *lines);

/* Whether this host's apt refuses what is past its Valid-Until. */
gboolean apt_minds_age(gboolean *minds, GError **error);

/* How this host's apt reaches its sources, as lines of apt.conf: everything that matters for fetching (proxies,
 * retries), and the part that holds for a guest with the same sources too (whether a frozen mirror's age counts). */
gboolean apt_settings(char **host, char **guest, GError **error);

/* Writes the sources' logins and this host's own to a file that nobody else can read. */
gboolean apt_write_logins(const AptSources *sources, const char *path, GError **error);

/* What a mirror holds, as its InRelease files say. */
typedef struct {
    char *lines;   /* of the sources, those that the recipe names or that are the distribution's own: a vendor's
                      repository may have a suite of the same name */
    char *digest;  /* SHA-256 over these lines and their InRelease files, as hex: they name every package by digest */
    gint64 time;   /* the newest file's, seconds since 1970 */
    char *expired; /* URL of one of these files that is past its Valid-Until; NULL: none is */
} AptState;
void apt_state_clear(AptState *state);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AptState, apt_state_clear)
/* Asks the mirror, with apt's own settings for proxies and the logins of that file. */
gboolean apt_state(const AptSources *sources, const char *distribution, const char *workdir, AptState *state,
                   GError **error);

/* Of what `apt-get update --print-uris` says, the sources of a suite. */
gboolean apt_select(const char *listing, const char *suite, const char *components, AptSources *sources,
                    GError **error);
