/* ingot follow: runs a command on this machine each time that a channel has moved. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ingot/error.h>
#include <ingot/reference.h>
#include <ingot/transfer.h>

#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/deployed.h"
#include "cli/follow/aim.h"
#include "cli/follow/deploy.h"
#include "cli/follow/ear.h"
#include "cli/follow/place.h"
#include "cli/follow/pulled.h"
#include "cli/follow/window.h"
#include "cli/verbs.h"
#include "remote/api.h"
#include "remote/environment.h"
#include "transfer/pull.h"

#define RETRY_FIRST 10u        /* seconds after a failure, doubled with each */
#define RETRY_MOST (15u * 60u) /* seconds */
#define REPORT_EVERY (DEPLOY_EVERY * (gint64)G_TIME_SPAN_MILLISECOND)
#define SOON ((gint64)G_USEC_PER_SEC) /* until a channel that moves is looked at again */
#define WORDS_MAX 500u                /* bytes of a failure that are reported */

typedef struct {
    char *command, *group, *host, *wariness, *folder, *retry, *policy;
    char **windows;
    gboolean once;
    guint64 retry_first; /* seconds */
    GArray *open;        /* windows.h */

    IngotReference *channel;
    IngotRemote *remote;
    IngotStore *store;
    Place *place;
    Ear *ear;

    IngotDigest ready;  /* the image that was pulled last, and whose disk is written */
    IngotDigest failed; /* the image whose deployment failed last */
    guint failures;     /* in a row, of that image */
    gboolean begun;     /* the last try has come to the command, and what became of it says something of the image */
    gint64 again;       /* monotonic: when it is tried again */
    gboolean resumed;   /* what a follower of before has begun is known */
    json_t *report;     /* what was said last; NULL: nothing */
    char *waits;        /* why it was told to wait, as long as it does; NULL: it does not */
} Follower;

static void follower_clear(Follower *follower)
{
    g_clear_pointer(&follower->ear, ear_free);
    g_clear_pointer(&follower->place, place_free);
    g_clear_pointer(&follower->store, ingot_store_free);
    g_clear_pointer(&follower->remote, ingot_remote_free);
    g_clear_pointer(&follower->channel, ingot_reference_free);
    g_clear_pointer(&follower->open, g_array_unref);
    json_decref(follower->report);
    g_strfreev(follower->windows);
    g_free(follower->command);
    g_free(follower->group);
    g_free(follower->host);
    g_free(follower->wariness);
    g_free(follower->waits);
    g_free(follower->folder);
    g_free(follower->retry);
    g_free(follower->policy);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Follower, follower_clear)

/* --- reports --- */

static void follower_say(Follower *follower)
{
    guint status;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_strdup_printf("%s/hosts/%s", follower->channel->name, follower->channel->tag);
    g_autoptr(json_t) answer = remote_api(follower->remote, "POST", path, follower->report, &status, &error);
    if (answer == NULL && ingot_interrupt_check(NULL)) {
        ingot_progress_message(ingot_command_progress(), "not reported: %s", error->message);
    }
}

static void follower_report(Follower *follower, const IngotDigest *digest, const char *result, const char *failure,
                            gint64 since)
{
    g_autofree char *text = ingot_digest_to_text(digest), *date = ingot_text_time(since);
    g_autofree char *words = ingot_text_line(failure), *head = ingot_text_head(words, WORDS_MAX);
    json_decref(follower->report);
    follower->report = json_object();
    ingot_json_set_string(follower->report, "host", follower->host);
    ingot_json_set_string(follower->report, "id", place_id(follower->place));
    ingot_json_set_string(follower->report, "group", follower->group == NULL ? "" : follower->group);
    ingot_json_set_string(follower->report, "digest", text);
    ingot_json_set_string(follower->report, "result", result);
    ingot_json_set_string(follower->report, "failure", head);
    ingot_json_set_string(follower->report, "since", date);
    if (strcmp(result, "failed") == 0) {
        json_object_set_new(follower->report, "begun", json_boolean(follower->begun));
    }
    follower_say(follower);
}

