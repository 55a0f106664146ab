/* Hosts: which machine runs which digest of a name's channel, as its follower reported it. A report takes the place of
 * the last one that the same user has sent of the host: nobody can speak in another's place. Hosts that have one name
 * are told apart by their ids. Who has not reported for
 * thirty days is forgotten, but for a failure since the channel's last move, which counts for as long as that stands.
 * Who says that the command runs, and then nothing for HOSTS_SILENT, went down with it: that is a failure as well. A
 * name has at most HOSTS_MOST, all names together HOSTS_MOST_OF_ALL: the user that has the most of them makes room, by
 * the one that was silent for the longest. Thread safe. */
#pragma once

#include "base/json.h"
#include "server/catalogue/database.h"

#define HOSTS_MOST 10000
#define HOSTS_MOST_OF_ALL 100000
#define HOSTS_LIFE ((gint64)30 * 24 * 3600) /* seconds */
#define HOSTS_SILENT ((gint64)3600)         /* seconds; while its command runs, a host says so every 15 minutes */

typedef struct {
    const char *name, *channel;
    const char *user;         /* whose report it is; "-": nobody is known */
    const char *host, *group; /* group "": none */
    const char *id;           /* "": the follower is one of before, which says none */
    const char *digest;       /* what it runs or tried to; "": nothing */
    const char *result;       /* "done", "failed" or "running" */
    const char *failure;      /* "": none */
    gboolean begun;           /* a failure that counts for rollouts: the image's command had begun */
    gint64 since;             /* seconds: of that result */
    guint64 move;             /* the number of the channel's last move (moves.h) as it came; 0: none */
} HostReport;

/* A report of a host's own words: {"host", "id", "group", "digest", "result", "failure", "begun", "since"}, without
 * "begun" as if it were true. Its texts belong to the json. INVALID: the member that is wrong is named. */
gboolean hosts_read(const json_t *json, HostReport *report, GError **error);

/* A failure that was reported before, of the same digest and since the same second, stays one of the move of then. The
 * first host that says its id takes over what it has reported without one. */
gboolean hosts_put(Database *ledger, const HostReport *report, gint64 now, GError **error);
/* Those of a name (channel NULL: of any channel), sorted by channel, host, id and user:
 * [{"channel", "host", "id", "group", "digest", "result", "failure", "since", "seen", "by"}], without "id" and "by"
 * where they are not known. */
json_t *hosts_list(Database *ledger, const char *name, const char *channel, gint64 now, GError **error);
/* Those that have failed since a move of the channel and not done the same digest since, whatever they try or run now,
 * or have gone silent while they tried, sorted: [{"host", "id", "digest"}]. */
json_t *hosts_failed(Database *ledger, const char *name, const char *channel, guint64 move, gint64 now, GError **error);
