/* ingotd webhook: who is told of what happens, and the secrets of external checks. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/prompt.h"
#include "base/text.h"
#include "server/cli/verbs.h"
#include "server/follow/ledger.h"
#include "server/storage/witness.h"
#include "server/webhook/hooks.h"
#include "server/webhook/hooksecrets.h"
#include "server/webhook/hooksender.h"
#include "server/webhook/hooksign.h"

typedef struct {
    char *data, *pattern, **kinds, *url, *secret_file;
    gboolean allow_private, allow_http, json;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->data);
    g_free(arguments->pattern);
    g_free(arguments->url);
    g_free(arguments->secret_file);
    g_strfreev(arguments->kinds);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

/* Not const: it fills in structures that own theirs elsewhere. */
static char *names_of(const Arguments *arguments)
{
    return arguments->pattern == NULL ? (char *)"*" : arguments->pattern;
}

static gint64 seconds_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* --- secrets --- */

/* Of --secret-file, without white space at its end, or of the terminal. Free it with ingot_secret_free. */
static char *ask_secret(const Arguments *arguments, GError **error)
{
    if (arguments->secret_file == NULL) {
        return ingot_prompt_secret("Secret that both sides know: ", error);
    }
    g_autoptr(GBytes) bytes = ingot_file_read(arguments->secret_file, HOOK_SECRET_MOST + 2, error);
    if (bytes == NULL) {
        return NULL;
    }
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    return g_strchomp(g_strndup(data == NULL ? "" : data, size));
}

static gboolean put_secret(Database *ledger, const char *name, const Arguments *arguments, GError **error)
{
    if (!hook_secret_name_check(name, error)) {
        return FALSE;
    }
    if (arguments->url == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--url URL is needed: the URL of the check that the secret is for, as the pipeline has it");
        return FALSE;
    }
    g_autoptr(HookSecret) secret = g_new0(HookSecret, 1);
    secret->name = g_strdup(name);
    secret->url = g_strdup(arguments->url);
    secret->pattern = g_strdup(names_of(arguments));
    secret->secret = ask_secret(arguments, error);
    secret->allow_private = arguments->allow_private;
    secret->allow_http = arguments->allow_http;
    return secret->secret != NULL && hook_secrets_put(ledger, secret, error);
}

static gboolean drop_secret(Database *ledger, const char *name, const Arguments *arguments, GError **error)
{
    (void)arguments;
    return hook_secrets_remove(ledger, name, error);
}

static gboolean list_secrets(Database *ledger, const char *word, const Arguments *arguments, GError **error)
{
    (void)word, (void)arguments;
    g_autoptr(GPtrArray) all = hook_secrets_list(ledger, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const HookSecret *secret = g_ptr_array_index(all, i);
        printf("%-20s %-20s %s%s%s\n", secret->name, secret->pattern, secret->url,
               secret->allow_private ? "  --allow-private" : "", secret->allow_http ? "  --allow-http" : "");
    }
    return all != NULL;
}

/* --- webhooks --- */

/* The number of the last event. Where the catalogue can't be read, all that ever happened would be sent. */
static gboolean find_last(const char *data, guint64 *number, GError **error)
{
    struct stat st;
    EventMark last = {0};
    g_autofree char *log = g_build_filename(data, "names.log", NULL);
    if (!witness_read(data, &last) && stat(log, &st) == 0 && st.st_size > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "the catalogue does not say which event of %s is the last: `ingotd audit verify` tells more", log);
        return FALSE;
    }
    *number = last.number;
    return TRUE;
}

static gboolean add(Database *ledger, const char *url, const Arguments *arguments, GError **error)
{
    gint64 id;
    guint64 last;
    g_autoptr(IngotSecret) secret = find_last(arguments->data, &last, error) ? ask_secret(arguments, error) : NULL;
    if (secret == NULL) {
        return FALSE;
    }
    const Hook hook = {.url = (char *)url,
                       .pattern = names_of(arguments),
                       .secret = secret,
                       .kinds = arguments->kinds,
                       .allow_private = arguments->allow_private,
                       .allow_http = arguments->allow_http,
                       .created = seconds_now(),
                       .place = last};
    if (!hooks_add(ledger, &hook, &id, error)) {
        return FALSE;
    }
    printf("%" G_GINT64_FORMAT "\n", id);
    return TRUE;
}

