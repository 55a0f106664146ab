/* A seal opens the text that it was made for, by the key that it was made with, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "server/auth/seal.h"

static void seals(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autofree char *other_folder = ingot_workdir_file(folder, "other");
    g_autoptr(Accounts) accounts = accounts_open(ingot_workdir_path(folder), NULL);
    g_autoptr(Accounts) other = accounts_open(other_folder, NULL);
    g_autofree char *seal = seal_of(accounts, "upload a 1"), *again = seal_of(accounts, "upload a 1");
    assert_int_equal(strlen(seal), SEAL_DIGITS);
    assert_string_equal(seal, again);
    assert_true(seal_opens(accounts, "upload a 1", seal));
    assert_false(seal_opens(other, "upload a 1", seal));
    static const char *const texts[] = {"upload a 2", "upload a 1 ", "pass a 1", ""};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_false(seal_opens(accounts, texts[i], seal));
    }
    g_autofree char *longer = g_strconcat(seal, "0", NULL), *shorter = g_strndup(seal, SEAL_DIGITS - 1);
    g_autofree char *wrong = g_strdup(seal);
    wrong[SEAL_DIGITS - 1] ^= 1;
    const char *const wrongs[] = {longer, shorter, wrong, ""};
    for (guint i = 0; i < G_N_ELEMENTS(wrongs); i++) {
        assert_false(seal_opens(accounts, "upload a 1", wrongs[i]));
    }
}

/* Behind a rotation a seal opens until the key that made it ends. */
static void seals_of_a_former_key(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    g_autoptr(Accounts) accounts = accounts_open(ingot_workdir_path(folder), NULL);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree char *seal = seal_of(accounts, "upload a 1");
    assert_true(accounts_rotate(accounts, now + 3600, NULL));
    assert_true(seal_opens(accounts, "upload a 1", seal));
    g_autofree char *newer = seal_of(accounts, "upload a 1");
    assert_string_not_equal(seal, newer);
    assert_true(seal_opens(accounts, "upload a 1", newer));
    assert_true(accounts_rotate(accounts, now, NULL));
    assert_false(seal_opens(accounts, "upload a 1", newer));
    assert_false(seal_opens(accounts, "upload a 1", seal)); /* what is older is not accepted for longer */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seals), cmocka_unit_test(seals_of_a_former_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
