/* Delivery: each event once it is there, in order, across failures, restarts and checkpoints; what it says. */
#include "../fixture.h"

#include <gio/gio.h>

#include "server/follow/ledger.h"
#include "server/storage/condense.h"
#include "server/storage/moves.h"
#include "server/storage/records.h"
#include "server/webhook/hooknotice.h"
#include "server/webhook/hooksecrets.h"
#include "server/webhook/hooksender.h"

/* --- a receiver --- */

typedef struct {
    GSocketListener *listener;
    GThread *thread;
    guint16 port;
    gint refuse; /* atomic: so many requests are answered 500 first */
    GMutex lock;
    GCond more;
    GPtrArray *ids; /* of those that were taken */
} Receiver;

static void receive_one(Receiver *receiver, GSocketConnection *connection)
{
    gsize size = 0;
    char *line;
    g_autofree char *id = NULL;
    g_autoptr(GDataInputStream) in = g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    g_data_input_stream_set_newline_type(in, G_DATA_STREAM_NEWLINE_TYPE_CR_LF);
    while ((line = g_data_input_stream_read_line(in, NULL, NULL, NULL)) != NULL && *line != '\0') {
        if (g_str_has_prefix(line, "X-Ingot-Delivery: ")) {
            g_free(id);
            id = g_strdup(line + strlen("X-Ingot-Delivery: "));
        }
        if (g_str_has_prefix(line, "Content-Length: ")) {
            size = g_ascii_strtoull(line + strlen("Content-Length: "), NULL, 10);
        }
        g_free(line);
    }
    g_free(line);
    g_autofree char *body = g_malloc(size + 1);
    g_input_stream_read_all(G_INPUT_STREAM(in), body, size, NULL, NULL, NULL);
    gboolean refuses = g_atomic_int_get(&receiver->refuse) > 0 && g_atomic_int_add(&receiver->refuse, -1) > 0;
    if (id != NULL && !refuses) {
        g_mutex_lock(&receiver->lock);
        g_ptr_array_add(receiver->ids, g_steal_pointer(&id));
        g_cond_broadcast(&receiver->more);
        g_mutex_unlock(&receiver->lock);
    }
    g_autofree char *answer =
        g_strdup_printf("HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", refuses ? "500 no" : "200 ok");
    g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)), answer, strlen(answer), NULL,
                              NULL, NULL);
}

static gpointer run_receiver(gpointer user)
{
    Receiver *receiver = user;
    for (;;) {
        g_autoptr(GSocketConnection) connection = g_socket_listener_accept(receiver->listener, NULL, NULL, NULL);
        if (connection == NULL) {
            return NULL;
        }
        receive_one(receiver, connection);
        if (g_atomic_int_get(&receiver->refuse) < 0) {
            return NULL;
        }
    }
}

static void receiver_start(Receiver *receiver)
{
    *receiver = (Receiver){.listener = g_socket_listener_new(), .ids = g_ptr_array_new_with_free_func(g_free)};
    g_mutex_init(&receiver->lock);
    g_cond_init(&receiver->more);
    receiver->port = g_socket_listener_add_any_inet_port(receiver->listener, NULL, NULL);
    assert_true(receiver->port != 0);
    receiver->thread = g_thread_new("receiver", run_receiver, receiver);
}

/* Its thread ends with the next connection. */
static void receiver_stop(Receiver *receiver)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_atomic_int_set(&receiver->refuse, -1);
    g_autoptr(GSocketConnection) last =
        g_socket_client_connect_to_host(client, "127.0.0.1", receiver->port, NULL, NULL);
    assert_non_null(last);
    g_io_stream_close(G_IO_STREAM(last), NULL, NULL);
    g_thread_join(receiver->thread);
    g_object_unref(receiver->listener);
    g_ptr_array_unref(receiver->ids);
    g_mutex_clear(&receiver->lock);
    g_cond_clear(&receiver->more);
}

