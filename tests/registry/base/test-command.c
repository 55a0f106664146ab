/* The shape of every program, seen from outside: each case runs in a child whose output and status are looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/command.h"
#include "base/file.h"

typedef struct {
    int status;
    char *out, *err;
} Result;

static void clear_result(Result *result)
{
    g_free(result->out);
    g_free(result->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Result, clear_result)

static gboolean run_push(int argc, char **argv, GError **error);

static const IngotVerb verbs[] = {
    {"push", "IMAGE [DESTINATION]", "send an image to a registry", "Example:\n  ingot push web:1.0.0", run_push},
    {NULL, NULL, NULL, NULL, NULL},
};

/* Prints what it was given. */
static gboolean run_push(int argc, char **argv, GError **error)
{
    gboolean force = FALSE;
    const GOptionEntry entries[] = {{"force", 'f', 0, G_OPTION_ARG_NONE, &force, "even so", NULL}, {NULL}};

    if (!ingot_command_options(&verbs[0], entries, 1, 2, &argc, &argv, error))
        return FALSE;
    if (g_str_equal(argv[1], "broken")) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "web: cannot connect");
        return FALSE;
    }
    if (g_str_equal(argv[1], "stream")) {
        ingot_command_streams();
        return write(STDOUT_FILENO, "x", 1) == 1 || ingot_error_set_errno(error, errno, "stdout");
    }
    if (g_str_equal(argv[1], "slow")) { /* interrupted, and whatever it was about fails for it */
        raise(SIGINT);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "a pipe broke");
        return FALSE;
    }
    const IngotCommon *common = ingot_command_common();
    printf("%s force=%d quiet=%d json=%d store=%s cache=%s", argv[0], force, common->quiet, common->json, common->store,
           common->cache);
    for (int i = 1; i < argc; i++)
        printf(" <%s>", argv[i]);
    printf("%s\n", argv[argc] ? " unended" : "");
    ingot_progress_message(ingot_command_progress(), "a message");
    return TRUE;
}

static char *content_of(IngotWorkdir *workdir, const char *name)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    char *content = NULL;
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    return content;
}

static void redirect(IngotWorkdir *workdir, const char *name, int fd)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || dup2(file, fd) < 0)
        _exit(99);
}

static Result run(IngotWorkdir *workdir, const char *line)
{
    Result result = {0};
    int status;

    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        g_auto(GStrv) argv = g_strsplit(line, " ", -1);
        redirect(workdir, "out", STDOUT_FILENO);
        redirect(workdir, "err", STDERR_FILENO);
        int code = ingot_command_main("ingot", "keeps images", verbs, (int)g_strv_length(argv), argv);
        fflush(NULL);
        _exit(code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.out = content_of(workdir, "out");
    result.err = content_of(workdir, "err");
    return result;
}

/* A libexec folder with one further verb in it, which prints its arguments and leaves with status 7. */
static int set_up(void **state)
{
    static const char script[] = "#!/bin/sh\necho \"${0##*/}\" \"$@\"\nexit 7\n";
    IngotWorkdir *workdir = ingot_workdir_new(NULL);
    g_autofree char *program = ingot_workdir_file(workdir, "ingot-hello");

    *state = workdir;
    g_setenv("INGOT_LIBEXEC", ingot_workdir_path(workdir), TRUE);
    g_setenv("INGOT_STORE", "/the/store", TRUE);
    g_setenv("INGOT_CACHE", "/the/cache", TRUE);
    return ingot_file_replace(program, script, sizeof script - 1, 0700, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static void test_verb(void **state)
{
    g_auto(Result) plain = run(*state, "/usr/bin/ingot push web:1.0.0");
    assert_int_equal(plain.status, 0);
    assert_string_equal(plain.out, "push force=0 quiet=0 json=0 store=/the/store cache=/the/cache <web:1.0.0>\n");
    assert_string_equal(plain.err, "a message\n");

    static const char *const empty[] = {"--store", "--cache", "--ca"};
    for (guint i = 0; i < G_N_ELEMENTS(empty); i++) {
        g_autofree char *line = g_strdup_printf("ingot push %s= web:1.0.0", empty[i]);
        g_auto(Result) none = run(*state, line);
        assert_int_equal(none.status, 2);
        assert_string_equal(none.out, "");
        assert_non_null(strstr(none.err, empty[i]));
    }

    g_auto(Result) full = run(*state, "ingot push a -q --json --force --store s --cache=c -- -b");
    assert_string_equal(full.out, "push force=1 quiet=1 json=1 store=s cache=c <a> <-b>\n");
    assert_string_equal(full.err, "");
}

static void test_own_name(void **state)
{
    g_auto(Result) result = run(*state, "/usr/libexec/ingot/ingot-push a");
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "<a>"));
}

static void test_usage(void **state)
{
    static const char *const lines[] = {"ingot push", "ingot push a b c", "ingot push --nonsense a"};

    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_auto(Result) result = run(*state, lines[i]);
        assert_int_equal(result.status, 2);
        assert_string_equal(result.out, "");
        assert_true(g_str_has_prefix(result.err, "ingot push: "));
        assert_non_null(strstr(result.err, "usage: ingot push [OPTIONS] IMAGE [DESTINATION]"));
    }
}

static void test_failure(void **state)
{
    g_auto(Result) broken = run(*state, "ingot push broken");
    assert_int_equal(broken.status, 1);
    assert_string_equal(broken.err, "ingot push: web: cannot connect\n");

    g_auto(Result) slow = run(*state, "ingot push slow");
    assert_int_equal(slow.status, 130);
    assert_string_equal(slow.err, "ingot push: interrupted\n");
}

