#include "server/mirror/ask.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "remote/ours.h"
#include "remote/relay.h"

#define LOOKS 32 /* at one upstream at once */
#define COPIES 16
#define MOST 128                                   /* of each kind, with those that wait for a thread */
#define MOMENT G_USEC_PER_SEC                      /* microseconds */
#define STALL_SECONDS 30                           /* for which nothing may come: no client waits for it */
#define FORSAKEN (10 * G_TIME_SPAN_MINUTE)         /* after which a copy that nobody wants is given up */
#define FORSAKEN_CROWDED (20 * G_TIME_SPAN_SECOND) /* and where another waits for its place */

/* Who waits for longer than a moment, at most: some threads of POOL_UPSTREAM are left for those who don't. */
static const gint patient_most[2] = {64, 16};

/* The threads for one upstream. */
typedef struct {
    Fetches *looks, *copies;
} Lane;

struct Asks {
    Storage *storage;
    GPtrArray *upstreams; /* of Upstream */
    Lane *lanes;          /* one for each */
    char *folder;
    gint patient[2]; /* atomic: who waits for longer than a moment: for a look-up, for a copy */
};

Asks *asks_new(Storage *storage, const char *folder, GPtrArray *upstreams, guint remember)
{
    Asks *asks = g_new0(Asks, 1);
    asks->storage = storage;
    asks->upstreams = upstreams;
    asks->lanes = g_new(Lane, upstreams->len);
    for (guint i = 0; i < upstreams->len; i++) {
        asks->lanes[i] =
            (Lane){.looks = fetches_new(remember, LOOKS, MOST), .copies = fetches_new(remember, COPIES, MOST)};
    }
    asks->folder = g_strdup(folder);
    return asks;
}

void asks_free(Asks *asks)
{
    for (guint i = 0; i < asks->upstreams->len; i++) {
        fetches_free(asks->lanes[i].looks);
        fetches_free(asks->lanes[i].copies);
    }
    g_free(asks->lanes);
    g_free(asks->folder);
    g_ptr_array_unref(asks->upstreams);
    g_free(asks);
}

const GPtrArray *asks_upstreams(const Asks *asks)
{
    return asks->upstreams;
}

static Fetches *ask_lane(const Ask *ask)
{
    guint at = 0;
    g_ptr_array_find(ask->asks->upstreams, ask->upstream, &at);
    return ask->cold != NULL ? ask->asks->lanes[at].copies : ask->asks->lanes[at].looks;
}

void ask_free(gpointer data)
{
    Ask *ask = data;
    cold_unref(ask->cold);
    g_free(ask->name);
    g_free(ask->reference);
    g_free(ask);
}

const char *ask_there(const Ask *ask)
{
    return ask->name + strlen(upstream_prefix(ask->upstream));
}

Ask *ask_new_of(Asks *asks, Upstream *upstream, const char *what, AskFunc function)
{
    Ask *ask = g_new0(Ask, 1);
    *ask = (Ask){.asks = asks,
                 .upstream = upstream,
                 .what = what,
                 .function = function,
                 .name = g_strdup(upstream_prefix(upstream))};
    return ask;
}

Ask *ask_new(Asks *asks, const char *name, const char *reference, const char *what, AskFunc function)
{
    OciDigest named = {0};
    Upstream *upstream = upstreams_find(asks->upstreams, name);
    if (upstream == NULL || !ingot_name_check(name, NULL) ||
        !ingot_name_check(name + strlen(upstream_prefix(upstream)), NULL)) {
        return NULL;
    }
    if (reference != NULL && !(strchr(reference, ':') != NULL ? oci_digest_parse(reference, &named, NULL)
                                                              : ingot_tag_check(reference, NULL))) {
        return NULL;
    }
    Ask *ask = g_new0(Ask, 1);
    *ask = (Ask){.asks = asks,
                 .upstream = upstream,
                 .what = what,
                 .function = function,
                 .name = g_strdup(name),
                 .reference = g_strdup(reference),
                 .named = named};
    return ask;
}

