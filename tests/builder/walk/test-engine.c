/* A machine that goes down, or is going to: it is waited for or refused, and never kept with its memory. And how a
 * memory is kept. */
#include "../cache/sample.h"
#include "../guest/fake.h"
#include "../machine/fake.h"

#include "cache/checksum.h"
#include "cache/draft.h"
#include "cache/memory.h"
#include "guest/session.h"
#include "walk/inside.h"

#define SECONDS(since) ((double)(g_get_monotonic_time() - (since)) / G_USEC_PER_SEC)

typedef struct {
    Sample *sample;
    Plan *plan;
    Fake fake;
    Source source;
    BuildHost host;
    WalkOptions options;
    Walk walk;
} Fixture;

/* The walk has a machine that runs, with systemd. behaviour: the fake QEMU's. */
static void fixture_begin(Fixture *f, const char *behaviour)
{
    static GuestChannelKind port;
    void *sample = NULL;
    *f = (Fixture){0};
    assert_int_equal(sample_set_up(&sample), 0);
    f->sample = sample;
    f->plan = sample_plan(f->sample, "[{name: one, shell: 'true'}, {name: two, shell: 'true', shutdown: true}]");
    f->fake = fake_new();
    g_autofree char *system = ingot_workdir_file(f->fake.workdir, "systemd/system");
    g_autofree char *shutdown = ingot_workdir_file(f->fake.workdir, "systemd/shutdown");
    assert_true(ingot_file_make_folder(system, NULL) && ingot_file_make_folder(shutdown, NULL));
    fake_program(&f->fake, "systemctl", 0);
    f->source = (Source){.path = f->sample->source, .format = (char *)"raw"};
    f->host = (BuildHost){.cache = f->sample->cache, .accel = MACHINE_TCG};
    f->walk = (Walk){.in = {.host = &f->host,
                            .options = &f->options,
                            .recipe = g_ptr_array_index(f->sample->recipes, 0),
                            .plan = f->plan,
                            .source = &f->source,
                            .workdir = f->fake.workdir},
                     .fingerprint = (char *)"board",
                     .keeping = TRUE,
                     .drafts = g_ptr_array_new_with_free_func((GDestroyNotify)draft_free),
                     .further = g_ptr_array_new_with_free_func(g_free),
                     .runs = g_ptr_array_new_with_free_func(node_run_free)};
    f->walk.machine = fake_start(behaviour, FALSE);
    f->walk.guest = g_steal_pointer(&f->fake.guest);
    /* As a shell on the machine's port would be. */
    port = *f->walk.guest->channel->kind;
    port.survives = TRUE;
    f->walk.guest->channel->kind = &port;
}

