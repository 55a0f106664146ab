/* auth.json: which file, which key, which form; what is written leaves the rest alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/credentials.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

static IngotWorkdir *workdir;

static void write_file(const char *variable, const char *name, const char *text)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(ingot_file_replace(path, text, strlen(text), 0644, NULL));
    g_setenv(variable, strcmp(variable, "DOCKER_CONFIG") == 0 ? folder : path, TRUE);
}

/* With the options of the environment. */
static gboolean search(const char *host, const char *name, IngotCredentials **found, GError **problem, GError **error)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return ingot_credentials_find(options, host, name, found, problem, error);
}

static gboolean save(const char *host, const IngotCredentials *login, GError **error)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return ingot_credentials_save(options, host, login, error);
}

static gboolean forget(const char *host, GError **error)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return ingot_credentials_remove(options, host, error);
}

/* "user:password", "identity TOKEN", "nothing", "problem: …" or the error's code. */
static char *find(const char *host, const char *name)
{
    g_autoptr(IngotCredentials) found = NULL;
    g_autoptr(GError) problem = NULL, error = NULL;
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    if (!ingot_credentials_find(options, host, name, &found, &problem, &error)) {
        return g_strdup_printf("error %d", error->code);
    }
    if (problem != NULL) {
        assert_null(found);
        return g_strdup_printf("problem: %s", problem->message);
    }
    if (found != NULL && found->identity != NULL) {
        return g_strdup_printf("identity %s", found->identity);
    }
    return found == NULL ? g_strdup("nothing") : g_strdup_printf("%s:%s", found->user, found->password);
}

static void expect(const char *host, const char *name, const char *expected)
{
    g_autofree char *found = find(host, name);
    assert_string_equal(found, expected);
}

#define PROBLEM "problem: "

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    g_autofree char *none = ingot_workdir_file(workdir, "none");
    g_setenv("REGISTRY_AUTH_FILE", none, TRUE);
    g_setenv("DOCKER_CONFIG", none, TRUE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    g_clear_pointer(&workdir, ingot_workdir_free);
    return 0;
}

static void the_longest_key_counts(void **state)
{
    (void)state;
    expect("a.example", "team/web", "nothing");
    write_file("REGISTRY_AUTH_FILE", "auth.json",
               "{\"auths\":{\"a.example\":{\"auth\":\"YTph\"},\"a.example/team\":{\"auth\":\"Yjpi\"},"
               "\"a.example/team/web/x\":{\"auth\":\"Yzpj\"},\"a.example:5000\":{\"auth\":\"ZDpkOmQ=\"}}}");
    expect("a.example", NULL, "a:a");
    expect("a.example", "other", "a:a");
    expect("a.example", "team", "b:b");
    expect("a.example", "team/web", "b:b");
    expect("a.example", "team/web/x", "c:c");
    expect("a.example", "teams", "a:a");
    expect("a.example:5000", "team", "d:d:d");
    expect("example", NULL, "nothing");
    expect("b.example", NULL, "nothing");
}

static void files_in_their_order(void **state)
{
    (void)state;
    write_file("DOCKER_CONFIG", "docker/config.json",
               "{\"auths\":{\"a.example\":{\"auth\":\"YTph\"},\"https://b.example/v1/\":{\"auth\":\"Yjpi\"},"
               "\"http://c.example\":{\"auth\":\"Yzpj\"}}}");
    expect("a.example", NULL, "a:a");
    expect("b.example", "team", "b:b");
    expect("c.example", NULL, "c:c");
    expect("b", NULL, "nothing");
    write_file("REGISTRY_AUTH_FILE", "auth.json", "{\"auths\":{\"a.example\":{\"auth\":\"ZDpk\"}}}");
    expect("a.example", NULL, "d:d");
    expect("b.example", NULL, "b:b");
    g_unsetenv("REGISTRY_AUTH_FILE");
    g_autofree char *folder = ingot_workdir_file(workdir, "");
    g_setenv("XDG_RUNTIME_DIR", folder, TRUE);
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    g_autofree char *wanted = ingot_workdir_file(workdir, "containers/auth.json");
    g_autofree char *plain = g_canonicalize_filename(options->logins[0], NULL),
                    *same = g_canonicalize_filename(wanted, NULL);
    assert_string_equal(plain, same);
    g_unsetenv("XDG_RUNTIME_DIR");
}