static gint64 follower_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* --- one image --- */

static gboolean follower_aim(Follower *follower, Aim *aim, GError **error)
{
    IngotDigest done;
    gint64 since;
    const AimHost host = {.host = follower->host,
                          .id = place_id(follower->place),
                          .group = follower->group,
                          .wariness = follower->wariness};
    gboolean has = place_done(follower->place, &done, &since);
    return aim_find(follower->remote, follower->channel, &host, has ? &done : NULL, aim, error);
}

static IngotReference *follower_reference(const Follower *follower, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return ingot_reference_new(follower->channel->host, follower->channel->name, follower->channel->tag, text);
}

/* The target and nothing else, wherever the channel moves meanwhile. */
static IngotImage *follower_pull(Follower *follower, const IngotDigest *target, GError **error)
{
    IngotDescriptor manifest;
    IngotDigest done;
    gint64 since;
    const IngotDigest *before = place_done(follower->place, &done, &since) ? &done : NULL;
    g_autoptr(IngotReference) asked = follower_reference(follower, target);
    g_autoptr(GBytes) bytes = ingot_transfer_image_manifest(follower->remote, asked, &manifest, error);
    if (bytes == NULL) {
        return NULL;
    }
    g_autoptr(IngotReference) exact = follower_reference(follower, &manifest.digest);
    g_autofree char *what = ingot_reference_to_text(exact);
    g_autoptr(IngotManifest) parts =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), what, error);
    if (parts == NULL) {
        return NULL;
    }
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions options = {.progress = ingot_command_progress(), .remote = remote};
    pulled_remove(follower->folder, follower->store, target, before);
    if (!pulled_note(follower->folder, follower->store, exact, parts, target, error) ||
        !pull_found(follower->store, exact, &options, error)) {
        return NULL;
    }
    return ingot_store_image(follower->store, exact, error);
}

/* By the registry, the version whose tag names it as well; else as the image says; "" where neither does. Free it. */
static char *follower_version(Follower *follower, const IngotImage *image, const char *digest)
{
    guint status;
    const json_t *row;
    gsize index;
    const char *version = NULL;
    g_autofree char *path = g_strdup_printf("%s/channels", follower->channel->name);
    g_autoptr(json_t) rows = remote_api(follower->remote, "GET", path, NULL, &status, NULL);
    json_array_foreach(rows, index, row)
    {
        const char *channel = json_string_value(json_object_get(row, "channel"));
        const char *named = json_string_value(json_object_get(row, "digest"));
        if (g_strcmp0(channel, follower->channel->tag) == 0 && g_strcmp0(named, digest) == 0) {
            version = json_string_value(json_object_get(row, "version"));
        }
    }
    if (version == NULL || *version == '\0') {
        version = json_string_value(json_object_get(image->manifest->annotations, "org.opencontainers.image.version"));
    }
    return g_strdup(version == NULL ? "" : version);
}

typedef struct {
    Follower *follower;
    const IngotDigest *target;
    gint64 since;
} Start;

static void start_report(gpointer user)
{
    const Start *start = user;
    start->follower->begun = TRUE;
    follower_report(start->follower, start->target, "running", "", start->since);
}

/* Whoever says that it runs, and no more, is taken for one that is down. */
static void start_report_again(gpointer user)
{
    follower_say(((const Start *)user)->follower);
}

static gboolean follower_failed_with(const Follower *follower, const IngotDigest *target)
{
    return follower->failures > 0 && ingot_digest_equal(&follower->failed, target);
}

/* A command that does not start has done nothing to what stands. */
static void follower_take_back(const Follower *follower)
{
    g_autoptr(GError) problem = NULL;
    if (!follower->begun && !place_take_back(follower->place, &problem)) {
        ingot_progress_warning(ingot_command_progress(), "%s", problem->message);
    }
}