/* Under the lock: how many were taken, without repetitions; they ascend. */
static guint count_different(const Receiver *receiver)
{
    guint64 last = 0;
    guint different = 0;
    for (guint i = 0; i < receiver->ids->len; i++) {
        const char *id = g_ptr_array_index(receiver->ids, i);
        assert_true(g_str_has_prefix(id, "event-"));
        guint64 number = g_ascii_strtoull(id + strlen("event-"), NULL, 10);
        assert_true(number >= last);
        different += number > last;
        last = number;
    }
    return different;
}

static void wait_for(Receiver *receiver, guint count)
{
    gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    g_mutex_lock(&receiver->lock);
    while (count_different(receiver) < count && g_cond_wait_until(&receiver->more, &receiver->lock, until)) {
    }
    guint got = count_different(receiver);
    g_mutex_unlock(&receiver->lock);
    assert_true(got >= count);
}

/* --- a webhook --- */

static Database *open_ledger(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    Database *ledger = ledger_open(path, NULL);
    assert_non_null(ledger);
    return ledger;
}

static gint64 add_hook(Database *ledger, guint16 port, char **kinds)
{
    gint64 id;
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/", port);
    const Hook hook = {.url = url,
                       .pattern = (char *)"a*",
                       .secret = (char *)"a secret of both sides",
                       .kinds = kinds,
                       .allow_private = TRUE,
                       .allow_http = TRUE};
    assert_true(hooks_add(ledger, &hook, &id, NULL));
    return id;
}

static HookSender *start(Storage *storage, Database *ledger, gint64 id)
{
    g_autoptr(GError) error = NULL;
    HookSender *sender = hook_sender_start(storage, ledger, hooks_find(ledger, id, NULL), &error);
    if (sender == NULL) {
        fail_msg("%s", error->message);
    }
    return sender;
}

/* Until the ledger has so many deliveries: one that was answered may be cut off before. Free them. */
static GArray *wait_for_tries(Database *ledger, gint64 id, guint count)
{
    gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    for (;;) {
        g_autoptr(GArray) tries = hooks_tries(ledger, id, NULL);
        if (tries->len >= count || g_get_monotonic_time() > until) {
            return g_steal_pointer(&tries);
        }
        g_usleep(10000);
    }
}

static void put_many(Storage *storage, const char *name, guint from, guint to)
{
    for (guint i = from; i < to; i++) {
        g_autofree char *tag = g_strdup_printf("1.0.%u", i), *text = g_strdup_printf("%s %u", name, i);
        put_manifest(storage, name, tag, text, NULL, 0);
    }
}

static void test_order_across_restarts(void **state)
{
    Receiver receiver;
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    g_autoptr(Database) ledger = open_ledger(state);
    receiver_start(&receiver);
    gint64 id = add_hook(ledger, receiver.port, NULL);
    put_many(storage, "a", 0, 5);
    put_many(storage, "b", 0, 5);
    g_atomic_int_set(&receiver.refuse, 1);
    HookSender *sender = start(storage, ledger, id);
    wait_for(&receiver, 3);
    hook_sender_stop(sender);
    put_many(storage, "a", 5, 10);
    gboolean condensed = FALSE;
    assert_true(condense_when_due(storage, &condensed, NULL));
    assert_true(condensed);
    put_many(storage, "a", 10, 12);
    sender = start(storage, ledger, id);
    wait_for(&receiver, 12);
    g_autoptr(GArray) tries = wait_for_tries(ledger, id, 12);
    hook_sender_stop(sender);
    assert_int_equal(count_different(&receiver), 12);
    assert_int_equal(tries->len, 12);
    const HookTry *first = &g_array_index(tries, HookTry, 11);
    assert_int_equal(first->tries, 2);
    assert_int_equal(first->status, 200);
    assert_string_equal(first->outcome, "done");
    receiver_stop(&receiver);
}

/* prod, as an upstream has it. */
static void cache_prod(Storage *storage, const char *json)
{
    IngotDigest digest;
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest manifest = {.data = json,
                                      .size = strlen(json),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = "prod",
                                      .mentions = none,
                                      .partial = TRUE,
                                      .cached = TRUE};
    assert_true(storage_put_manifest(storage, "a", &manifest, &digest, NULL));
}

