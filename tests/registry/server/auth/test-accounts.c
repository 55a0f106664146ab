/* Users and tokens as rows: added, found, changed, removed; seen by whoever else has the file open; its mode, versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "server/auth/tokens.h"
#include "server/auth/users.h"

static const char *const standard[] = {"push:team/*", "pull:*", NULL};

typedef struct {
    IngotWorkdir *workdir;
    char *folder;
    Accounts *accounts;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->folder = ingot_workdir_file(fixture->workdir, "data");
    fixture->accounts = accounts_open(fixture->folder, NULL);
    *state = fixture;
    return fixture->accounts == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    accounts_close(fixture->accounts);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->folder);
    g_free(fixture);
    return 0;
}

static void only_its_owner_reads_it(void **state)
{
    const Fixture *fixture = *state;
    static const char *const names[] = {"users.sqlite", "users.sqlite-wal", "users.sqlite-shm"};
    struct stat st;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(fixture->folder, names[i], NULL);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(stat(fixture->folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void users(void **state)
{
    Accounts *accounts = ((Fixture *)*state)->accounts;
    g_autoptr(GError) error = NULL;
    gboolean any;
    assert_true(users_any(accounts, &any, NULL) && !any);
    assert_true(users_add(accounts, "bob", "$y$hash", standard, NULL));
    assert_true(users_add(accounts, "alice", "$y$other", standard, NULL));
    assert_true(users_any(accounts, &any, NULL) && any);
    assert_false(users_add(accounts, "bob", "$y$third", standard, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    g_autoptr(User) bob = users_find(accounts, "bob", NULL);
    assert_string_equal(bob->password, "$y$hash");
    assert_string_equal(bob->scopes[0], "push:team/*");
    assert_null(bob->scopes[2]);
    assert_true(users_set_password(accounts, "bob", "$y$new", NULL));
    g_autoptr(User) changed = users_find(accounts, "bob", NULL);
    assert_string_equal(changed->password, "$y$new");
    assert_true(changed->serial != bob->serial);
    g_autoptr(GPtrArray) list = users_list(accounts, NULL);
    assert_int_equal(list->len, 2);
    assert_string_equal(((User *)list->pdata[0])->name, "alice");
    g_clear_error(&error);
    assert_null(users_find(accounts, "carol", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_false(users_set_password(accounts, "carol", "x", NULL));
    assert_false(users_remove(accounts, "carol", FALSE, NULL));
    assert_null(users_find(accounts, "bob' OR '1'='1", NULL));
}

static void the_last_user_stays(void **state)
{
    Accounts *accounts = ((Fixture *)*state)->accounts;
    g_autoptr(GError) error = NULL;
    users_add(accounts, "alice", "x", standard, NULL);
    users_add(accounts, "bob", "x", standard, NULL);
    assert_true(users_remove(accounts, "alice", FALSE, NULL));
    assert_false(users_remove(accounts, "bob", FALSE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_true(users_remove(accounts, "bob", TRUE, NULL));
}

static void names(void **state)
{
    static const char *const good[] = {"a", "Alice", "ci-1", "alice@example.org", "0"};
    static const char *const bad[] = {"", "a:b", "a b", "-a", ".a", "a\n", "ä", "a/b", "_token"};
    g_autofree char *longest = g_strnfill(64, 'a'), *beyond = g_strnfill(65, 'a');
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(user_name_check(good[i], NULL));
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_false(user_name_check(bad[i], NULL));
    }
    assert_true(user_name_check(longest, NULL));
    assert_false(user_name_check(beyond, NULL));
}

static void tokens(void **state)
{
    Accounts *accounts = ((Fixture *)*state)->accounts;
    static const char *const narrow[] = {"push:team/web", NULL}, *const wide[] = {"push:*", NULL};
    g_autoptr(GError) error = NULL;
    users_add(accounts, "alice", "x", standard, NULL);
    assert_null(tokens_create(accounts, "alice", wide, 1000, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_null(tokens_create(accounts, "bob", narrow, 1000, NULL));
    g_autofree char *text = tokens_create(accounts, "alice", narrow, 1000, NULL);
    assert_true(token_looks_like(text));
    g_autoptr(Token) token = tokens_find(accounts, text, NULL);
    assert_string_equal(token->user, "alice");
    assert_string_equal(token->scopes[0], "push:team/web");
    assert_int_equal(token->expires, 1000);
    g_autoptr(Token) same = tokens_find_id(accounts, token->id, NULL);
    assert_string_equal(same->id, token->id);
    text[strlen(text) - 1] = text[strlen(text) - 1] == '0' ? '1' : '0';
    assert_null(tokens_find(accounts, text, NULL));
    assert_null(tokens_find(accounts, "", NULL));
    assert_null(tokens_find(accounts, token->id, NULL));
    assert_null(tokens_find_id(accounts, "", NULL));
    assert_true(tokens_remove(accounts, token->id, NULL));
    assert_false(tokens_remove(accounts, token->id, NULL));
    g_autoptr(GPtrArray) none = tokens_list(accounts, NULL);
    assert_int_equal(none->len, 0);
}

static void tokens_go_with_their_user(void **state)
{
    Accounts *accounts = ((Fixture *)*state)->accounts;
    users_add(accounts, "alice", "x", standard, NULL);
    g_autofree char *text = tokens_create(accounts, "alice", standard, 1000, NULL);
    assert_true(users_remove(accounts, "alice", TRUE, NULL));
    users_add(accounts, "alice", "x", standard, NULL);
    assert_null(tokens_find(accounts, text, NULL));
}

static void the_secret_is_not_kept(void **state)
{
    const Fixture *fixture = *state;
    users_add(fixture->accounts, "alice", "x", standard, NULL);
    g_autofree char *text = tokens_create(fixture->accounts, "alice", standard, 1000, NULL);
    const char *secret = strrchr(text, '_') + 1;
    static const char *const names[] = {"users.sqlite", "users.sqlite-wal"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(fixture->folder, names[i], NULL);
        g_autoptr(GBytes) bytes = ingot_file_read(path, 1 << 24, NULL);
        assert_null(memmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), secret, strlen(secret)));
    }
}

static void another_process_sees_it(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Accounts) other = accounts_open(fixture->folder, NULL);
    AccountsKeys ours, theirs;
    accounts_keys(fixture->accounts, &ours);
    accounts_keys(other, &theirs);
    assert_int_equal(ours.count, 1);
    assert_memory_equal(&ours, &theirs, sizeof ours);
    users_add(other, "alice", "x", standard, NULL);
    g_autoptr(User) seen = users_find(fixture->accounts, "alice", NULL);
    assert_non_null(seen);
}

/* A rotation is seen by whoever has the file open; the key before is accepted for a while, and no longer. */
static void keys_rotate(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Accounts) other = accounts_open(fixture->folder, NULL);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    AccountsKeys first, keys;
    accounts_keys(fixture->accounts, &first);
    assert_true(accounts_rotate(other, now + 3600, NULL));
    accounts_keys(fixture->accounts, &keys);
    assert_int_equal(keys.count, 2);
    assert_memory_equal(keys.bytes[1], first.bytes[0], ACCOUNTS_KEY_SIZE);
    assert_memory_not_equal(keys.bytes[0], first.bytes[0], ACCOUNTS_KEY_SIZE);
    AccountsKeys second = keys;
    guint count;
    gint64 until;
    assert_true(accounts_rotate(other, now + 7200, NULL));
    accounts_keys(fixture->accounts, &keys);
    assert_int_equal(keys.count, 3);
    assert_memory_equal(keys.bytes[1], second.bytes[0], ACCOUNTS_KEY_SIZE);
    assert_memory_equal(keys.bytes[2], first.bytes[0], ACCOUNTS_KEY_SIZE);
    assert_true(accounts_former_keys(other, &count, &until, NULL));
    assert_int_equal(count, 2);
    assert_int_equal(until, now + 7200);
    assert_true(accounts_rotate(other, now + 60, NULL)); /* nothing of before is accepted for longer */
    assert_true(accounts_former_keys(fixture->accounts, &count, &until, NULL));
    assert_int_equal(count, 3);
    assert_int_equal(until, now + 60);
    accounts_keys(fixture->accounts, &keys);
    assert_int_equal(keys.count, 4);
    second = keys;
    assert_true(accounts_rotate(other, now, NULL)); /* at once: whichever has leaked */
    accounts_keys(fixture->accounts, &keys);
    assert_int_equal(keys.count, 1);
    assert_memory_not_equal(keys.bytes[0], second.bytes[0], ACCOUNTS_KEY_SIZE);
    assert_true(accounts_former_keys(other, &count, &until, NULL));
    assert_int_equal(count, 0);
    for (guint i = 0; i < 2 * ACCOUNTS_KEYS; i++) {
        assert_true(accounts_rotate(other, now + 3600, NULL));
    }
    accounts_keys(fixture->accounts, &keys);
    assert_int_equal(keys.count, ACCOUNTS_KEYS);
    g_autoptr(Accounts) again = accounts_open(fixture->folder, NULL);
    AccountsKeys read;
    accounts_keys(again, &read);
    assert_memory_equal(&read, &keys, sizeof keys);
}

static void newer_and_damaged_files(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    assert_true(database_change(accounts_database(fixture->accounts), NULL, NULL, "PRAGMA user_version = 99", ""));
    assert_null(accounts_open(fixture->folder, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW));
    g_autofree char *folder = ingot_workdir_file(fixture->workdir, "broken");
    g_autofree char *path = g_build_filename(folder, "users.sqlite", NULL);
    char noise[4096];
    memset(noise, 'x', sizeof noise);
    ingot_file_make_folder(folder, NULL);
    ingot_file_replace(path, noise, sizeof noise, 0600, NULL);
    g_clear_error(&error);
    assert_null(accounts_open(folder, &error));
    assert_non_null(strstr(error->message, "users.sqlite"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_its_owner_reads_it),
        TEST(users),
        TEST(the_last_user_stays),
        TEST(names),
        TEST(tokens),
        TEST(tokens_go_with_their_user),
        TEST(the_secret_is_not_kept),
        TEST(another_process_sees_it),
        TEST(keys_rotate),
        TEST(newer_and_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