static gboolean follower_run(Follower *follower, const IngotDigest *target, const char *version, char **disks, int turn,
                             GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(target), *channel = ingot_reference_to_text(follower->channel);
    g_autofree char *reference = g_strdup_printf("%s@%s", channel, digest);
    Start start = {follower, target, follower_now()};
    const Deployment deployment = {.command = follower->command,
                                   .reference = reference,
                                   .digest = digest,
                                   .version = version,
                                   .disks = disks,
                                   .note = place_note(follower->place),
                                   .marker = place_marker(follower->place),
                                   .turn = turn,
                                   .grace = DEPLOY_GRACE,
                                   .every = DEPLOY_EVERY,
                                   .started = start_report,
                                   .runs = start_report_again,
                                   .user = &start};
    guint before = follower_failed_with(follower, target) ? follower->failures : 0;
    int status;
    if (!place_begin(follower->place, target, before + 1, start.since, error) ||
        !deploy_run(&deployment, &status, error)) {
        follower_take_back(follower);
        return FALSE;
    }
    if (status != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the command ends with status %d", status);
        return FALSE;
    }
    return place_finish(follower->place, target, error);
}

/* Microseconds until a window opens. */
static gint64 follower_closed(const Follower *follower)
{
    return windows_wait(follower->open, follower_now()) * G_USEC_PER_SEC;
}

/* Gets all that the command needs, at any time, and runs it where a window is open then, and it is still the target.
 * TRUE, too, where it did not run: *wait says when to look again. */
static gboolean follower_deploy(Follower *follower, const IngotDigest *target, int turn, gint64 *wait, GError **error)
{
    g_auto(Aim) now = {0};
    gint64 closed = follower_closed(follower);
    follower->begun = FALSE;
    if (closed > 0 && ingot_digest_equal(&follower->ready, target)) {
        *wait = MIN(*wait, closed);
        return TRUE;
    }
    g_autoptr(IngotImage) image = follower_pull(follower, target, error);
    place_tidy(follower->place, target);
    g_auto(GStrv) disks = image == NULL ? NULL : place_disks(follower->place, image, target, error);
    if (disks == NULL) {
        return FALSE;
    }
    follower->ready = *target;
    g_autofree char *digest = ingot_digest_to_text(target), *version = follower_version(follower, image, digest);
    if (!follower_aim(follower, &now, error)) {
        return FALSE;
    }
    gboolean still = now.waits == NULL && ingot_digest_equal(&now.digest, target);
    closed = follower_closed(follower);
    if (closed > 0 || !still) {
        *wait = MIN(*wait, still ? closed : SOON);
        return TRUE;
    }
    return follower_run(follower, target, now.version == NULL ? version : now.version, disks, turn, error);
}

/* --- the loop --- */

/* The next try is later with each failure, and not at the same time as on all other hosts. What is said of it; free it.
 */
static char *follower_put_off(Follower *follower, const IngotDigest *target, guint failures, const char *failure)
{
    guint64 seconds = MIN(follower->retry_first << MIN(failures - 1, 20u), (guint64)RETRY_MOST);
    gint64 usec = (gint64)((double)seconds * G_USEC_PER_SEC * g_random_double_range(0.75, 1.25));
    g_autofree char *wait = ingot_text_duration((double)usec / G_USEC_PER_SEC);
    follower->failed = *target;
    follower->failures = failures;
    follower->again = g_get_monotonic_time() + usec;
    return g_strdup_printf("%s (failure %u in a row; tried again in %s)", failure, failures, wait);
}

/* Where it can't be noted, the next follower knows less of it. */
static void follower_note(Follower *follower, const Attempt *attempt)
{
    g_autoptr(GError) problem = NULL;
    if (!place_fail(follower->place, attempt, &problem)) {
        ingot_progress_warning(ingot_command_progress(), "%s", problem->message);
    }
}

