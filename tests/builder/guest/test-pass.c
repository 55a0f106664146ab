/* A command by the session: its words, both of its streams to the byte, and its status. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include "fake.h"
#include "guest/pass.h"

typedef struct {
    char *out, *err;
    gsize out_size, err_size;
    int status;
} Passed;

static void passed_clear(Passed *passed)
{
    g_free(passed->out);
    g_free(passed->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Passed, passed_clear)

static void run(const Fake *fake, const char *const *words, Passed *passed)
{
    g_autofree char *out = ingot_workdir_file(fake->workdir, "out"), *err = ingot_workdir_file(fake->workdir, "err");
    g_autoptr(GError) error = NULL;
    int fds[] = {open(out, O_RDWR | O_CREAT | O_TRUNC, 0600), open(err, O_RDWR | O_CREAT | O_TRUNC, 0600)};
    if (!pass_run(fake->guest, words, fds[0], fds[1], &passed->status, &error)) {
        fail_msg("%s", error->message);
    }
    close(fds[0]);
    close(fds[1]);
    assert_true(g_file_get_contents(out, &passed->out, &passed->out_size, NULL));
    assert_true(g_file_get_contents(err, &passed->err, &passed->err_size, NULL));
}

#define RUN(...) ((const char *const[]){__VA_ARGS__, NULL})

static void streams_and_status_are_passed_on(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    static const int statuses[] = {0, 7, 255};
    for (guint i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_auto(Passed) passed = {0};
        g_autofree char *script = g_strdup_printf("echo out; echo err >&2; printf end; exit %d", statuses[i]);
        run(&fake, RUN("sh", "-c", script), &passed);
        assert_string_equal(passed.out, "out\nend");
        assert_string_equal(passed.err, "err\n");
        assert_int_equal(passed.status, statuses[i]);
    }
    g_auto(Passed) none = {0};
    run(&fake, RUN("no-such-program"), &none);
    assert_int_equal(none.status, 127);
    assert_non_null(strstr(none.err, "no-such-program"));
}

static void bytes_are_passed_on_as_they_are(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_auto(Passed) passed = {0};
    /* More than a pipe holds on both streams at once, and every byte there is. */
    run(&fake,
        RUN("sh", "-c",
            "{ yes lots | head -c 300000 >&2; } & i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; "
            "i=$((i + 1)); done; yes o | head -c 100000; wait"),
        &passed);
    assert_int_equal(passed.out_size, 256 + 100000);
    for (guint i = 0; i < 256; i++) {
        assert_int_equal((guint8)passed.out[i], i);
    }
    assert_int_equal(passed.err_size, 300000);
    assert_null(strchr(passed.err, 'x'));
}

static void words_arrive_as_words(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_auto(Passed) passed = {0};
    run(&fake, RUN("printf", "<%s>", "two  blanks", "it's", "$HOME; `id`", "", "*", "a\nb"), &passed);
    assert_string_equal(passed.out, "<two  blanks><it's><$HOME; `id`><><*><a\nb>");
}

/* As `| head -1` does; the command itself would go on for ever. */
static void a_reader_that_goes_ends_the_command(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    g_autoptr(GError) error = NULL;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_false(pass_run(fake.guest, RUN("yes"), ends[1], STDERR_FILENO, &status, &error));
    assert_non_null(strstr(error->message, "Broken pipe"));
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_and_status_are_passed_on),
        cmocka_unit_test(bytes_are_passed_on_as_they_are),
        cmocka_unit_test(words_arrive_as_words),
        cmocka_unit_test(a_reader_that_goes_ends_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
