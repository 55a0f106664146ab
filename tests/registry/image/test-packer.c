/* Packing: equal bytes give equal images, whatever file holds them and however many threads work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/packer.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "format/all.h"
#include "image/chunker.h"
#include "image/encoder.h"

#define MIB (1u << 20)
#define SIZE (24u * MIB)

static IngotWorkdir *workdir;
static guint8 *bytes; /* the test disk's: data without pattern at 1..5 MiB and 20..21 MiB, text at 9 MiB */

static void fill(guint8 *at, gsize size, guint32 seed)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    for (gsize i = 0; i < size; i += 4) {
        guint32 word = g_rand_int(random);
        memcpy(at + i, &word, 4);
    }
}

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    bytes = g_malloc0(SIZE);
    fill(bytes + MIB, 4 * MIB, 1);
    fill(bytes + 20 * MIB, MIB, 2);
    memset(bytes + 9 * MIB, 'x', 100 * 1000);
    return workdir == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    g_free(bytes);
    return 0;
}

/* A file of the bytes: zeros are holes of the file, or written out. */
static char *write_disk(const char *name, const guint8 *data, gsize size, gboolean sparse)
{
    char *path = ingot_workdir_file(workdir, name);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (gsize at = 0; at < size; at += INGOT_BLOCK_SIZE) {
        gsize part = MIN(INGOT_BLOCK_SIZE, size - at);
        if (!sparse || !chunker_is_zero(data + at, part)) {
            assert_true(ingot_file_pwrite(fd, data + at, part, at, path, NULL));
        }
    }
    return path;
}

static IngotPacked *pack(const char *path, const char *format, guint threads, GError **error)
{
    IngotPackOptions options = {.threads = threads};
    g_autofree char *blob = ingot_workdir_file(workdir, "blob");
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, format, error);
    return blocks == NULL ? NULL : ingot_pack(blocks, &options, fd, blob, error);
}

static void assert_same(const IngotPacked *a, const IngotPacked *b)
{
    g_autoptr(GBytes) one = ingot_index_serialize(a->index);
    g_autoptr(GBytes) two = ingot_index_serialize(b->index);
    assert_memory_equal(&a->digest, &b->digest, sizeof a->digest);
    assert_true(g_bytes_equal(one, two));
}

static void threads_and_holes_do_not_matter(void **state)
{
    (void)state;
    g_autofree char *sparse = write_disk("sparse.raw", bytes, SIZE, TRUE);
    g_autofree char *full = write_disk("full.raw", bytes, SIZE, FALSE);
    g_autoptr(IngotPacked) first = pack(sparse, "raw", 1, NULL);
    assert_non_null(first);
    static const guint counts[] = {1, 2, 3, 8, 0};
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(IngotPacked) a = pack(sparse, NULL, counts[i], NULL);
        g_autoptr(IngotPacked) b = pack(full, NULL, counts[i], NULL);
        assert_same(first, a);
        assert_same(first, b);
    }
}

/* How many threads the system gives from now on; -1: all. */
static gint threads_left = -1;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *data)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    if (threads_left == 0) {
        return EAGAIN;
    }
    threads_left -= threads_left > 0;
    return real(thread, attributes, work, data);
}

/* pids.max, TasksMax, ulimit -u: fewer threads do the work, or it is an error; it never aborts, and never hangs. */
static void few_threads_are_enough(void **state)
{
    (void)state;
    g_autofree char *path = write_disk("few.raw", bytes, SIZE, TRUE);
    g_autoptr(IngotPacked) wanted = pack(path, "raw", 4, NULL);
    alarm(120);
    for (gint most = 0; most < 4; most++) {
        g_autoptr(GError) error = NULL;
        threads_left = most;
        g_autoptr(IngotPacked) packed = pack(path, "raw", 4, &error);
        threads_left = -1;
        if (most == 0) {
            assert_null(packed);
            assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_FAILED));
        } else {
            assert_non_null(packed);
            assert_same(packed, wanted);
        }
    }
    alarm(0);
}