static void assert_move(const GArray *moves, guint index, const char *how)
{
    assert_string_equal(g_array_index(moves, StorageMove, index).how, how);
}

/* What a cache fetches, and lets go of, is in the log of moves, and nothing that a webhook tells; a push to it is. */
static void test_a_cache_pushes_nothing(void **state)
{
    Receiver receiver;
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(Database) ledger = open_ledger(state);
    receiver_start(&receiver);
    gint64 id = add_hook(ledger, receiver.port, NULL);
    cache_prod(storage, "{\"text\":1}");
    cache_prod(storage, "{\"text\":2}");
    assert_true(storage_withdraw_tag(storage, NULL, "a", "prod", NULL));
    put_manifest(storage, "a", "prod", "own", NULL, 0);
    assert_true(storage_remove_tag(storage, NULL, "a", "prod", NULL));
    HookSender *sender = start(storage, ledger, id);
    wait_for(&receiver, 2);
    g_autoptr(GArray) tries = wait_for_tries(ledger, id, 2);
    hook_sender_stop(sender);
    receiver_stop(&receiver);
    assert_int_equal(tries->len, 2);
    assert_string_equal(g_array_index(tries, HookTry, 0).kind, "delete");
    assert_string_equal(g_array_index(tries, HookTry, 1).kind, "push");
    g_autoptr(GArray) moves = storage_moves(storage, "a", "prod", 0, 10, NULL);
    assert_int_equal(moves->len, 5);
    assert_move(moves, 0, "remove");
    assert_move(moves, 1, "push");
    assert_move(moves, 2, "remove");
    assert_move(moves, 3, "upstream");
    assert_move(moves, 4, "upstream");
}

/* It was removed meanwhile, and its log is bounded. */
static void test_log_is_bounded(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(Database) ledger = open_ledger(state);
    gint64 id = add_hook(ledger, 1, NULL);
    g_autoptr(Hook) hook = hooks_find(ledger, id, NULL);
    for (guint i = 1; i <= HOOK_TRIES_KEPT + 10; i++) {
        const HookTry tried = {.hook = id,
                               .at = 1000,
                               .number = i,
                               .kind = (char *)"push",
                               .name = (char *)"a",
                               .answer = (char *)"",
                               .outcome = (char *)"done"};
        hook->place = i;
        assert_true(hooks_note(ledger, hook, &tried, NULL));
    }
    g_autoptr(GArray) kept = hooks_tries(ledger, id, NULL);
    assert_int_equal(kept->len, HOOK_TRIES_KEPT);
    assert_int_equal(g_array_index(kept, HookTry, 0).number, HOOK_TRIES_KEPT + 10);
    assert_true(hooks_remove(ledger, id, NULL));
    const HookTry late = {
        .hook = id, .kind = (char *)"", .name = (char *)"", .answer = (char *)"", .outcome = (char *)""};
    assert_true(hooks_note(ledger, hook, &late, NULL));
    g_autoptr(GArray) gone = hooks_tries(ledger, 0, NULL);
    assert_int_equal(gone->len, 0);
    assert_false(hooks_remove(ledger, id, NULL));
    assert_true(add_hook(ledger, 1, NULL) > id);
}

static void test_what_is_refused(void **state)
{
    static const char *const urls[] = {"",  "ftp://a/",       "file:///etc/passwd", "https://",
                                       "a", "https://u:p@a/", "https://u@a/"};
    static char *wrong[] = {(char *)"pushed", NULL};
    gint64 id;
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(Database) ledger = open_ledger(state);
    Hook hook = {.pattern = (char *)"*", .secret = (char *)"a secret of both sides"};
    for (guint i = 0; i < G_N_ELEMENTS(urls); i++) {
        hook.url = (char *)urls[i];
        if (hooks_add(ledger, &hook, &id, NULL)) {
            fail_msg("%s", urls[i]);
        }
    }
    hook.url = (char *)"https://receiver.example/a?b=c";
    hook.kinds = wrong;
    assert_false(hooks_add(ledger, &hook, &id, NULL));
    hook.kinds = NULL;
    for (guint i = 0; i < HOOKS_MOST; i++) {
        assert_true(hooks_add(ledger, &hook, &id, NULL));
    }
    assert_false(hooks_add(ledger, &hook, &id, NULL));
}

