/* What registries have said of one image: each has its own word, and the strictest counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/store.h>

#include "base/file.h"
#include "store/standing.h"

#define A "a.example/team/web"
#define B "b.example/team/web"

typedef struct {
    IngotWorkdir *folder;
    IngotStore *store;
    IngotDigest image;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->folder = ingot_workdir_new(NULL);
    fixture->store = ingot_store_open(ingot_workdir_path(fixture->folder), NULL);
    ingot_digest_of("x", 1, &fixture->image);
    *state = fixture;
    return fixture->store == NULL;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_store_free(fixture->store);
    ingot_workdir_free(fixture->folder);
    g_free(fixture);
    return 0;
}

static void say(const Fixture *fixture, const char *registry, Lifecycle said, Lifecycle base)
{
    g_autoptr(json_t) of_image = said == LIFECYCLE_ACTIVE ? NULL : lifecycle_say(said, "why", "alice", 100, 100);
    g_autoptr(json_t) of_base = base == LIFECYCLE_ACTIVE ? NULL : lifecycle_say(base, "why", "bob", 100, 100);
    standing_keep(fixture->store, &fixture->image, registry, of_image, of_base);
}

static void expect(const Fixture *fixture, const char *registry, Lifecycle said, Lifecycle base)
{
    g_autoptr(json_t) note = standing_load(fixture->store, &fixture->image);
    if (registry == NULL) {
        assert_null(note);
        return;
    }
    assert_string_equal(json_string_value(json_object_get(note, "registry")), registry);
    assert_int_equal(lifecycle_of(json_object_get(note, "said")), said);
    assert_int_equal(lifecycle_of(json_object_get(note, "base")), base);
}

static void no_other_word_replaces_a_revocation(void **state)
{
    const Fixture *fixture = *state;
    expect(fixture, NULL, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
    say(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_ACTIVE);
    say(fixture, B, LIFECYCLE_DEPRECATED, LIFECYCLE_ACTIVE);
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_ACTIVE);
    say(fixture, B, LIFECYCLE_ACTIVE, LIFECYCLE_DEPRECATED);
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_DEPRECATED);
    say(fixture, B, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_ACTIVE);
}

static void each_takes_back_its_own(void **state)
{
    const Fixture *fixture = *state;
    say(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_ACTIVE);
    say(fixture, B, LIFECYCLE_DISABLED, LIFECYCLE_REVOKED);
    say(fixture, A, LIFECYCLE_DEPRECATED, LIFECYCLE_ACTIVE);
    expect(fixture, B, LIFECYCLE_DISABLED, LIFECYCLE_REVOKED);
    say(fixture, B, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
    expect(fixture, A, LIFECYCLE_DEPRECATED, LIFECYCLE_ACTIVE);
    say(fixture, A, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
    expect(fixture, NULL, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
}

static void the_strictest_stay_where_there_are_many(void **state)
{
    const Fixture *fixture = *state;
    say(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_ACTIVE);
    for (guint i = 0; i < 2 * STANDING_MOST; i++) {
        g_autofree char *registry = g_strdup_printf("%u.example/team/web", i);
        say(fixture, registry, LIFECYCLE_DEPRECATED, LIFECYCLE_REVOKED);
    }
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_REVOKED);
}

/* As it was while a note held one word alone. */
static void a_note_of_the_older_form_counts(void **state)
{
    const Fixture *fixture = *state;
    g_autofree char *path = layout_note_path(fixture->store, STANDING_FOLDER, &fixture->image);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(json_t) said = lifecycle_say(LIFECYCLE_REVOKED, "why", "alice", 100, 100);
    g_autoptr(json_t) base = lifecycle_say(LIFECYCLE_DEPRECATED, "why", "bob", 100, 100);
    g_autoptr(json_t) note = json_pack("{s:s, s:O, s:O}", "registry", A, "said", said, "base", base);
    assert_true(ingot_file_make_folder(folder, NULL) && ingot_json_save(note, path, 4096, 0644, NULL));
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_DEPRECATED);
    say(fixture, B, LIFECYCLE_DEPRECATED, LIFECYCLE_REVOKED);
    expect(fixture, A, LIFECYCLE_REVOKED, LIFECYCLE_REVOKED);
    say(fixture, A, LIFECYCLE_ACTIVE, LIFECYCLE_ACTIVE);
    expect(fixture, B, LIFECYCLE_DEPRECATED, LIFECYCLE_REVOKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_other_word_replaces_a_revocation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_takes_back_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_strictest_stay_where_there_are_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_note_of_the_older_form_counts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