static void assert_changed(IngotBlocks *blocks)
{
    IngotPackOptions options = {.threads = 1};
    g_autofree char *blob = ingot_workdir_file(workdir, "blob");
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_pack(blocks, &options, fd, blob, &error));
    assert_non_null(strstr(error->message, "changed while it was read"));
}

/* A hole at the end of what is there is like the end of a file that became shorter. */
static void a_disk_in_use_is_no_image(void **state)
{
    (void)state;
    g_autofree char *shrunk = write_disk("shrunk.raw", bytes, SIZE, TRUE);
    g_autoptr(IngotBlocks) first = ingot_blocks_open(shrunk, "raw", NULL);
    assert_int_equal(truncate(shrunk, 0), 0);
    assert_changed(first);
    g_autofree char *written = write_disk("written.raw", bytes, SIZE, TRUE);
    const struct timespec before[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, written, before, 0), 0);
    g_autoptr(IngotBlocks) second = ingot_blocks_open(written, "raw", NULL);
    g_auto(IngotFd) fd = ingot_file_open(written, O_RDWR, 0, NULL);
    assert_true(ingot_file_pwrite(fd, "x", 1, 5, written, NULL));
    assert_changed(second);
}

/* Whatever format its file has, and however many files; what reads them is another process. */
static void a_disk_of_another_format_in_use_is_no_image(void **state)
{
    (void)state;
    static const char *const kinds[][3] = {
        {"vdi"},
        {"qcow2"},
        {"vmdk", "monolithicFlat", "used-flat.vmdk"},
    };
    g_autofree char *raw = write_disk("used.raw", bytes, SIZE, TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strconcat("used.", kinds[i][0], NULL), *path = ingot_workdir_file(workdir, name);
        g_autofree char *option = g_strdup_printf("subformat=%s", kinds[i][1]);
        g_autofree char *written = ingot_workdir_file(workdir, kinds[i][2] == NULL ? name : kinds[i][2]);
        const char *const one[] = {"qemu-img", "convert", "-O", kinds[i][0], raw, path, NULL};
        const char *const several[] = {"qemu-img", "convert", "-O", kinds[i][0], "-o", option, raw, path, NULL};
        assert_true(ingot_process_run(kinds[i][2] == NULL ? one : several, NULL, NULL, NULL));
        const struct timespec before[] = {{.tv_sec = 1}, {.tv_sec = 1}};
        assert_int_equal(utimensat(AT_FDCWD, written, before, 0), 0);
        g_autoptr(IngotBlocks) still = ingot_blocks_open(path, NULL, NULL);
        assert_true(ingot_blocks_check_unchanged(still, NULL));
        g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, NULL, NULL);
        g_auto(IngotFd) fd = ingot_file_open(written, O_RDWR, 0, NULL);
        assert_true(ingot_file_pwrite(fd, "x", 1, 3 * MIB, written, NULL));
        assert_changed(blocks);
    }
}

/* To QEMU a name can be a protocol, an option or a list of options. */
static void a_file_s_name_is_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {"web-2026-11-29T12:30.qcow2",
                                        "nbd:10.0.0.1:10809",
                                        "-v.qcow2",
                                        "--help",
                                        "a,b,,c=d.qcow2",
                                        "json:{}",
                                        "file:x"};
    g_autofree char *raw = write_disk("named.raw", bytes, SIZE, TRUE), *here = g_get_current_dir();
    g_autoptr(IngotPacked) wanted = pack(raw, NULL, 0, NULL);
    assert_int_equal(chdir(ingot_workdir_path(workdir)), 0);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *const convert[] = {"qemu-img", "convert", "-O", "qcow2", raw, "plain.qcow2", NULL};
        g_autoptr(GError) error = NULL;
        assert_true(ingot_process_run(convert, NULL, NULL, NULL));
        assert_int_equal(rename("plain.qcow2", names[i]), 0);
        g_autoptr(IngotPacked) packed = pack(names[i], NULL, 0, &error);
        assert_null(error);
        assert_same(packed, wanted);
    }
    assert_int_equal(chdir(here), 0);
}