static void follower_back_off(Follower *follower, const IngotDigest *target, const GError *error)
{
    guint failures = (follower_failed_with(follower, target) ? follower->failures : 0) + 1;
    g_auto(Attempt) attempt = {.digest = *target, .tries = failures, .since = follower_now()};
    attempt.failure = follower_put_off(follower, target, failures, error->message);
    ingot_progress_warning(ingot_command_progress(), "%s", attempt.failure);
    if (follower->begun) {
        follower_note(follower, &attempt);
    }
    follower_report(follower, target, "failed", attempt.failure, attempt.since);
}

/* The follower is to end, and has ended the command where it ran. */
static void follower_note_interrupted(Follower *follower)
{
    g_auto(Attempt) attempt = {0};
    if (follower->begun && place_begun(follower->place, &attempt)) {
        g_free(attempt.failure);
        attempt.failure = g_strdup("the follower was ended, and the command with it");
        attempt.since = follower_now();
        attempt.interrupted = TRUE;
        follower_note(follower, &attempt);
    }
}

/* Where nobody has seen how the command ended, it has taken the host or the follower with it, or the power has failed;
 * so where the follower had to end while it ran, and not for the first time. It is not to do so again at once. */
static void follower_take_fall(Follower *follower, Attempt *last)
{
    g_autofree char *failure = g_steal_pointer(&last->failure);
    const char *words = failure == NULL ? "the command did not end well: the follower or the host went down" : failure;
    last->failure = follower_put_off(follower, &last->digest, last->tries, words);
    last->since = failure == NULL ? follower_now() : last->since;
    last->interrupted = FALSE;
    ingot_progress_warning(ingot_command_progress(), "%s", last->failure);
    follower_note(follower, last);
}

/* Once, under the turn: what a follower of before has begun, and what did not end well. A first end of the follower
 * says nothing of the image. */
static void follower_resume(Follower *follower)
{
    g_auto(Attempt) last = {0};
    g_autoptr(GError) problem = NULL;
    if (follower->resumed) {
        return;
    }
    follower->resumed = TRUE;
    if (!place_complete(follower->place, &problem)) {
        ingot_progress_warning(ingot_command_progress(), "%s", problem->message);
    }
    if (!place_begun(follower->place, &last)) {
        return;
    }
    follower->begun = !last.interrupted || last.tries > 1;
    follower->failed = last.digest;
    follower->failures = last.tries;
    if (last.failure == NULL || (last.interrupted && last.tries > 1)) {
        follower_take_fall(follower, &last);
    }
    follower_report(follower, &last.digest, "failed", last.failure, last.since);
}

static gboolean follower_has_done(const Follower *follower, const IngotDigest *target, gint64 *since)
{
    IngotDigest stands;
    return place_stands(follower->place, &stands, since) && ingot_digest_equal(&stands, target);
}

/* Does what is to be done for the target, where it is time. *wait: microseconds until there is something to do again,
 * where it was not done. */
static gboolean follower_try(Follower *follower, const IngotDigest *target, int turn, gint64 *wait, GError **error)
{
    g_autoptr(GError) problem = NULL;
    gint64 rest = follower_failed_with(follower, target) ? follower->again - g_get_monotonic_time() : 0;
    if (rest > 0) {
        *wait = MIN(*wait, rest);
        return TRUE;
    }
    if (!follower_deploy(follower, target, turn, wait, &problem)) {
        if (!ingot_interrupt_check(error)) {
            follower_note_interrupted(follower);
            return FALSE;
        }
        follower_back_off(follower, target, problem);
        *wait = MAX(follower->again - g_get_monotonic_time(), 0);
    }
    return TRUE;
}