/* 0: it is not one. */
static gint64 parse_id(const char *text, GError **error)
{
    guint64 id = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &id, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is not the number of a webhook, which `ingotd webhook ls` lists", text);
    }
    return (gint64)id;
}

static gboolean drop(Database *ledger, const char *word, const Arguments *arguments, GError **error)
{
    (void)arguments;
    gint64 id = parse_id(word, error);
    return id != 0 && hooks_remove(ledger, id, error);
}

static json_t *hook_to_json(const Hook *hook, const char *kinds)
{
    g_autofree char *created = ingot_text_time(hook->created);
    g_autofree char *since = hook->since == 0 ? NULL : ingot_text_time(hook->since);
    json_t *object = ingot_json_pack("{s:I, s:I, s:I, s:b, s:b}", "id", (json_int_t)hook->id, "place",
                                     (json_int_t)hook->place, "tries", (json_int_t)hook->tries, "allow_private",
                                     (int)hook->allow_private, "allow_http", (int)hook->allow_http);
    ingot_json_set_string(object, "url", hook->url);
    ingot_json_set_string(object, "name", hook->pattern);
    ingot_json_set_string(object, "events", kinds);
    ingot_json_set_string(object, "created", created);
    ingot_json_set_string(object, "failing_since", since);
    return object;
}

static void print_hook(const Hook *hook, const char *kinds)
{
    g_autofree char *created = ingot_text_time(hook->created);
    g_autofree char *since = hook->since == 0 ? NULL : ingot_text_time(hook->since);
    printf("%-4" G_GINT64_FORMAT " %s  %-20s %s  at event %" G_GUINT64_FORMAT "%s%s  %s\n", hook->id, created,
           hook->pattern, kinds, hook->place, since == NULL ? "" : ", failing since ", since == NULL ? "" : since,
           hook->url);
}

static void print_list(json_t *list)
{
    g_autofree char *text = ingot_json_pretty(list);
    fputs(text, stdout);
}

static gboolean list(Database *ledger, const char *word, const Arguments *arguments, GError **error)
{
    (void)word;
    g_autoptr(json_t) objects = json_array();
    g_autoptr(GPtrArray) all = hooks_list(ledger, error);
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const Hook *hook = g_ptr_array_index(all, i);
        g_autofree char *kinds = hook->kinds == NULL ? g_strdup("all") : g_strjoinv(",", hook->kinds);
        if (arguments->json) {
            json_array_append_new(objects, hook_to_json(hook, kinds));
        } else {
            print_hook(hook, kinds);
        }
    }
    if (all != NULL && arguments->json) {
        print_list(objects);
    }
    return all != NULL;
}

/* --- deliveries --- */

static json_t *try_to_json(const HookTry *tried)
{
    g_autofree char *at = ingot_text_time(tried->at);
    json_t *object = ingot_json_pack("{s:I, s:I, s:I, s:I, s:I}", "webhook", (json_int_t)tried->hook, "event",
                                     (json_int_t)tried->number, "status", (json_int_t)tried->status, "ms",
                                     (json_int_t)tried->ms, "tries", (json_int_t)tried->tries);
    ingot_json_set_string(object, "at", at);
    ingot_json_set_string(object, "kind", tried->kind);
    ingot_json_set_string(object, "name", tried->name);
    ingot_json_set_string(object, "outcome", tried->outcome);
    ingot_json_set_string(object, "answer", tried->answer);
    return object;
}