static void fixture_clear(Fixture *f)
{
    engine_stop(&f->walk);
    layers_settle(&f->walk);
    layers_forget(&f->walk);
    g_ptr_array_unref(f->walk.drafts);
    g_ptr_array_unref(f->walk.further);
    g_ptr_array_unref(f->walk.runs);
    fake_clear(&f->fake);
    plan_free(f->plan);
    void *sample = f->sample;
    sample_tear_down(&sample);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static void schedule(const Fixture *f, gint64 seconds)
{
    g_autofree char *path = ingot_workdir_file(f->fake.workdir, "systemd/shutdown/scheduled");
    g_autofree char *text =
        g_strdup_printf("USEC=%" G_GINT64_FORMAT "\nMODE=reboot\n", g_get_real_time() + seconds * G_USEC_PER_SEC);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static gboolean is_alive(gpointer machine, GError **error)
{
    return machine_alive(machine, error);
}

static void a_restart_that_is_due_soon_is_waited_for(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    g_autoptr(GError) error = NULL;
    fixture_begin(&f, "{\"ends\": 2}");
    schedule(&f, 2);
    assert_true(engine_follow(&f.walk, plan_stage(f.plan, 1), &error));
    assert_null(f.walk.machine);
    assert_true(f.walk.clean);
}

#define HALTED "{\"registers\": [\"RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\"]}"

/* `shutdown -H`: no end would ever come. */
static void a_halt_is_an_end(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    g_autoptr(GError) error = NULL;
    gint64 began = g_get_monotonic_time();
    fixture_begin(&f, HALTED);
    schedule(&f, 2);
    fake_forget();
    assert_true(engine_follow(&f.walk, plan_stage(f.plan, 1), &error));
    assert_true(fake_heard("quit")); /* what was written is on the disk */
    assert_null(f.walk.machine);
    assert_true(f.walk.clean);
    assert_true(SECONDS(began) < 60);
}

/* The machine goes down before it is asked whether it does: its shell is gone. */
static void a_guest_that_left_first_has_gone_down(void **state)
{
    static const char *const ways[] = {HALTED, "{\"ends\": 2}"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_auto(Fixture) f;
        g_autoptr(GError) error = NULL;
        fixture_begin(&f, ways[i]);
        assert_int_equal(kill(-f.fake.shell, SIGKILL), 0);
        assert_int_equal(waitpid(f.fake.shell, NULL, 0), f.fake.shell);
        f.fake.shell = -1;
        if (!engine_follow(&f.walk, plan_stage(f.plan, 1), &error)) {
            fail_msg("%s", error->message);
        }
        assert_null(f.walk.machine);
        assert_false(f.walk.clean); /* nobody has said that it went down as it should */
    }
}

/* `halt -f` in the middle of a step: as a machine that has ended by itself. */
static void a_halt_that_nobody_announced_is_seen(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    g_autoptr(GError) error = NULL;
    int status;
    fixture_begin(&f, HALTED);
    const GuestCommand command = {.script = "sleep 60"};
    f.walk.guest->alive_user = f.walk.machine;
    f.walk.guest->alive = is_alive;
    assert_false(guest_run(f.walk.guest, &command, &status, &error));
    assert_non_null(strstr(error->message, "has halted"));
    assert_true(engine_has_ended(&f.walk));
}

static void one_that_is_due_late_is_refused(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    g_autoptr(GError) error = NULL;
    gint64 began = g_get_monotonic_time();
    fixture_begin(&f, "{}");
    schedule(&f, 3000);
    assert_false(engine_follow(&f.walk, plan_stage(f.plan, 1), &error));
    assert_non_null(strstr(error->message, "scheduled in"));
    assert_non_null(strstr(error->message, "reboot: true"));
    assert_false(engine_has_ended(&f.walk));
    assert_non_null(f.walk.machine);
    assert_true(SECONDS(began) < 60);
}

static void what_is_shut_down_anyway_is_not_waited_for(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    fixture_begin(&f, "{}");
    schedule(&f, 300);
    assert_true(engine_follow(&f.walk, plan_stage(f.plan, 2), NULL));
    assert_non_null(f.walk.machine);
    /* So it is behind the last stage, however late. */
    ((PlanStage *)plan_stage(f.plan, 2))->shutdown = FALSE;
    schedule(&f, 3000);
    assert_true(engine_follow(&f.walk, plan_stage(f.plan, 2), NULL));
    assert_non_null(f.walk.machine);
}

/* A disk that was taken out of a bundle for this build alone: a node on it would never be of use. */
static void nothing_is_kept_on_what_ends_with_the_build(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    fixture_begin(&f, "{}");
    assert_true(walk_keeps(&f.walk.in));
    f.options.no_cache = TRUE;
    assert_false(walk_keeps(&f.walk.in));
    f.options.no_cache = FALSE;
    g_autofree char *passing = ingot_workdir_file(f.fake.workdir, "bundle/disk.qcow2");
    g_autofree char *beside = g_strconcat(ingot_workdir_path(f.fake.workdir), "-other/disk.qcow2", NULL);
    f.source.path = passing;
    assert_false(walk_keeps(&f.walk.in));
    f.source.path = beside;
    assert_true(walk_keeps(&f.walk.in));
}

/* The stage's node as it is kept. */
static Node *keep(Fixture *f)
{
    PlanStage stage = *plan_stage(f->plan, 1);
    stage.keep = PLAN_KEEP_MEMORY;
    NodeRun run = {.key = stage.key, .id = (char *)"a", .title = stage.title, .ran = SAMPLE_BEGAN, .seconds = 1};
    g_ptr_array_add(f->walk.runs, node_run_copy(&run));
    g_autoptr(GError) error = NULL;
    if (!layers_add(&f->walk, &error) || !layers_keep(&f->walk, &stage, &error)) {
        fail_msg("%s", error->message);
    }
    layers_settle(&f->walk);
    assert_true(f->walk.keeping);
    return sample_read(f->sample, f->walk.below);
}

static void the_memory_of_a_machine_that_goes_down_is_not_kept(void **state)
{
    (void)state;
    for (guint going_down = 0; going_down < 2; going_down++) {
        g_auto(Fixture) f;
        fixture_begin(&f, "{}");
        if (going_down) {
            schedule(&f, 300);
        }
        g_autoptr(Node) node = keep(&f);
        g_autofree char *memory = node_file(node, NODE_MEMORY);
        assert_int_equal(node->fingerprint == NULL, going_down);
        assert_int_equal(json_object_get(node->files, NODE_MEMORY) == NULL, going_down);
        assert_int_equal(g_file_test(memory, G_FILE_TEST_EXISTS), !going_down);
        assert_non_null(json_object_get(node->files, NODE_DISK));
    }
}

/* Between the guest's going on and the node's being there lies the publisher's work: the node is whole, and one whose
 * memory cannot be written is none. */
static void a_spool_becomes_the_nodes_memory(void **state)
{
    (void)state;
    for (guint direct = 0; direct < 2; direct++) {
        g_auto(Fixture) f;
        fixture_begin(&f, direct ? "{\"state\": 300000, \"refuse_first\": [\"migrate\"]}" : "{\"state\": 300000}");
        g_autoptr(Node) node = keep(&f);
        assert_int_equal(f.walk.spooled, !direct);
        g_autofree char *memory = node_file(node, NODE_MEMORY);
        g_autofree char *sum = checksum_of_file(memory, FALSE, NULL);
        assert_string_equal(sum, json_string_value(json_object_get(node->files, NODE_MEMORY)));
        engine_stop(&f.walk); /* the other has its sockets in the same folder */
        g_autoptr(Machine) machine = fake_start("{\"status\": \"inmigrate\"}", TRUE);
        fake_forget();
        assert_true(memory_load(machine, memory, sum, NULL));
        assert_true(fake_heard("read 300000"));
    }
}

static void a_memory_that_cannot_be_written_makes_no_node(void **state)
{
    (void)state;
    g_auto(Fixture) f;
    fixture_begin(&f, "{}");
    PlanStage stage = *plan_stage(f.plan, 1);
    stage.keep = PLAN_KEEP_MEMORY;
    NodeRun run = {.key = stage.key, .id = (char *)"a", .title = stage.title, .ran = SAMPLE_BEGAN, .seconds = 1};
    g_ptr_array_add(f.walk.runs, node_run_copy(&run));
    assert_true(layers_add(&f.walk, NULL));
    NodeDraft *draft = g_ptr_array_index(f.walk.drafts, 0);
    g_autofree char *memory = draft_file(draft, NODE_MEMORY);
    assert_int_equal(g_mkdir(memory, 0700), 0);
    assert_true(layers_keep(&f.walk, &stage, NULL));
    layers_settle(&f.walk);
    assert_false(f.walk.keeping);
    assert_non_null(f.walk.publishing_failed);
    g_clear_error(&f.walk.publishing_failed);
    g_autofree char *folder = g_path_get_dirname(memory);
    assert_null(node_read(folder, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_that_is_due_soon_is_waited_for),
        cmocka_unit_test(a_halt_is_an_end),
        cmocka_unit_test(a_guest_that_left_first_has_gone_down),
        cmocka_unit_test(a_halt_that_nobody_announced_is_seen),
        cmocka_unit_test(one_that_is_due_late_is_refused),
        cmocka_unit_test(what_is_shut_down_anyway_is_not_waited_for),
        cmocka_unit_test(nothing_is_kept_on_what_ends_with_the_build),
        cmocka_unit_test(the_memory_of_a_machine_that_goes_down_is_not_kept),
        cmocka_unit_test(a_spool_becomes_the_nodes_memory),
        cmocka_unit_test(a_memory_that_cannot_be_written_makes_no_node),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