static void odd_files(void **state)
{
    static const struct {
        const char *text, *expected;
    } tries[] = {
        {"", "nothing"},
        {"{}", "nothing"},
        {"{\"auths\":{}}", "nothing"},
        {"{\"auths\":[]}", "nothing"},
        {"{\"auths\":{\"a.example\":{}}}", "nothing"},
        {"{\"auths\":{\"a.example\":1}}", "nothing"},
        {"{\"auths\":{\"a.example\":{\"auth\":\"YTphAAA=\"}}}", "a:a"}, /* padded with NUL */
        {"{\"auths\":{\"a.example\":{\"auth\":\"YTo=\"}}}", "a:"},
        {"{\"auths\":{\"a.example\":{\"auth\":\"YWE=\"}}}", PROBLEM},
        {"{\"auths\":{\"a.example\":{\"auth\":\"%%%%\"}}}", PROBLEM},
        {"{\"auths\":{\"a.example\":{\"auth\":\"YTph\",\"identitytoken\":\"x\"}}}", "identity x"},
        {"{\"auths\":{\"a.example\":{\"identitytoken\":\"x\"}}}", "identity x"},
        {"{\"auths\":{\"b.example\":{}},\"credsStore\":\"desktop\"}", "nothing"},
        {"{\"credHelpers\":{\"b.example\":\"pass\"}}", "nothing"},
        {"[]", PROBLEM},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(tries); i++) {
        write_file("REGISTRY_AUTH_FILE", "auth.json", tries[i].text);
        g_autofree char *found = find("a.example", "team");
        gboolean is_problem = strcmp(tries[i].expected, PROBLEM) == 0 && g_str_has_prefix(found, PROBLEM);
        if (!is_problem && strcmp(found, tries[i].expected) != 0) {
            fail_msg("%s: %s, not %s", tries[i].text, found, tries[i].expected);
        }
    }
    write_file("REGISTRY_AUTH_FILE", "auth.json", "nonsense");
    g_autofree char *broken = find("a.example", NULL);
    assert_true(g_str_has_prefix(broken, PROBLEM) && strstr(broken, "auth.json") != NULL);
}

/* Most that is asked of a registry needs no login, and another file may have it. */
static void a_broken_file_is_gone_on_without(void **state)
{
    g_autoptr(IngotCredentials) found = NULL;
    g_autoptr(GError) problem = NULL;
    (void)state;
    write_file("REGISTRY_AUTH_FILE", "auth.json", "{\"auths\":{\"a.exam");
    write_file("DOCKER_CONFIG", "docker/config.json", "{\"auths\":{\"a.example\":{\"auth\":\"YTph\"}}}");
    assert_true(search("a.example", NULL, &found, &problem, NULL));
    assert_string_equal(found->user, "a");
    assert_non_null(strstr(problem->message, "auth.json"));
    assert_false(save("a.example", found, NULL));
    assert_false(forget("a.example", NULL));
}

/* docker-credential-NAME prints what a script of that name does. */
static void make_helper(const char *name, const char *script)
{
    g_autofree char *file = g_strdup_printf("bin/docker-credential-%s", name);
    g_autofree char *path = ingot_workdir_file(workdir, file), *folder = g_path_get_dirname(path);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", script);
    g_autofree char *all = g_strdup_printf("%s:/usr/bin:/bin", folder);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(ingot_file_replace(path, text, strlen(text), 0755, NULL));
    g_setenv("PATH", all, TRUE);
}

static void helpers_are_run(void **state)
{
    (void)state;
    make_helper("one", "read server; [ \"$1\" = get ] && echo '{\"Username\":\"u\",\"Secret\":\"'\"$server\"'\"}'");
    make_helper("token", "echo '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'");
    make_helper("empty", "echo credentials not found in native keychain; exit 1");
    make_helper("broken", "printf 'no\\033[1mdaemon\\n' >&2; exit 1");
    make_helper("odd", "echo '[]'");
    make_helper("slow", "exec sleep 300");
    write_file("REGISTRY_AUTH_FILE", "auth.json",
               "{\"credHelpers\":{\"a.example\":\"one\",\"b.example\":\"token\",\"c.example\":\"empty\","
               "\"d.example\":\"broken\",\"e.example\":\"odd\",\"f.example\":\"absent\",\"g.example\":\"slow\","
               "\"h.example\":\"../x\",\"docker.io\":\"one\"},"
               "\"auths\":{\"a.example/team\":{\"auth\":\"YTph\"},\"d.example\":{\"auth\":\"ZDpk\"}}}");
    expect("a.example", "other", "u:a.example");
    expect("a.example", "team/web", "a:a");
    expect("b.example", NULL, "identity refresh");
    expect("c.example", NULL, "nothing");
    expect("docker.io", "library/web", "u:docker.io");
    static const char *const unusable[][2] = {{"e.example", "no login"},
                                              {"f.example", "no such program"},
                                              {"g.example", "still running"},
                                              {"h.example", "name"}};
    g_setenv("INGOT_TIMEOUT", "1", TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(unusable); i++) {
        g_autofree char *found = find(unusable[i][0], NULL);
        if (!g_str_has_prefix(found, "problem: ") || strstr(found, unusable[i][1]) == NULL) {
            fail_msg("%s: %s", unusable[i][0], found);
        }
    }
    g_unsetenv("INGOT_TIMEOUT");
    g_autoptr(IngotCredentials) other = NULL;
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    assert_true(ingot_credentials_find(options, "d.example", NULL, &other, &problem, NULL));
    assert_string_equal(other->user, "d");
    assert_non_null(strstr(problem->message, "daemon"));
    assert_null(strchr(problem->message, '\033'));
}