static void print_try(const HookTry *tried)
{
    g_autofree char *at = ingot_text_time(tried->at), *answer = ingot_text_line(tried->answer);
    printf("%s  webhook %" G_GINT64_FORMAT "  event %" G_GUINT64_FORMAT "  %s of %s: %s, status %u, %u ms, %s %u: %s\n",
           at, tried->hook, tried->number, tried->kind, tried->name, tried->outcome, tried->status, tried->ms,
           tried->tries == 1 ? "try" : "tries", tried->tries, answer);
}

static gboolean show_log(Database *ledger, const char *word, const Arguments *arguments, GError **error)
{
    gint64 id = word == NULL ? 0 : parse_id(word, error);
    g_autoptr(json_t) objects = json_array();
    if (word != NULL && id == 0) {
        return FALSE;
    }
    g_autoptr(Hook) hook = id == 0 ? NULL : hooks_find(ledger, id, error);
    g_autoptr(GArray) tries = id != 0 && hook == NULL ? NULL : hooks_tries(ledger, id, error);
    for (guint i = 0; tries != NULL && i < tries->len; i++) {
        const HookTry *tried = &g_array_index(tries, HookTry, i);
        if (arguments->json) {
            json_array_append_new(objects, try_to_json(tried));
        } else {
            print_try(tried);
        }
    }
    if (tries != NULL && arguments->json) {
        print_list(objects);
    }
    return tries != NULL;
}

/* The log alone gets it: where the webhook stands is the server's to say, which may deliver meanwhile. */
static gboolean send_test(Database *ledger, const Hook *hook, GError **error)
{
    HookTry tried = {0};
    g_autofree char *id = g_strdup_printf("test-%" G_GINT64_FORMAT, g_get_real_time());
    g_autofree char *at = ingot_text_time(seconds_now());
    g_autoptr(json_t) object = ingot_json_pack("{s:s, s:s, s:s}", "id", id, "kind", "test", "at", at);
    ingot_json_set_string(object, "name", hook->pattern);
    g_autofree char *body = ingot_json_canonical(object);
    if (!hook_send(hook, 0, "test", hook->pattern, id, body, &tried, error)) {
        return FALSE;
    }
    gboolean is_done = strcmp(tried.outcome, "done") == 0;
    gboolean ok = hooks_keep(ledger, &tried, error);
    if (ok && is_done) {
        print_try(&tried);
    } else if (ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "webhook %" G_GINT64_FORMAT ": status %u, %u ms: %s",
                    hook->id, tried.status, tried.ms, tried.answer);
    }
    hook_try_clear(&tried);
    return ok && is_done;
}

static gboolean test(Database *ledger, const char *word, const Arguments *arguments, GError **error)
{
    (void)arguments;
    gint64 id = parse_id(word, error);
    g_autoptr(Hook) hook = id == 0 ? NULL : hooks_find(ledger, id, error);
    if (hook != NULL) {
        hook->tries = 0;
    }
    return hook != NULL && send_test(ledger, hook, error);
}

/* --- the verb --- */

enum { TAKES_KINDS = 1, TAKES_SECRET = 2, TAKES_JSON = 4, TAKES_URL = 8 };

typedef struct {
    const char *name;
    int least, most; /* words behind it */
    guint takes;
    gboolean (*run)(Database *ledger, const char *word, const Arguments *arguments, GError **error);
} Action;

static gboolean only_of(const char *options, const char *of, const char *action, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: for `ingotd webhook %s`, not for %s", options, of,
                action);
    return FALSE;
}

/* An option that an action does not take is refused, not passed over. */
static gboolean check_options(const Arguments *arguments, const Action *action, GError **error)
{
    gboolean sends = arguments->pattern != NULL || arguments->secret_file != NULL || arguments->allow_private ||
                     arguments->allow_http;
    if (sends && (action->takes & TAKES_SECRET) == 0) {
        return only_of("--name, --secret-file, --allow-private and --allow-http", "add` and `secret", action->name,
                       error);
    }
    if (arguments->kinds != NULL && (action->takes & TAKES_KINDS) == 0) {
        return only_of("--event", "add", action->name, error);
    }
    if (arguments->url != NULL && (action->takes & TAKES_URL) == 0) {
        return only_of("--url", "secret", action->name, error);
    }
    if (arguments->json && (action->takes & TAKES_JSON) == 0) {
        return only_of("--json", "ls` and `log", action->name, error);
    }
    return TRUE;
}

