/* check: {url: URL, secret: NAME, timeout: 10s}. A server of somebody else's says that it may.
 *
 * It is asked by a signed POST (webhook/hookpost.h), and signs its answer with the same secret over the request's id
 * and the answer's body: what was changed on the way, or was an answer to another request, is no yes. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/random.h"
#include "server/channel/gatekinds.h"
#include "server/channel/gatesettings.h"
#include "server/webhook/hookpost.h"
#include "server/webhook/hooksecrets.h"
#include "server/webhook/hooksign.h"

#define SECONDS_USUAL 10
#define SECONDS_MOST 60
#define ANSWER_VALUES 100 /* of JSON */
#define TOLD_MOST 300u    /* bytes of what the answer says */

static gboolean check_check(const json_t *settings, GString *path, GError **error)
{
    static const char *const names[] = {"url", "secret", "timeout", NULL};
    g_autoptr(GError) problem = NULL;
    if (!settings_map(settings, names, "url", path, error) || !settings_map(settings, names, "secret", path, error) ||
        !settings_duration(settings, "timeout", path, error)) {
        return FALSE;
    }
    const char *url = json_string_value(json_object_get(settings, "url"));
    const char *secret = json_string_value(json_object_get(settings, "secret"));
    if (!hook_url_check(url == NULL ? "" : url, &problem)) {
        return settings_wrong(path, "url", error, "%s", problem->message);
    }
    if (!hook_secret_name_check(secret == NULL ? "" : secret, &problem)) {
        return settings_wrong(path, "secret", error, "%s", problem->message);
    }
    gint64 seconds = settings_seconds(settings, "timeout");
    return json_object_get(settings, "timeout") == NULL || (seconds >= 1 && seconds <= SECONDS_MOST) ||
           settings_wrong(path, "timeout", error, "a time from 1s to %ds is expected", SECONDS_MOST);
}

/* What the other server is asked. Free it. */
static char *write_question(const GateCase *its, const char *id)
{
    g_autoptr(json_t) object = ingot_json_pack("{s:s, s:s}", "id", id, "kind", "check");
    g_autofree char *digest = ingot_digest_to_text(&its->digest), *at = ingot_text_time(its->now);
    g_autofree char *version = storage_version_of(its->storage, its->name, &its->digest);
    ingot_json_set_string(object, "name", its->name);
    ingot_json_set_string(object, "channel", its->channel);
    ingot_json_set_string(object, "digest", digest);
    ingot_json_set_string(object, "version", version);
    ingot_json_set_string(object, "by", its->caller);
    ingot_json_set_string(object, "at", at);
    return ingot_json_canonical(object);
}

/* A member of the answer, for people; NULL: it has none. Free it. */
static char *told(const json_t *answer, const char *member)
{
    const char *text = json_string_value(json_object_get(answer, member));
    g_autofree char *line = text == NULL || *text == '\0' ? NULL : ingot_text_line(text);
    return line == NULL ? NULL : ingot_text_head(line, TOLD_MOST);
}

static gboolean not_an_answer(const char *url, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s %s", url, why);
    return FALSE;
}

static gboolean read_answer(const HookAnswer *answer, const char *url, GateVerdict *verdict, GError **error)
{
    gsize room = ANSWER_VALUES;
    g_autoptr(json_t) object = ingot_json_parse_within(answer->body->str, answer->body->len, url, &room, error);
    if (object == NULL) {
        return FALSE;
    }
    const json_t *passed = json_object_get(object, "passed");
    if (!json_is_boolean(passed)) {
        return not_an_answer(url, "does not say whether it passed", error);
    }
    verdict->passed = json_is_true(passed);
    g_autofree char *why = told(object, "why");
    verdict->why =
        why != NULL ? g_steal_pointer(&why) : g_strdup_printf("%s says %s", url, verdict->passed ? "yes" : "no");
    if (!verdict->passed) {
        verdict->mend = told(object, "mend");
        verdict->mend = verdict->mend == NULL ? g_strdup_printf("ask those who keep %s", url) : verdict->mend;
    }
    return TRUE;
}

static gboolean judge_answer(const HookSecret *secret, const char *id, const HookAnswer *answer, const char *url,
                             GateVerdict *verdict, GError **error)
{
    if (answer->status != 200) {
        g_autofree char *why = g_strdup_printf("answers with status %u", answer->status);
        return not_an_answer(url, why, error);
    }
    if (answer->cut) {
        return not_an_answer(url, "answers with more than is read", error);
    }
    if (!hook_verify(secret->secret, id, answer->body->str, answer->body->len, answer->signature)) {
        verdict->why = g_strdup_printf("the answer of %s is not signed, for this request, with the secret", url);
        verdict->mend = g_strdup("have the answer signed as ingotd(8) says, with the same secret on both sides");
        return TRUE;
    }
    return read_answer(answer, url, verdict, error);
}

/* The secret of that name, where it is for such a question. */
static HookSecret *find_secret(const GateCase *its, const char *name, const char *url, GError **error)
{
    if (its->ledger == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "there are no secrets to ask it with");
        return NULL;
    }
    g_autoptr(HookSecret) secret = hook_secrets_find(its->ledger, name, error);
    if (secret != NULL && !hook_secret_is_for(secret, url, its->name)) {
        g_autofree char *shown = ingot_text_url(url);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "the secret '%s' is not for %s and %s: `ingotd webhook secret` says which URL and names it is for",
                    name, shown, its->name);
        return NULL;
    }
    return g_steal_pointer(&secret);
}

static gboolean check_judge(const GateCase *its, const json_t *settings, GateVerdict *verdict, GError **error)
{
    gint64 seconds = settings_seconds(settings, "timeout");
    const char *url = json_string_value(json_object_get(settings, "url"));
    const char *name = json_string_value(json_object_get(settings, "secret"));
    g_auto(HookAnswer) answer = {0};
    g_autoptr(HookSecret) secret = find_secret(its, name, url, error);
    g_autofree char *id = secret == NULL ? NULL : random_id(error);
    if (id == NULL) {
        return FALSE;
    }
    g_autofree char *question = write_question(its, id), *shown = ingot_text_url(url);
    const HookPost post = {.url = url,
                           .secret = secret->secret,
                           .allow_private = secret->allow_private,
                           .allow_http = secret->allow_http,
                           .seconds = seconds == 0 ? SECONDS_USUAL : (guint)seconds,
                           .kind = "check",
                           .id = id,
                           .body = question};
    return hook_post(&post, &answer, error) && judge_answer(secret, id, &answer, shown, verdict, error);
}

const Gate gate_check = {"check", check_check, check_judge};