static void a_qcow2_chain_is_its_bytes(void **state)
{
    (void)state;
    g_autofree char *raw = write_disk("base.raw", bytes, SIZE, TRUE);
    g_autofree char *base = ingot_workdir_file(workdir, "base.qcow2");
    g_autofree char *top = ingot_workdir_file(workdir, "top.qcow2");
    g_autofree char *place = g_strdup_printf("write -P 7 %u 300k", 9 * MIB);
    const char *const convert[] = {"qemu-img", "convert", "-O", "qcow2", raw, base, NULL};
    const char *const overlay[] = {"qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", base, top, NULL};
    const char *const change[] = {"qemu-io", "-c", place, "-c", "write -z 2M 1M", top, NULL};
    assert_true(ingot_process_run(convert, NULL, NULL, NULL));
    assert_true(ingot_process_run(overlay, NULL, NULL, NULL));
    assert_true(ingot_process_run(change, NULL, NULL, NULL));
    g_autofree guint8 *changed = g_memdup2(bytes, SIZE);
    memset(changed + 9 * MIB, 7, 300 << 10);
    memset(changed + 2 * MIB, 0, MIB);
    g_autofree char *expected = write_disk("changed.raw", changed, SIZE, TRUE);
    g_autoptr(IngotPacked) a = pack(expected, NULL, 0, NULL);
    g_autoptr(IngotPacked) b = pack(top, NULL, 0, NULL);
    assert_non_null(b);
    assert_same(a, b);
}

typedef struct {
    const char *path;
    pid_t thread;
    IngotBlocks *blocks;
} Opened;

static gpointer open_in_thread(gpointer user)
{
    Opened *opened = user;
    opened->thread = gettid();
    opened->blocks = ingot_blocks_open(opened->path, "qcow2", NULL);
    return NULL;
}

/* The thread that opened a disk is gone, and qemu-nbd with it if it were the thread's. */
static void a_reader_outlives_the_thread_that_opened_it(void **state)
{
    (void)state;
    g_autofree char *raw = write_disk("thread.raw", bytes, SIZE, TRUE);
    g_autofree char *path = ingot_workdir_file(workdir, "thread.qcow2"), *blob = ingot_workdir_file(workdir, "blob");
    const char *const convert[] = {"qemu-img", "convert", "-O", "qcow2", raw, path, NULL};
    assert_true(ingot_process_run(convert, NULL, NULL, NULL));
    g_autoptr(IngotPacked) wanted = pack(raw, NULL, 0, NULL);
    Opened opened = {.path = path};
    g_thread_join(g_thread_new("opener", open_in_thread, &opened));
    g_autoptr(IngotBlocks) blocks = opened.blocks;
    assert_non_null(blocks);
    g_autofree char *task = g_strdup_printf("/proc/self/task/%d", opened.thread);
    while (g_file_test(task, G_FILE_TEST_EXISTS)) {
        g_usleep(1000);
    }
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotPacked) packed = ingot_pack(blocks, &(IngotPackOptions){0}, fd, blob, &error);
    assert_null(error);
    assert_same(packed, wanted);
}

/* The pid of the only child of this process; 0: there is none. */
static pid_t only_child(void)
{
    g_autoptr(GDir) tasks = g_dir_open("/proc/self/task", 0, NULL);
    for (const char *task; (task = g_dir_read_name(tasks)) != NULL;) {
        g_autofree char *path = g_strdup_printf("/proc/self/task/%s/children", task), *text = NULL;
        if (g_file_get_contents(path, &text, NULL, NULL) && text[0] != '\0') {
            return (pid_t)g_ascii_strtoll(text, NULL, 10);
        }
    }
    return 0;
}