static const Action *find_action(const char *name, int words, GError **error)
{
    static const Action actions[] = {{"add", 1, 1, TAKES_KINDS | TAKES_SECRET, add},
                                     {"rm", 1, 1, 0, drop},
                                     {"ls", 0, 0, TAKES_JSON, list},
                                     {"log", 0, 1, TAKES_JSON, show_log},
                                     {"test", 1, 1, 0, test},
                                     {"secret", 1, 1, TAKES_URL | TAKES_SECRET, put_secret},
                                     {"secret-rm", 1, 1, 0, drop_secret},
                                     {"secret-ls", 0, 0, 0, list_secrets}};
    for (guint i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].name, name) == 0 && words >= actions[i].least && words <= actions[i].most) {
            return &actions[i];
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "add URL, rm ID, ls, log [ID], test ID, secret NAME, secret-rm NAME or secret-ls is expected; see"
                " ingotd webhook --help");
    return NULL;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &arguments.data, "The registry's data folder", "DIR"},
        {"name", 0, 0, G_OPTION_ARG_STRING, &arguments.pattern,
         "add: events of names that match (*); secret: checks of names that match (*)", "PATTERN"},
        {"event", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments.kinds,
         "add: events of this kind; more than one may be given (all kinds)", "KIND"},
        {"url", 0, 0, G_OPTION_ARG_STRING, &arguments.url,
         "secret: the URL of the check that it is for, as the pipeline has it", "URL"},
        {"secret-file", 0, 0, G_OPTION_ARG_FILENAME, &arguments.secret_file,
         "add, secret: the secret is the line of this file; else it is asked for", "FILE"},
        {"allow-private", 0, 0, G_OPTION_ARG_NONE, &arguments.allow_private,
         "add, secret: addresses of this machine and of private networks too", NULL},
        {"allow-http", 0, 0, G_OPTION_ARG_NONE, &arguments.allow_http, "add, secret: http:// too", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &arguments.json, "ls, log: print JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_webhook, entries, 1, 2, &argc, &argv, error)) {
        return FALSE;
    }
    const Action *action = find_action(argv[1], argc - 2, error);
    if (action == NULL || !check_options(&arguments, action, error) || !verb_needs_data(arguments.data, error) ||
        !verb_finds_data(arguments.data, error)) {
        return FALSE;
    }
    g_autoptr(Database) ledger = ledger_open(arguments.data, error);
    return ledger != NULL && action->run(ledger, argc > 2 ? argv[2] : NULL, &arguments, error);
}

const Verb verb_webhook = {
    "webhook", "add|rm|ls|log|test|secret|secret-rm|secret-ls --data DIR [URL|ID|NAME]",
    "who is told of what happens, and the secrets of external checks",
    "A webhook gets each event from when it was added on as a signed POST of JSON, in order, at least once, and for a\n"
    "day again where its receiver fails. Kinds: push, promote, rollback, delete, approve, withdraw, deprecate, "
    "disable,\n"
    "revoke, restore, pipeline. What is changed counts within a second, while the server runs too. ingotd(8) says what "
    "is\n"
    "sent, and how a receiver checks it.\n"
    "secret puts a secret there that the gate `check` of a pipeline names, for one URL.\n\n"
    "Examples:\n  ingotd webhook add --data /srv/ingot --name 'team/*' --event promote --event rollback"
    " https://chat.example/ingot\n"
    "  ingotd webhook log --data /srv/ingot 1\n"
    "  ingotd webhook secret --data /srv/ingot --url https://scan.example/check --name 'team/*' scanner\n",
    run};