static void test_help(void **state)
{
    g_auto(Result) all = run(*state, "ingot --help");
    assert_int_equal(all.status, 0);
    assert_non_null(strstr(all.out, "push       send an image to a registry"));
    assert_non_null(strstr(all.out, "hello"));

    g_auto(Result) one = run(*state, "ingot push --help");
    assert_int_equal(one.status, 0);
    assert_non_null(strstr(one.out, "ingot push [OPTION"));
    assert_non_null(strstr(one.out, "--force"));
    assert_non_null(strstr(one.out, "ingot push web:1.0.0"));

    g_auto(Result) none = run(*state, "ingot");
    assert_int_equal(none.status, 2);
    assert_string_equal(none.out, "");

    static const char *const versions[] = {"ingot --version", "ingot version", "ingot -q version"};
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_auto(Result) version = run(*state, versions[i]);
        assert_string_equal(version.out, "ingot " INGOT_VERSION "\n");
    }
}

/* As git, docker and podman have it. */
static void test_help_verb(void **state)
{
    static const struct {
        const char *line, *wanted;
        int status;
    } cases[] = {
        {"ingot help", "push       send an image to a registry", 0},
        {"ingot help push", "ingot push web:1.0.0", 0},
        {"ingot help version", "print the version", 0},
        {"ingot help help", "tell about a verb", 0},
        {"ingot help hello", "ingot-hello --help", 7}, /* a program's own */
        {"ingot help pussh", "", 2},
        {"ingot help push pull", "", 2},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Result) result = run(*state, cases[i].line);
        if (result.status != cases[i].status || strstr(result.out, cases[i].wanted) == NULL)
            fail_msg("%s: %d, %s%s", cases[i].line, result.status, result.out, result.err);
    }
    g_auto(Result) wrong = run(*state, "ingot help pussh");
    assert_non_null(strstr(wrong.err, "did you mean 'push'?"));
}

static void test_options_before_the_verb(void **state)
{
    g_auto(Result) own = run(*state, "ingot -q --store s --cache=c --json push a --force");
    assert_int_equal(own.status, 0);
    assert_string_equal(own.out, "push force=1 quiet=1 json=1 store=s cache=c <a>\n");
    assert_string_equal(own.err, "");
    g_auto(Result) further = run(*state, "ingot -q --ca f hello to world");
    assert_string_equal(further.out, "ingot-hello -q --ca f to world\n");
    static const char *const lines[] = {"ingot -q", "ingot --store", "ingot --force push a"};
    for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_auto(Result) wrong = run(*state, lines[i]);
        assert_int_equal(wrong.status, 2);
        assert_string_equal(wrong.out, "");
    }
}

static void test_unknown_verb(void **state)
{
    g_auto(Result) own = run(*state, "ingot pussh");
    assert_int_equal(own.status, 2);
    assert_true(g_str_has_prefix(own.err, "ingot: unknown verb 'pussh' (did you mean 'push'?)"));
    g_auto(Result) further = run(*state, "ingot helo");
    assert_non_null(strstr(further.err, "did you mean 'hello'?"));
    g_auto(Result) path = run(*state, "ingot ../ingot-hello");
    assert_int_equal(path.status, 2);
}

static void test_further_verb(void **state)
{
    g_auto(Result) result = run(*state, "ingot hello --to world");
    assert_int_equal(result.status, 7);
    assert_string_equal(result.out, "ingot-hello --to world\n");
}

/* /dev/full refuses every byte. */
static void test_full_output(void **state)
{
    int status;

    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *argv[] = {"ingot", "push", "-q", "a", NULL};
        redirect(*state, "err", STDERR_FILENO);
        int full = open("/dev/full", O_WRONLY);
        if (full < 0 || dup2(full, STDOUT_FILENO) < 0)
            _exit(99);
        _exit(ingot_command_main("ingot", "keeps images", verbs, 4, argv));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 1);
    g_autofree char *err = content_of(*state, "err");
    assert_non_null(strstr(err, "standard output"));
}

/* A reader that has gone: the status of cat and git, and not a word. */
static void test_unread_output(void **state)
{
    static const char *const firsts[] = {"a", "stream", "broken"};
    for (gsize i = 0; i < G_N_ELEMENTS(firsts); i++) {
        int status, ends[2];
        fflush(NULL);
        assert_int_equal(pipe(ends), 0);
        close(ends[0]);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char *argv[] = {"ingot", "push", "-q", (char *)firsts[i], NULL};
            redirect(*state, "err", STDERR_FILENO);
            if (dup2(ends[1], STDOUT_FILENO) < 0)
                _exit(99);
            _exit(ingot_command_main("ingot", "keeps images", verbs, 4, argv));
        }
        close(ends[1]);
        assert_int_equal(waitpid(child, &status, 0), child);
        g_autofree char *err = content_of(*state, "err");
        if (i < 2) {
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
            assert_string_equal(err, "");
        } else { /* a failure of another kind is told, whoever reads */
            assert_int_equal(WEXITSTATUS(status), 1);
            assert_string_equal(err, "ingot push: web: cannot connect\n");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verb),          cmocka_unit_test(test_own_name),
        cmocka_unit_test(test_usage),         cmocka_unit_test(test_failure),
        cmocka_unit_test(test_help),          cmocka_unit_test(test_unknown_verb),
        cmocka_unit_test(test_further_verb),  cmocka_unit_test(test_full_output),
        cmocka_unit_test(test_help_verb),     cmocka_unit_test(test_options_before_the_verb),
        cmocka_unit_test(test_unread_output),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
