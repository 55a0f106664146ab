/* What publishers say of a name has bounds: whoever reads a catalogue reads all of it. */
#include "../fixture.h"

#include <ingot/error.h>

#include "server/boxes/boxchange.h"
#include "server/boxes/boxrecords.h"

#define LONG (15u << 10) /* bytes of a URL: less than a provider may have */

static json_t *long_text(gsize size)
{
    g_autofree char *text = g_strnfill(size, 'x');
    return json_string(text);
}

static gboolean add_provider(Storage *storage, guint version, guint number, GError **error)
{
    g_autofree char *tag = g_strdup_printf("1.0.%u", version), *provider = g_strdup_printf("p%u", number);
    g_autoptr(json_t) url = long_text(LONG);
    g_autoptr(json_t) members = json_pack("{s:O}", "url", url);
    return box_change_provider(storage, NULL, "a", &(BoxProviderKey){tag, provider, "amd64"}, members, TRUE, error);
}

/* Records as they are kept by an earlier version, which had no such bound. */
static void fill(Storage *storage, gsize size)
{
    g_autoptr(json_t) text = long_text(size);
    g_autoptr(json_t) body = json_pack("{s:O}", "url", text);
    assert_true(storage_put_record(storage, NULL, BOX_PROVIDER_RECORD, "a", "1.0.0 libvirt amd64", body, NULL));
}

static void all_that_is_said_of_a_name_has_a_bound(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) text = long_text(100);
    guint64 bytes;
    fill(storage, (16u << 20) - (20u << 10));
    assert_true(storage_records_size(storage, BOX_PROVIDER_RECORD, "a", &bytes, NULL));
    assert_in_range(bytes, (16u << 20) - (20u << 10), (16u << 20) - (19u << 10));
    assert_true(add_provider(storage, 1, 0, NULL));
    assert_false(add_provider(storage, 1, 1, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    fill(storage, 16u << 20);
    assert_false(box_change_version(storage, NULL, "a", "2.0.0", text, NULL, TRUE, NULL));
}

static void a_box_is_described_in_brief(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) most = long_text(BOX_SAID_MAX), more = long_text(BOX_SAID_MAX + 1);
    assert_true(box_change(storage, NULL, "b", &(BoxSaid){.description = most}, FALSE, NULL));
    assert_false(box_change(storage, NULL, "a", &(BoxSaid){.description = more}, FALSE, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    g_auto(GStrv) names = storage_record_names(storage, BOX_RECORD, NULL);
    assert_int_equal(g_strv_length(names), 1);
    assert_string_equal(names[0], "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_is_said_of_a_name_has_a_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_box_is_described_in_brief, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("boxchange", tests, NULL, NULL);
}