static void a_store_has_all_logins(void **state)
{
    (void)state;
    make_helper("one", "read server; echo '{\"Username\":\"u\",\"Secret\":\"'\"$server\"'\"}'");
    write_file("REGISTRY_AUTH_FILE", "auth.json",
               "{\"auths\":{\"a.example\":{},\"https://b.example/v1/\":{},\"c.example\":{\"auth\":\"YTph\"}},"
               "\"credsStore\":\"one\"}");
    expect("a.example", "team/web", "u:a.example");
    expect("b.example", NULL, "u:https://b.example/v1/");
    expect("c.example", NULL, "a:a");
    expect("d.example", NULL, "u:d.example");
    expect("registry-1.docker.io", "library/web", "u:https://index.docker.io/v1/");
    /* One that is not there is worth a word only where it is known to have the login. */
    write_file("REGISTRY_AUTH_FILE", "auth.json", "{\"auths\":{\"a.example\":{}},\"credsStore\":\"absent\"}");
    expect("d.example", NULL, "nothing");
    g_autofree char *found = find("a.example", NULL);
    assert_true(g_str_has_prefix(found, "problem: "));
}

static void one_hub_by_several_names(void **state)
{
    static const char *const keys[] = {"docker.io", "index.docker.io", "https://index.docker.io/v1/"};
    static const char *const hosts[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(keys) * G_N_ELEMENTS(hosts); i++) {
        g_autofree char *text = g_strdup_printf("{\"auths\":{\"%s\":{\"auth\":\"YTph\"}}}", keys[i / 3]);
        write_file("REGISTRY_AUTH_FILE", "auth.json", text);
        expect(hosts[i % 3], "library/web", "a:a");
    }
    g_autoptr(IngotCredentials) login = ingot_credentials_new("b", "b");
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    assert_true(ingot_credentials_save(options, "registry-1.docker.io", login, NULL));
    expect("docker.io", NULL, "b:b");
    assert_true(ingot_credentials_remove(options, "index.docker.io", NULL));
}