/* It keeps what it has, and says so; where its last word is a failure, that again: it is there still. */
static void follower_hold(Follower *follower, const Aim *aim, gint64 *wait)
{
    IngotDigest done;
    gint64 since;
    const char *said = json_string_value(json_object_get(follower->report, "result"));
    if (g_strcmp0(follower->waits, aim->waits) != 0) {
        ingot_progress_message(ingot_command_progress(), "waits: %s", aim->waits);
        g_free(follower->waits);
        follower->waits = g_strdup(aim->waits);
    }
    if (g_strcmp0(said, "failed") == 0) {
        follower_say(follower);
    } else if (place_stands(follower->place, &done, &since)) {
        follower_report(follower, &done, "done", "", since);
    }
    *wait = aim->again == 0 ? *wait : MIN(*wait, aim->again * G_USEC_PER_SEC);
}

/* Does what is to be done for the target, and says that it was done. */
static gboolean follower_go(Follower *follower, const Aim *aim, int turn, gboolean *ends, gint64 *wait, GError **error)
{
    gint64 since;
    const IngotDigest *target = &aim->digest;
    g_clear_pointer(&follower->waits, g_free);
    if (!follower_has_done(follower, target, &since) && !follower_try(follower, target, turn, wait, error)) {
        return FALSE;
    }
    if (follower_has_done(follower, target, &since)) {
        place_tidy(follower->place, target);
        follower->failures = 0;
        follower_report(follower, target, "done", "", since);
        *ends = follower->once && !aim->further;
        *wait = aim->further ? SOON : *wait;
    }
    return TRUE;
}

/* While the command of a killed follower runs: who is silent is taken for one that is down. */
static void follower_report_other(gpointer user)
{
    Follower *follower = user;
    g_auto(Attempt) runs = {0};
    if (place_begun(follower->place, &runs)) {
        follower_report(follower, &runs.digest, "running", "", runs.since);
    }
}

/* Looks at the channel once, and does what is to be done. The turn is taken first: whatever the command of a killed
 * follower takes, what is looked at then is what counts. *ends: that was all. *wait: microseconds until there is
 * something to do again. */
static gboolean follower_look(Follower *follower, gboolean *ends, gint64 *wait, GError **error)
{
    g_auto(Aim) aim = {0};
    g_autoptr(GError) problem = NULL;
    *wait = REPORT_EVERY;
    g_auto(IngotFd) turn = place_take_turn(follower->place, DEPLOY_EVERY, follower_report_other, follower, &problem);
    if (turn >= 0) {
        follower_resume(follower);
    }
    if (turn < 0 || !follower_aim(follower, &aim, &problem)) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        ingot_progress_warning(ingot_command_progress(), "%s", problem->message);
        *wait = (gint64)follower->retry_first * G_USEC_PER_SEC; /* the network, or no such channel yet */
        return TRUE;
    }
    if (aim.waits != NULL) {
        follower_hold(follower, &aim, wait);
        return TRUE;
    }
    return follower_go(follower, &aim, turn, ends, wait, error);
}

/* Until a signal ends it, which is no failure. */
static gboolean follower_loop(Follower *follower, GError **error)
{
    gboolean ends = FALSE;
    while (!ends && ingot_interrupt_check(NULL)) {
        gint64 wait;
        GError *problem = NULL;
        if (follower_look(follower, &ends, &wait, &problem)) {
            if (!ends) {
                ear_wait(follower->ear, wait);
            }
        } else if (ingot_interrupt_check(NULL)) {
            g_propagate_error(error, problem);
            return FALSE;
        } else {
            g_clear_error(&problem);
        }
    }
    return TRUE;
}

/* --- the verb --- */