/* Killed with no chance to do anything, in a thread other than the one that opened the disk. */
static void a_server_ends_with_its_process(void **state)
{
    (void)state;
    g_autofree char *path = ingot_workdir_file(workdir, "killed.qcow2");
    const char *const create[] = {"qemu-img", "create", "-f", "qcow2", path, "1M", NULL};
    assert_true(ingot_process_run(create, NULL, NULL, NULL));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t reader = fork(), server = 0;
    if (reader == 0) {
        Opened opened = {.path = path};
        g_thread_join(g_thread_new("opener", open_in_thread, &opened));
        server = opened.blocks == NULL ? 0 : only_child();
        if (write(ends[1], &server, sizeof server) < 0) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ends[0], &server, sizeof server), sizeof server);
    assert_true(server > 0);
    struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, server, 0), .events = POLLIN};
    assert_true(ended.fd >= 0);
    kill(reader, SIGKILL);
    assert_int_equal(waitpid(reader, NULL, 0), reader);
    assert_int_equal(poll(&ended, 1, 10000), 1);
    close(ended.fd);
    close(ends[0]);
    close(ends[1]);
}

static void an_insertion_changes_little(void **state)
{
    (void)state;
    g_autofree guint8 *moved = g_malloc0(SIZE);
    memcpy(moved, bytes, MIB);
    fill(moved + MIB, 4096, 3);
    memcpy(moved + MIB + 4096, bytes + MIB, 4 * MIB);
    g_autofree char *a_path = write_disk("a.raw", bytes, SIZE, TRUE);
    g_autofree char *b_path = write_disk("b.raw", moved, SIZE, TRUE);
    g_autoptr(IngotPacked) a = pack(a_path, NULL, 0, NULL);
    g_autoptr(IngotPacked) b = pack(b_path, NULL, 0, NULL);
    g_autoptr(GHashTable) known = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    for (guint i = 0; i < a->index->chunks->len; i++) {
        g_hash_table_add(known, (gpointer)&ingot_index_chunk(a->index, i)->digest);
    }
    guint fresh = 0;
    for (guint i = 0; i < b->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(b->index, i);
        fresh += !chunk->hole && !g_hash_table_contains(known, &chunk->digest);
        assert_true(chunk->hole ? chunk->length <= INGOT_HOLE_MAX : chunk->length <= chunker_max(CHUNKER_AVERAGE));
    }
    assert_true(b->index->chunks->len > 20);
    assert_true(fresh > 0 && fresh <= 4);
}

static void odd_ends_and_empty_disks(void **state)
{
    (void)state;
    static const gsize sizes[] = {512, 4096, 4608, MIB + 512, 9 * MIB};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (guint zero = 0; zero < 2; zero++) {
            g_autofree guint8 *data = g_malloc0(sizes[i]);
            if (!zero) {
                fill(data, sizes[i], i);
            }
            g_autofree char *path = write_disk("odd.raw", data, sizes[i], TRUE);
            g_autoptr(IngotPacked) packed = pack(path, "raw", 0, NULL);
            assert_non_null(packed);
            assert_int_equal(packed->index->disk_size, sizes[i]);
            assert_int_equal(packed->data, zero ? 0 : sizes[i]);
            g_autofree char *blob = ingot_workdir_file(workdir, "blob");
            g_autofree guint8 *back = g_malloc(sizes[i]);
            g_autoptr(IngotDisk) disk = ingot_disk_open(blob, packed->index, NULL);
            assert_true(ingot_disk_read(disk, 0, back, sizes[i], NULL));
            assert_memory_equal(back, data, sizes[i]);
        }
    }
}

static void what_is_no_disk_is_refused(void **state)
{
    (void)state;
    static const gsize sizes[] = {0, 1, 513, 4097};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autofree char *path = write_disk("no.raw", bytes, sizes[i], TRUE);
        g_autoptr(GError) error = NULL;
        assert_null(pack(path, "raw", 0, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "no.raw"));
    }
    g_autofree char *path = write_disk("not.qcow2", bytes + MIB, MIB, TRUE);
    g_autoptr(GError) error = NULL;
    assert_null(pack(path, "qcow2", 0, &error));
    assert_non_null(strstr(error->message, "not.qcow2"));
}

