/* A disk that is read-only for a while: what the system refuses is no limit of ours, and what came of an upload stays.
 */
#include "../fixture.h"

#include <errno.h>
#include <sys/syscall.h>

#include "server/packs/splitter.h"

static gint refuses; /* writes; atomic */

/* In the place of the C library's. */
ssize_t pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
    if (g_atomic_int_get(&refuses) != 0) {
        errno = EROFS;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buffer, size, offset);
}

static void an_upload_goes_on_when_it_may_be_written(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 9000000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    guint64 at, now;
    assert_true(add_steps(storage, id, bytes, 0, 5000000, 70000, NULL));
    assert_true(storage_upload_settle(storage, id, 0, &at, NULL));
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GError) error = NULL;
        g_atomic_int_set(&refuses, 1);
        assert_false(i == 2 ? storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)
                            : add_steps(storage, id, bytes, at, bytes->len, 70000, &error));
        assert_false(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        g_atomic_int_set(&refuses, 0);
        assert_true(storage_upload_size(storage, id, &now, NULL));
        assert_true(now + PIECE_MAX >= 5000000);
        at = now;
        if (i == 1) {
            assert_true(add_steps(storage, id, bytes, at, bytes->len, 70000, NULL));
        }
    }
    assert_true(add_steps(storage, id, bytes, at, bytes->len, 70000, NULL));
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upload_goes_on_when_it_may_be_written, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
