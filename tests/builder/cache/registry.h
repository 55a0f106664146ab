/* A real ingotd beside the cache of a test's own, for nodes that go through a registry. */
#pragma once

#include "sample.h"

#include <gio/gio.h>
#include <ingot/remote.h>

#include "base/process.h"
#include "cache/share.h"
#include "machine/machine.h"
#include "remote/environment.h"

#define STEPS "[{shell: one}, {shell: two, max_age: 1h}]"
#define FINGERPRINT "board 1; qemu 10"
#define RECENT 60 /* seconds since a node's last run, and since the one before that */

typedef struct {
    Sample *sample;
    GSubprocess *server;
    IngotStore *store;
    IngotReference *where;
    Plan *plan;
    const char *fingerprint; /* of the nodes that are kept; NULL: any machine takes them */
    gint64 now;
} Fixture;

/* Beside the folder of unit tests lies the program. */
static inline char *server_path(void)
{
    g_autofree char *own = g_file_read_link("/proc/self/exe", NULL);
    char *tests = g_strrstr(own, "/tests/"); /* the tree itself may lie in a folder of that name */
    assert_non_null(tests);
    return g_strdup_printf("%.*s/ingotd", (int)(tests - own), own);
}

/* Its HOST:PORT, which it prints when it listens. */
static inline char *start_server(Fixture *f)
{
    g_autofree char *program = server_path(), *data = sample_path(f->sample, "registry");
    g_autoptr(GError) error = NULL;
    f->server = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, &error, program,
                                 "--data", data, "--listen", "127.0.0.1:0", NULL);
    if (f->server == NULL) {
        fail_msg("%s", error->message);
    }
    g_autoptr(GDataInputStream) lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(f->server));
    g_autofree char *line = NULL;
    do {
        g_free(line);
        line = g_data_input_stream_read_line(lines, NULL, NULL, NULL);
        assert_non_null(line);
    } while (strstr(line, "http://") == NULL);
    return g_strdup(strstr(line, "http://") + strlen("http://"));
}

static inline int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    void *sample = NULL;
    assert_int_equal(sample_set_up(&sample), 0);
    f->sample = sample;
    g_autofree char *host = start_server(f), *store = sample_path(f->sample, "store");
    f->store = ingot_store_open(store, NULL);
    f->where = ingot_reference_new(host, "team/nodes", NULL, NULL);
    f->plan = sample_plan(f->sample, STEPS);
    f->fingerprint = FINGERPRINT;
    f->now = g_get_real_time() / G_USEC_PER_SEC;
    *state = f;
    return f->store == NULL || f->where == NULL;
}

static inline int tear_down(void **state)
{
    Fixture *f = *state;
    void *sample = f->sample;
    g_subprocess_send_signal(f->server, SIGTERM);
    g_subprocess_wait(f->server, NULL, NULL);
    g_object_unref(f->server);
    ingot_store_free(f->store);
    ingot_reference_free(f->where);
    plan_free(f->plan);
    g_free(f);
    return sample_tear_down(&sample);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static inline Share share_of(const Fixture *f, const char *cache)
{
    return (Share){.store = f->store, .cache = cache, .workdir = f->sample->folder, .where = f->where};
}

/* A node in the sample's cache after as many stages as there are letters, which ran at that time, with memory and
 * variables of that text. */
static inline Node *keep_after(const Fixture *f, const char *letters, const char *name, gint64 ran, const char *text)
{
    g_autoptr(Node) node = node_new();
    node->folder = sample_folder(f->sample, name);
    node->source = g_strdup(f->sample->source);
    node->recipe = g_strdup("web");
    node->fingerprint = g_strdup(f->fingerprint);
    g_ptr_array_unref(node->runs);
    node->runs = sample_runs(f->plan, letters);
    for (guint i = 0; i < node->runs->len; i++) {
        ((NodeRun *)g_ptr_array_index(node->runs, i))->ran = ran;
    }
    assert_true(ingot_file_make_folder(node->folder, NULL));
    const char *const files[] = {NODE_MEMORY, MACHINE_VARIABLES, NODE_LOCK};
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = node_file(node, files[i]), *content = g_strdup_printf("%s of %s", files[i], text);
        assert_true(g_file_set_contents(path, content, -1, NULL));
        if (i < 2) {
            json_object_set_new(node->files, files[i], json_null());
        }
    }
    g_autofree char *disk = node_file(node, NODE_DISK), *raw = sample_path(f->sample, "disk.raw");
    g_autofree char *bytes = g_strnfill(1 << 20, text[0]);
    const char *const convert[] = {"qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, disk, NULL};
    assert_true(g_file_set_contents(raw, bytes, 1 << 20, NULL));
    assert_true(ingot_process_run(convert, NULL, NULL, NULL));
    json_object_set_new(node->files, NODE_DISK, json_null());
    assert_true(node_publish(node, NULL));
    return g_steal_pointer(&node);
}

/* After both steps. */
static inline Node *keep(const Fixture *f, const char *name, gint64 ran, const char *text)
{
    return keep_after(f, "aaa", name, ran, text);
}

/* --- what the registry has --- */

static inline char *tag_of(const Fixture *f, guint stage)
{
    g_autofree char *text = ingot_digest_to_text(&plan_stage(f->plan, stage)->key);
    return g_strdup(text + strlen("sha256:"));
}

static inline json_t *get_manifest(const Fixture *f, guint stage)
{
    g_autoptr(IngotRemote) remote = environment_remote(f->where->host, NULL);
    g_autofree char *tag = tag_of(f, stage);
    IngotDescriptor own;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, f->where->name, tag, &own, NULL, NULL);
    assert_non_null(bytes);
    return ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "manifest", NULL);
}

/* ingotd refuses a manifest that is wrong about the size of a blob that it has: the layer is said to be another one,
 * which lies elsewhere. */
static inline void set_size(json_t *layer, json_int_t size)
{
    g_autofree char *digits = g_strnfill(64, 'e'), *digest = g_strconcat("sha256:", digits, NULL);
    json_object_set_new(layer, "digest", json_string(digest));
    json_object_set_new(layer, "size", json_integer(size));
    json_object_set_new(layer, "urls", json_pack("[s]", "https://elsewhere.invalid/blob"));
}

static inline void put_manifest(const Fixture *f, guint stage, const json_t *manifest)
{
    g_autoptr(IngotRemote) remote = environment_remote(f->where->host, NULL);
    g_autofree char *tag = tag_of(f, stage), *text = ingot_json_canonical(manifest);
    assert_true(ingot_remote_put_manifest(remote, f->where->name, tag, text, strlen(text), INGOT_TYPE_MANIFEST, NULL));
}
