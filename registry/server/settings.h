/* The settings of serving: each by flag, by variable or in a file; one table has them all.
 *
 * Invariant: a line of SETTINGS is all that a setting needs. Its field here, its flag (--max-upload), its variable
 * (INGOTD_MAX_UPLOAD), its key in the file (max-upload) and its line of --help follow from it. A flag goes over a
 * variable, that over the file, that over the default; a wrong value is refused wherever it stands. */
#pragma once

#include <glib.h>

#include "server/auth/scopes.h"
#include "server/http/log.h"
#include "server/http/origin.h"

#define SETTINGS_CONNECTIONS_LEAST 8
#define SETTINGS_TOKEN_LEAST 60 /* seconds, which the token flow promises its clients */

/* Field, kind, default (NULL: none), what stands for the value, meaning. No field may begin with "port" or "service":
 * see settings.c. */
/* clang-format off */
#define SETTINGS(X) \
    X(data, PATH, NULL, "DIR", "Where everything is kept") \
    X(listen, TEXT, "127.0.0.1:5000", "ADDR:PORT", "Where to listen, with commas between, unix:PATH too; port 0: a free one") \
    X(listen_metrics, TEXT, NULL, "ADDR:PORT", "Where to serve /healthz, /readyz and /metrics, and nowhere else") \
    X(external_url, TEXT, NULL, "URL", "What clients call this server, as in https://HOST/PREFIX; else what they ask for") \
    X(trusted_proxy, TEXT, NULL, "NETWORKS", "Proxies that are believed who their clients are: addresses and networks, with commas between") \
    X(proxy_header, PROXY, "x-forwarded", "WHICH", "What those say it by: x-forwarded (X-Forwarded-For, -Proto, -Host, -Prefix) or forwarded") \
    X(max_upload, SIZE, "256G", "SIZE", "The largest blob that is taken") \
    X(max_storage, SIZE, "0", "SIZE", "What all packs may take together; 0: as much as the disk has") \
    X(max_repository, SIZE, "0", "SIZE", "What the blobs of one repository may have together; 0: any size") \
    X(max_uploads_per_user, COUNT, "256", "N", "Uploads that one user may have under way; 0: any number") \
    X(max_unpacked, SIZE, "1G", "SIZE", "What is kept of views that are read, for those who read them again; 0: nothing") \
    X(max_connections, COUNT, "4096", "N", "Connections at once") \
    X(max_connections_per_address, COUNT, "0", "N", "Connections of one address at once; 0: any number") \
    X(rate, COUNT, "0", "N", "Requests of one address in a second; 0: any number") \
    X(burst, COUNT, "0", "N", "Requests of one address at once, before --rate counts; 0: ten times --rate") \
    X(head_timeout, SECONDS, "15s", "TIME", "How long the head of a request may take; 0: for ever") \
    X(min_rate, SIZE, "1K", "SIZE", "What a request that runs must move in a second, either way; 0: nothing") \
    X(min_rate_time, SECONDS, "30s", "TIME", "How long --min-rate is averaged") \
    X(idle_timeout, SECONDS, "75s", "TIME", "How long nothing may move on a connection; 0: for ever") \
    X(tls_cert, PATH, NULL, "FILE", "Serve by TLS with this certificate, in PEM, read anew on SIGHUP") \
    X(tls_key, PATH, NULL, "FILE", "Its private key, in PEM") \
    X(anonymous, ANONYMOUS, NULL, "WHAT", "What those may do who do not log in, once there are users: none or pull") \
    X(token_life, SECONDS, "1h", "TIME", "How long an access token is good, which /token or /oauth2/token gives for a login") \
    X(upstream, TEXT, NULL, "URLS", "Get what is not here from these registries, with semicolons between") \
    X(upstream_absent, SECONDS, "10s", "TIME", "How long what an upstream lacks, or fails to give, is not asked for again") \
    X(cache_size, SIZE, "0", "SIZE", "What all may take before images of upstreams go that nobody pulled for longest; 0: any size") \
    X(gc_every, SECONDS, "1d", "TIME", "How often garbage is collected; 0: only by the verb") \
    X(gc_grace, SECONDS, "1d", "TIME", "How long a blob that no manifest names stays") \
    X(untagged_grace, SECONDS, "7d", "TIME", "How long a manifest that nothing names stays, since it was used last") \
    X(keep, TEXT, NULL, "POLICIES", "Which tags stay: what --keep of the verb gc takes, with semicolons between") \
    X(checkpoint, SIZE, "16M", "SIZE", "Size of the log of events from which on it may begin anew with a checkpoint") \
    X(keep_events, SECONDS, "365d", "TIME", "How long the log that was there before a checkpoint is kept") \
    X(scrub_every, SECONDS, "30d", "TIME", "How often everything is read again; 0: only by the verb") \
    X(scrub_rate, SIZE, "20M", "SIZE", "What that reads in a second; 0: as much as it can") \
    X(scrub_from, TEXT, NULL, "URL", "Repair what is damaged from this registry") \
    X(movable, TEXT, NULL, "PATTERN", "Repositories whose versions may move, as in test/*; without it none moves") \
    X(sparse, TEXT, NULL, "PATTERN", "Repositories whose indexes may lack manifests, as in copies/*; without it none") \
    X(log, LOG, "plain", "FORMAT", "The form of the log's lines: plain or json")
/* clang-format on */

/* The kinds, as C has them. */
typedef char *SettingTEXT;
typedef char *SettingPATH;
typedef guint64 SettingSIZE;  /* bytes: "4096", "64K", "256G" */
typedef guint SettingSECONDS; /* "90", "90s", "5m" */
typedef guint SettingCOUNT;
typedef LogFormat SettingLOG;
typedef OriginHeader SettingPROXY;
typedef guint SettingANONYMOUS; /* AccessRight, or-ed */

#define SETTING_INDEX(field, ...) SETTING_##field,
enum { SETTINGS(SETTING_INDEX) SETTINGS_COUNT };
#define SETTING_FIELD(field, kind, ...) Setting##kind field;

typedef struct {
    SETTINGS(SETTING_FIELD)
    char *texts[SETTINGS_COUNT];   /* as they were given; NULL: not set */
    char *origins[SETTINGS_COUNT]; /* "--listen", "INGOTD_LISTEN", "FILE: listen"; NULL: the default */
} Settings;

void settings_clear(Settings *settings);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Settings, settings_clear)

/* What the command line says. Parse `entries` with GOption; they write here. */
typedef struct {
    gboolean version, check_config;
    char *config;                /* --config FILE */
    char *texts[SETTINGS_COUNT]; /* of the flags; NULL: not given */
    GOptionEntry *entries;
} SettingFlags;
SettingFlags *settings_flags_new(void);
void settings_flags_free(SettingFlags *flags);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SettingFlags, settings_flags_free)

/* Fills settings (empty before) from all sources; environment is like that of g_get_environ(). INVALID names the flag,
 * the variable, or the file and the key that is wrong. */
gboolean settings_read(const SettingFlags *flags, char **environment, Settings *settings, GError **error);

/* The settings in force as a file for --config, with what they mean and where each came from. Free it. */
char *settings_tell(const Settings *settings);