static gboolean follower_settle(Follower *follower, const char *text, GError **error)
{
    follower->channel = cli_remote_reference(text, error);
    if (follower->channel == NULL) {
        return FALSE;
    }
    if (follower->channel->tag == NULL || follower->channel->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST/NAME:CHANNEL is expected", text);
        return FALSE;
    }
    if (follower->command == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--exec COMMAND is missing; `ingot follow --help` tells more");
        return FALSE;
    }
    follower->open = windows_new();
    for (guint i = 0; follower->windows != NULL && follower->windows[i] != NULL; i++) {
        if (!windows_add(follower->open, follower->windows[i], error)) {
            return FALSE;
        }
    }
    double place;
    if (follower->wariness != NULL && !ingot_text_parse_fraction(follower->wariness, &place, error)) {
        g_prefix_error(error, "--wariness: ");
        return FALSE;
    }
    follower->retry_first = RETRY_FIRST;
    if (follower->retry != NULL && !ingot_text_parse_duration(follower->retry, &follower->retry_first, error)) {
        return FALSE;
    }
    follower->host = follower->host == NULL ? g_strdup(g_get_host_name()) : follower->host;
    follower->folder = follower->folder == NULL ? deployed_folder(follower->channel) : follower->folder;
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Follower) follower = {0};
    const GOptionEntry entries[] = {
        {"exec", 0, 0, G_OPTION_ARG_STRING, &follower.command, "what sh runs once the image is here", "COMMAND"},
        {"once", 0, 0, G_OPTION_ARG_NONE, &follower.once, "end after one run that ended well", NULL},
        {"group", 0, 0, G_OPTION_ARG_STRING, &follower.group, "the group of hosts that this one is of", "GROUP"},
        {"wariness", 0, 0, G_OPTION_ARG_STRING, &follower.wariness,
         "its place in a rollout by percent, from 0.0 (first) to 1.0 (last); by its name and id", "NUMBER"},
        {"name", 0, 0, G_OPTION_ARG_STRING, &follower.host, "what this host is called (its host name)", "HOST"},
        {"window", 0, 0, G_OPTION_ARG_STRING_ARRAY, &follower.windows,
         "start it only then: [DAYS ]HH:MM-HH:MM[ ZONE]; may be repeated", "WINDOW"},
        {"retry", 0, 0, G_OPTION_ARG_STRING, &follower.retry,
         "the first wait after a failure (10s); it doubles up to 15m", "TIME"},
        {"folder", 0, 0, G_OPTION_ARG_FILENAME, &follower.folder, "where the disk and what was done are kept", "DIR"},
        CLI_POLICY_OPTION(follower.policy),
        G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_follow, entries, 1, 1, &argc, &argv, error) ||
        !follower_settle(&follower, argv[1], error)) {
        return FALSE;
    }
    environment_use_policy(follower.policy);
    follower.place = place_open(follower.folder, error);
    follower.store = follower.place == NULL ? NULL : cli_store(error);
    follower.remote = follower.store == NULL ? NULL : environment_remote(follower.channel->host, error);
    follower.ear = follower.remote == NULL
                       ? NULL
                       : ear_new(follower.channel->host, follower.channel->name, follower.channel->tag, error);
    return follower.ear != NULL && follower_loop(&follower, error);
}

const IngotVerb verb_follow = {
    "follow", "HOST/NAME:CHANNEL", "run a command here each time that a channel has moved",
    "On a move, a rollback too, only chunks that the store lacks are fetched; the disk is written as a raw file, and "
    "sh\n"
    "runs COMMAND with INGOT_REF, INGOT_DIGEST, INGOT_VERSION and INGOT_DISK, the path of that file, which is to be\n"
    "read alone; INGOT_DISKS has the paths of all disks, one a line, where the image has several. The disks of before\n"
    "stay until the command has ended well. What ended well is not run again, however\n"
    "the follower ends. An image is pulled outside of windows too. The result is reported to the registry. Where a\n"
    "channel's rollout goes in phases, the host waits for its own.\n\n"
    "Example:\n  ingot follow registry.example/team/web:prod --exec 'cp \"$INGOT_DISK\" /srv/web.raw && systemctl "
    "restart web'\n"
    "      --window 'Mon-Fri 22:00-04:00 Europe/Berlin'\n",
    run};