/* Whoever may name a secret in a pipeline asks nothing else with it. */
static void test_a_secret_is_for_one_url(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(Database) ledger = open_ledger(state);
    HookSecret put = {.name = (char *)"scanner",
                      .secret = (char *)"a secret of both sides",
                      .url = (char *)"http://10.0.0.7/check",
                      .pattern = (char *)"team/*",
                      .allow_private = TRUE};
    assert_true(hook_secrets_put(ledger, &put, NULL));
    g_autoptr(HookSecret) found = hook_secrets_find(ledger, "scanner", NULL);
    assert_string_equal(found->secret, put.secret);
    assert_true(found->allow_private && !found->allow_http);
    assert_true(hook_secret_is_for(found, put.url, "team/web"));
    assert_false(hook_secret_is_for(found, put.url, "mallory/web"));
    assert_false(hook_secret_is_for(found, "http://10.0.0.7/check/", "team/web"));
    assert_false(hook_secret_is_for(found, "http://10.0.0.7:2375/check", "team/web"));
    assert_false(hook_secret_is_for(found, "http://10.0.0.7", "team/web"));
    put.pattern = (char *)"";
    assert_false(hook_secrets_put(ledger, &put, NULL));
    put.pattern = (char *)"*";
    put.url = (char *)"";
    assert_false(hook_secrets_put(ledger, &put, NULL));
    g_autoptr(GPtrArray) all = hook_secrets_list(ledger, NULL);
    assert_int_equal(all->len, 1);
    const HookSecret *listed = g_ptr_array_index(all, 0);
    assert_string_equal(listed->url, "http://10.0.0.7/check");
    assert_null(listed->secret);
}

/* --- pure --- */

static void test_schedule(void **state)
{
    (void)state;
    for (guint tries = 1; tries < 100; tries++) {
        double whole = tries > 12 ? 3600 : (double)(1u << (tries - 1));
        assert_true(hook_pause(tries, 0) == whole / 2);
        assert_true(hook_pause(tries, 1) == whole * 1.5);
    }
    assert_false(hook_gives_up(1000, 2000, 2000 + HOOK_TRIED_FOR - 1));
    assert_true(hook_gives_up(1000, 2000, 2000 + HOOK_TRIED_FOR));
    assert_false(hook_gives_up(2000, 1000, 2000 + HOOK_TRIED_FOR - 1));
    assert_true(hook_gives_up(2000, 1000, 2000 + HOOK_TRIED_FOR));
}

static void settles(Hook *hook, const char *outcome, gint64 at, guint64 place, guint tries, gint64 since)
{
    HookTry tried = {.number = 8, .at = at, .outcome = g_strdup(outcome)};
    gboolean is_done = hook_settle(hook, 1000, &tried);
    assert_int_equal(is_done, place == 8);
    assert_int_equal(hook->place, place);
    assert_int_equal(hook->tries, tries);
    assert_int_equal(hook->since, since);
    assert_string_equal(tried.outcome, is_done && strcmp(outcome, "done") != 0 ? "given up" : outcome);
    hook_try_clear(&tried);
}

/* An event blocks those behind it until it is taken, or a day is over; then the next has its turn. */
static void test_gives_up_after_a_day(void **state)
{
    Hook hook = {.place = 7};
    (void)state;
    settles(&hook, "failed", 2000, 7, 1, 2000);
    settles(&hook, "failed", 3000, 7, 2, 2000);
    settles(&hook, "failed", 2000 + HOOK_TRIED_FOR - 1, 7, 3, 2000);
    settles(&hook, "failed", 2000 + HOOK_TRIED_FOR, 8, 0, 2000);
    settles(&hook, "done", 2001 + HOOK_TRIED_FOR, 8, 0, 0);
}