/* An index holds so many chunks alone. */
static void a_huge_disk_is_cut_into_larger_chunks(void **state)
{
    static const struct {
        guint64 gib;
        guint32 average;
    } rows[] = {{200, 128u << 10}, {300, 256u << 10}, {1500, 1u << 20}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *path = ingot_workdir_file(workdir, "huge.raw");
        g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
        assert_int_equal(ftruncate(fd, (off_t)(rows[i].gib << 30)), 0);
        g_autoptr(GError) error = NULL;
        g_autoptr(IngotPacked) packed = pack(path, "raw", 0, &error);
        assert_null(error);
        assert_int_equal(packed->index->average, rows[i].average);
    }
}

/* 20 TiB of zeros are more runs than an index holds, at any average, which is known before they are gone through; the
 * file takes no room. */
static void a_disk_of_too_many_runs_is_refused(void **state)
{
    static const off_t sizes[] = {(off_t)20 << 40, (off_t)1 << 62};
    (void)state;
    g_auto(IngotFd) disk = memfd_create("runs", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", disk);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        assert_int_equal(ftruncate(disk, sizes[i]), 0);
        g_autoptr(GError) error = NULL;
        assert_null(pack(path, "raw", 0, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
        assert_true(g_str_has_prefix(error->message, path));
        assert_non_null(strstr(error->message, "an image holds at most 20.1 TB"));
    }
}

/* What a disk from elsewhere may take of memory does not bind layers of our own, each of which has a cache. */
static void many_layers_are_opened(void **state)
{
    g_autofree char *below = ingot_workdir_file(workdir, "layer-0.qcow2");
    const char *const first[] = {"qemu-img", "create", "-q", "-f", "qcow2", below, "400G", NULL};
    (void)state;
    assert_true(ingot_process_run(first, NULL, NULL, NULL));
    for (guint i = 1; i < 12; i++) {
        g_autofree char *name = g_strdup_printf("layer-%u.qcow2", i), *path = ingot_workdir_file(workdir, name);
        const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "qcow2", path, NULL};
        assert_true(ingot_process_run(argv, NULL, NULL, NULL));
        g_free(below);
        below = g_steal_pointer(&path);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(below, "qcow2", &error);
    assert_null(error);
    assert_int_equal(ingot_blocks_size(blocks), 400ull << 30);
}

/* What QEMU makes of the exported file is the disk. */
static void an_exported_qcow2_is_the_disk(void **state)
{
    (void)state;
    g_autofree char *raw = write_disk("disk.raw", bytes, SIZE, TRUE);
    g_autofree char *blob = ingot_workdir_file(workdir, "blob");
    g_autofree char *qcow2 = ingot_workdir_file(workdir, "disk.qcow2");
    g_autoptr(IngotPacked) packed = pack(raw, NULL, 0, NULL);
    g_autoptr(IngotDisk) disk = ingot_disk_open(blob, packed->index, NULL);
    assert_true(ingot_format_export(&format_qcow2, &(IngotFormatInput){.disk = disk}, qcow2, NULL, NULL));
    const char *const check[] = {"qemu-img", "check", "-q", qcow2, NULL};
    const char *const compare[] = {"qemu-img", "compare", "-q", raw, qcow2, NULL};
    g_autoptr(GError) error = NULL;
    assert_true(ingot_process_run(check, NULL, NULL, &error));
    assert_true(ingot_process_run(compare, NULL, NULL, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_threads_are_enough),
        cmocka_unit_test(threads_and_holes_do_not_matter),
        cmocka_unit_test(a_disk_in_use_is_no_image),
        cmocka_unit_test(a_disk_of_another_format_in_use_is_no_image),
        cmocka_unit_test(a_file_s_name_is_its_name),
        cmocka_unit_test(a_qcow2_chain_is_its_bytes),
        cmocka_unit_test(an_insertion_changes_little),
        cmocka_unit_test(odd_ends_and_empty_disks),
        cmocka_unit_test(what_is_no_disk_is_refused),
        cmocka_unit_test(an_exported_qcow2_is_the_disk),
        cmocka_unit_test(a_huge_disk_is_cut_into_larger_chunks),
        cmocka_unit_test(a_disk_of_too_many_runs_is_refused),
        cmocka_unit_test(many_layers_are_opened),
        cmocka_unit_test(a_reader_outlives_the_thread_that_opened_it),
        cmocka_unit_test(a_server_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