static void written_and_removed(void **state)
{
    g_autoptr(IngotCredentials) alice = ingot_credentials_new("alice", "pass:wörd");
    g_autoptr(GError) error = NULL;
    struct stat st;
    (void)state;
    g_autofree char *path = ingot_workdir_file(workdir, "new/folder/auth.json");
    g_autofree char *real = ingot_workdir_file(workdir, "real.json"), *link = ingot_workdir_file(workdir, "link.json");
    g_setenv("REGISTRY_AUTH_FILE", path, TRUE);
    const char *const files[] = {path, NULL}, *const links[] = {link, NULL};
    const IngotRemoteOptions options = {.logins = files}, by_link = {.logins = links};
    assert_true(ingot_credentials_save(&options, "a.example:5000", alice, NULL));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect("a.example:5000", "team", "alice:pass:wörd");
    assert_false(ingot_credentials_remove(&options, "b.example", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));

    /* Through a link, with other entries, over a mode that is too wide. */
    write_file("REGISTRY_AUTH_FILE", "real.json", "{\"auths\":{\"b.example\":{\"auth\":\"Yjpi\"}},\"more\":[1]}");
    assert_int_equal(symlink(real, link), 0);
    g_setenv("REGISTRY_AUTH_FILE", link, TRUE);
    assert_true(ingot_credentials_save(&by_link, "a.example", alice, NULL));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(real, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect("b.example", NULL, "b:b");
    assert_true(ingot_credentials_remove(&by_link, "a.example", NULL));
    g_autoptr(GBytes) bytes = ingot_file_read(real, 10000, NULL);
    g_autoptr(json_t) root = ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "the file", NULL);
    g_autofree char *text = ingot_json_canonical(root);
    assert_string_equal(text, "{\"auths\":{\"b.example\":{\"auth\":\"Yjpi\"}},\"more\":[1]}");

    /* The options alone say where: nothing is looked for elsewhere. */
    const IngotRemoteOptions none = {0};
    g_autoptr(IngotCredentials) found = NULL;
    assert_true(ingot_credentials_find(&none, "b.example", NULL, &found, NULL, NULL));
    assert_null(found);
    g_clear_error(&error);
    assert_false(ingot_credentials_save(&none, "b.example", alice, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

/* Both may be where a link leads that leads to nothing yet. */
static void a_link_to_nothing_stays_one(void **state)
{
    g_autoptr(IngotCredentials) alice = ingot_credentials_new("alice", "a");
    struct stat st;
    (void)state;
    g_autofree char *link = ingot_workdir_file(workdir, "link.json"),
                    *real = ingot_workdir_file(workdir, "to/real.json");
    assert_int_equal(symlink("to/real.json", link), 0);
    g_setenv("REGISTRY_AUTH_FILE", link, TRUE);
    assert_true(save("a.example", alice, NULL));
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(real, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    expect("a.example", NULL, "alice:a");
}

#define THREADS 8
#define EACH 20

static gpointer save_some(gpointer user)
{
    g_autoptr(IngotCredentials) alice = ingot_credentials_new("alice", "a");
    for (guint i = 0; i < EACH; i++) {
        g_autofree char *host = g_strdup_printf("h%u-%u.example", GPOINTER_TO_UINT(user), i);
        if (!save(host, alice, NULL)) {
            return "failed";
        }
    }
    return NULL;
}

static void logins_at_once_are_all_kept(void **state)
{
    GThread *threads[THREADS];
    (void)state;
    g_autofree char *path = ingot_workdir_file(workdir, "auth.json");
    g_setenv("REGISTRY_AUTH_FILE", path, TRUE);
    for (guint i = 0; i < THREADS; i++) {
        threads[i] = g_thread_new("login", save_some, GUINT_TO_POINTER(i));
    }
    for (guint i = 0; i < THREADS; i++) {
        assert_null(g_thread_join(threads[i]));
    }
    for (guint i = 0; i < THREADS * EACH; i++) {
        g_autofree char *host = g_strdup_printf("h%u-%u.example", i / EACH, i % EACH);
        expect(host, NULL, "alice:a");
    }
}

static void what_a_helper_goes_before_is_not_kept(void **state)
{
    static const char *const keys[][2] = {
        {"a.example", "a.example"}, {"https://a.example/v1/", "a.example"}, {"index.docker.io", "docker.io"}};
    g_autoptr(IngotCredentials) alice = ingot_credentials_new("alice", "a");
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *text = g_strdup_printf("{\"credHelpers\":{\"%s\":\"cloud\"}}", keys[i][0]);
        g_autoptr(GError) error = NULL;
        write_file("REGISTRY_AUTH_FILE", "auth.json", text);
        assert_false(save(keys[i][1], alice, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "docker-credential-cloud"));
        assert_true(save("b.example", alice, NULL));
    }
}

static void removed_from_all_files_but_dockers(void **state)
{
    static const char hub[] = "{\"auths\":{\"docker.io\":{\"auth\":\"YTph\"},\"https://index.docker.io/v1/\":"
                              "{\"auth\":\"Yjpi\"},\"a.example\":{\"auth\":\"YTph\"}}}";
    g_autoptr(GError) error = NULL;
    (void)state;
    g_autofree char *folder = ingot_workdir_file(workdir, "run");
    write_file("REGISTRY_AUTH_FILE", "run/containers/auth.json", hub);
    g_autofree char *second = g_build_filename(g_get_user_config_dir(), "containers", "auth.json", NULL);
    g_autofree char *second_folder = g_path_get_dirname(second);
    assert_true(ingot_file_make_folder(second_folder, NULL));
    assert_true(ingot_file_replace(second, hub, strlen(hub), 0600, NULL));
    g_unsetenv("REGISTRY_AUTH_FILE");
    g_setenv("XDG_RUNTIME_DIR", folder, TRUE);
    assert_true(forget("docker.io", NULL));
    expect("docker.io", NULL, "nothing");
    expect("a.example", NULL, "a:a");
    assert_true(forget("a.example", NULL));
    expect("a.example", NULL, "nothing");

    write_file("DOCKER_CONFIG", "docker/config.json", hub);
    assert_false(forget("a.example", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, "docker/config.json"));
    expect("a.example", NULL, "a:a");
    g_unsetenv("XDG_RUNTIME_DIR");
}

int main(void)
{
    /* GLib looks once. */
    g_autoptr(IngotWorkdir) home = ingot_workdir_new(NULL);
    g_setenv("XDG_CONFIG_HOME", ingot_workdir_path(home), TRUE);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_longest_key_counts),
        TEST(files_in_their_order),
        TEST(odd_files),
        TEST(a_broken_file_is_gone_on_without),
        TEST(helpers_are_run),
        TEST(a_store_has_all_logins),
        TEST(one_hub_by_several_names),
        TEST(written_and_removed),
        TEST(a_link_to_nothing_stays_one),
        TEST(logins_at_once_are_all_kept),
        TEST(what_a_helper_goes_before_is_not_kept),
        TEST(removed_from_all_files_but_dockers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