#define IMAGE "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static void expect_notice(const char *event, const char *kind, const char *written)
{
    g_autoptr(json_t) object = json_loads(event, 0, NULL);
    assert_non_null(object);
    g_autoptr(HookNotice) notice = hook_notice_read(7, object);
    if ((notice == NULL) != (kind == NULL)) {
        fail_msg("%s", event);
    }
    if (kind != NULL) {
        g_autofree char *text = hook_notice_write(notice, NULL);
        assert_string_equal(notice->kind, kind);
        if (strstr(text, written) == NULL) {
            fail_msg("%s", text);
        }
    }
}

static void test_kinds(void **state)
{
    (void)state;
    expect_notice("{\"op\":\"tag\",\"name\":\"a\",\"at\":0,\"tag\":\"1.0.0\",\"digest\":\"" IMAGE "\",\"by\":\"anna\"}",
                  "push",
                  "{\"at\":\"1970-01-01T00:00:00Z\",\"by\":\"anna\",\"digest\":\"" IMAGE
                  "\",\"id\":\"event-7\",\"kind\":\"push\",\"name\":\"a\",\"tag\":\"1.0.0\"}");
    expect_notice("{\"op\":\"tag\",\"name\":\"a\",\"at\":0,\"tag\":\"1\",\"origin\":\"upstream\"}", NULL, NULL);
    expect_notice("{\"op\":\"untag\",\"name\":\"a\",\"at\":0,\"tag\":\"1\"}", "delete", "\"tag\":\"1\"");
    expect_notice("{\"op\":\"link\",\"name\":\"a\",\"at\":0}", NULL, NULL);
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"move\",\"key\":\"1\",\"body\":"
                  "{\"tag\":\"prod\",\"how\":\"promote\",\"forced\":true,\"digest\":\"" IMAGE "\"},\"why\":\"b\"}",
                  "promote", "\"channel\":\"prod\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"move\",\"key\":\"1\",\"body\":"
                  "{\"tag\":\"prod\",\"how\":\"rollback\"}}",
                  "rollback", "\"channel\":\"prod\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"approval\",\"key\":\"prod " IMAGE
                  " anna\",\"body\":{}}",
                  "approve", "\"digest\":\"" IMAGE "\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"approval\",\"key\":\"prod " IMAGE
                  " anna\",\"body\":null}",
                  "withdraw", "\"digest\":\"" IMAGE "\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"state\",\"key\":\"" IMAGE
                  "\",\"body\":{\"said\":[{\"state\":\"active\"},{\"state\":\"revoked\",\"reason\":\"a hole\"}]}}",
                  "revoke", "\"reason\":\"a hole\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"state\",\"key\":\"" IMAGE
                  "\",\"body\":{\"said\":[{\"state\":\"active\"}]}}",
                  "restore", "\"digest\":");
    expect_notice("{\"op\":\"record\",\"name\":\"team/*\",\"at\":0,\"kind\":\"pipeline\",\"key\":\"\",\"body\":null}",
                  "pipeline", "\"name\":\"team/*\"");
    expect_notice("{\"op\":\"record\",\"name\":\"a\",\"at\":0,\"kind\":\"other\",\"key\":\"\",\"body\":{}}", NULL,
                  NULL);
}

static void test_a_move_is_told_once(void **state)
{
    (void)state;
    g_autoptr(json_t) tag = json_pack("{s:s, s:s, s:s}", "op", "tag", "name", "a", "tag", "prod");
    g_autoptr(json_t) other = json_pack("{s:s, s:s, s:s}", "op", "tag", "name", "a", "tag", "1.0.0");
    g_autoptr(json_t) move = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "op", "record", "name", "a", "kind",
                                       "move", "key", "1", "body", "tag", "prod", "how", "promote");
    g_autoptr(HookNotice) first = hook_notice_read(6, tag), second = hook_notice_read(6, other);
    g_autoptr(HookNotice) later = hook_notice_read(7, move), much_later = hook_notice_read(8, move);
    assert_true(hook_notice_completes(later, first));
    assert_false(hook_notice_completes(later, second));
    assert_false(hook_notice_completes(much_later, first));
    assert_false(hook_notice_completes(first, second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_across_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_cache_pushes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_secret_is_for_one_url, set_up, tear_down),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_gives_up_after_a_day),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_a_move_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