static char *ask_key(const Ask *ask)
{
    return g_strdup_printf("%s %s%s%s", ask->what, ask->name, ask->reference == NULL ? "" : " ",
                           ask->reference == NULL ? "" : ask->reference);
}

Ask *ask_new_copy(Asks *asks, const char *name, const char *digest, const char *what, AskFunc function)
{
    Ask *ask = ask_new(asks, name, digest, what, function);
    if (ask != NULL) {
        ask->cold = cold_new(asks->folder);
    }
    return ask;
}

/* Whether the copy of a blob is still wanted. */
static gboolean ask_goes_on(gpointer user, GError **error)
{
    const Ask *ask = user;
    const gint64 time = ask->cold == NULL ? 0 : cold_forsaken(ask->cold);
    if (time < FORSAKEN_CROWDED || (time < FORSAKEN && !fetches_crowded(ask_lane(ask)))) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "%s: given up, as nobody waits for it", ask->name);
    return FALSE;
}

/* What is refused here, and a login that is refused there, is no word of the upstream's about what was asked for. */
static void ask_judge(const IngotRemote *remote, GError *problem)
{
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) &&
        ingot_remote_ended(remote) != INGOT_REMOTE_REFUSED) {
        problem->code = INGOT_ERROR_FAILED;
    }
}

static gboolean ask_do(Ask *ask, char **result, GError **error)
{
    g_autoptr(GError) problem = NULL;
    IngotRemote *remote = upstream_borrow(ask->upstream, STALL_SECONDS, error);
    if (remote == NULL) {
        return FALSE;
    }
    Copy copy = {.storage = ask->asks->storage,
                 .remote = remote,
                 .skip = strlen(upstream_prefix(ask->upstream)),
                 .cold = ask->cold,
                 .goes_on = ask_goes_on,
                 .goes_on_user = ask};
    ingot_remote_allow(remote); /* what is withheld there is withheld here: copy.c */
    if (ask->named.is_sha512) {
        ingot_remote_call(remote, &ask->named.key, ask->reference);
    }
    gboolean ok = ask->function(ask, &copy, result, &problem);
    if (problem != NULL) {
        ask_judge(remote, problem);
    }
    upstream_give_back(ask->upstream, remote, problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return ok;
}

/* Whatever becomes of it, those who read what it brings hear of its end. */
static gboolean ask_run(gpointer data, char **result, GError **error)
{
    Ask *ask = data;
    gboolean ok = ask_do(ask, result, error);
    if (ask->cold != NULL) {
        cold_end(ask->cold, ok);
    }
    return ok;
}

/* What its own copy brings, or the one that runs already. */
static void ask_join(gpointer data, gpointer user)
{
    const Ask *running = data;
    Cold **cold = user;
    if (running->cold != NULL) {
        cold_wait(running->cold);
        *cold = cold_ref(running->cold);
    }
}

FetchOutcome ask_get_copy(Ask *ask, gint64 wait, char **result, Cold **cold)
{
    *cold = NULL;
    if (ask == NULL) {
        return FETCH_ABSENT;
    }
    Asks *asks = ask->asks;
    Upstream *upstream = ask->upstream;
    guint kind = ask->cold != NULL;
    gboolean patient = wait > MOMENT;
    if (patient && g_atomic_int_add(&asks->patient[kind], 1) >= patient_most[kind]) {
        wait = 0;
    }
    g_autofree char *key = ask_key(ask);
    FetchOutcome outcome = fetches_get(ask_lane(ask), key, ask_run, ask, ask_free, wait, result, ask_join, cold);
    if (patient) {
        g_atomic_int_add(&asks->patient[kind], -1);
    }
    if (*cold != NULL) {
        cold_wait_end(*cold);
    } else if (outcome == FETCH_PENDING && wait > 0) {
        upstream_was_late(upstream); /* a copy takes as long as it is large */
    }
    return outcome;
}

FetchOutcome ask_get(Ask *ask, gint64 wait, char **result)
{
    g_autoptr(Cold) cold = NULL;
    return ask_get_copy(ask, wait, result, &cold);
}
