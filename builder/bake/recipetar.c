#include "bake/recipetar.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "step/step.h"
#include "step/upload.h"

#define FILES_MAX 10000u
#define DEPTH_MAX 32u
#define LISTED_MAX 100u /* of what is left out */

typedef struct {
    const Recipe *recipe;
    char *root; /* the recipe's folder, without links in it */
    struct archive *archive;
    GByteArray *bytes;
    GHashTable *names;   /* of what is in it: char *, owned */
    GPtrArray *left_out; /* of char *, owned */
    gsize total;
} Pack;

static void pack_clear(Pack *pack)
{
    archive_write_free(pack->archive);
    g_free(pack->root);
    g_clear_pointer(&pack->bytes, g_byte_array_unref);
    g_clear_pointer(&pack->names, g_hash_table_unref);
    g_clear_pointer(&pack->left_out, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pack, pack_clear)

void recipe_tar_clear(RecipeTar *tar)
{
    g_clear_pointer(&tar->tar, g_bytes_unref);
    g_clear_pointer(&tar->annotations, json_decref);
    g_clear_pointer(&tar->left_out, g_ptr_array_unref);
}

static la_ssize_t pack_take(struct archive *archive, void *user, const void *data, size_t size)
{
    (void)archive;
    g_byte_array_append(user, data, (guint)size);
    return (la_ssize_t)size;
}

/* By its name in the recipe, which says nothing of this host. */
static void pack_leave_out(const Pack *pack, const char *name, const char *why)
{
    g_autofree char *masked = recipe_mask(pack->recipe, name);
    g_ptr_array_add(pack->left_out, g_strdup_printf("%s: %s", masked, why));
}

static gboolean pack_write(Pack *pack, const char *name, mode_t mode, const void *data, gsize size, GError **error)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, (mode & S_IXUSR) != 0 ? 0755 : 0644);
    archive_entry_set_mtime(entry, UPLOAD_TIME, 0);
    archive_entry_set_size(entry, (la_int64_t)size);
    gboolean ok = archive_write_header(pack->archive, entry) == ARCHIVE_OK &&
                  archive_write_data(pack->archive, data, size) == (la_ssize_t)size;
    archive_entry_free(entry);
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", name, archive_error_string(pack->archive));
    }
    pack->total += size;
    return ok;
}

static gboolean has_secret(const Recipe *recipe, const char *data, gsize size)
{
    for (guint i = 0; recipe->secrets != NULL && i < recipe->secrets->len; i++) {
        const char *secret = g_ptr_array_index(recipe->secrets, i);
        if (memmem(data, size, secret, strlen(secret)) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Why a file or folder is not for others to see, by its name and mode; NULL: nothing is against it. */
static const char *private_by_look(const char *name, mode_t mode)
{
    static const char *const credentials[] = {".env",    ".env.*",  ".netrc",  ".git-credentials", ".npmrc",
                                              ".pypirc", ".pgpass", ".my.cnf", ".htpasswd",        ".vault_pass*",
                                              "*.p12",   "*.pfx",   "*.jks",   "*.keystore",       "*.kdbx"};
    if (strcmp(name, ".git") == 0) {
        return "git's own, which may hold logins";
    }
    if ((S_ISDIR(mode) && (mode & (S_IXGRP | S_IXOTH)) == 0) || (!S_ISDIR(mode) && (mode & (S_IRGRP | S_IROTH)) == 0)) {
        return "only its owner may read it";
    }
    for (guint i = 0; i < G_N_ELEMENTS(credentials); i++) {
        if (g_pattern_match_simple(credentials[i], name)) {
            return "by its name it holds keys or passwords";
        }
    }
    return NULL;
}

/* In the words that the forms of keys begin with: PEM and OpenSSH, PGP, PuTTY, age. */
static gboolean has_private_key(const char *data, gsize size)
{
    static const char *const words[] = {"PRIVATE KEY-----", "PRIVATE KEY BLOCK-----", "PuTTY-User-Key-File-",
                                        "AGE-SECRET-KEY-"};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (memmem(data, size, words[i], strlen(words[i])) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

/* name: within the recipe's folder, as path is. A file that cannot be read was read by its step: it has gone since. */
static gboolean pack_file(Pack *pack, const char *path, const char *name, const struct stat *st, GError **error)
{
    if (g_hash_table_contains(pack->names, name)) {
        return TRUE;
    }
    if (pack->total + (gsize)st->st_size > RECIPE_TAR_MAX || g_hash_table_size(pack->names) >= FILES_MAX) {
        pack_leave_out(pack, name, "too large");
        return TRUE;
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECIPE_TAR_MAX, NULL);
    gsize size;
    const char *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    if (bytes == NULL) {
        pack_leave_out(pack, name, "cannot be read");
        return TRUE;
    }
    const char *why = has_secret(pack->recipe, data, size) ? "has a secret of the recipe in it"
                      : has_private_key(data, size)        ? "has a private key in it"
                                                           : NULL;
    if (why != NULL) {
        pack_leave_out(pack, name, why);
        return TRUE;
    }
    g_hash_table_add(pack->names, g_strdup(name));
    return pack_write(pack, name, st->st_mode, data, size, error);
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *folder_names(const char *path)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    for (const char *name = folder == NULL ? NULL : g_dir_read_name(folder); name != NULL;
         name = g_dir_read_name(folder)) {
        g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, by_name);
    return names;
}

static gboolean pack_tree(Pack *pack, const char *path, const char *name, guint depth, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0 || S_ISLNK(st.st_mode) || depth > DEPTH_MAX) {
        pack_leave_out(pack, name, "a link, or nothing that can be read");
        return TRUE;
    }
    g_autofree char *own = g_path_get_basename(path);
    const char *why = private_by_look(own, st.st_mode);
    if (why != NULL) {
        pack_leave_out(pack, name, why);
        return TRUE;
    }
    if (S_ISREG(st.st_mode)) {
        return pack_file(pack, path, name, &st, error);
    }
    if (!S_ISDIR(st.st_mode)) {
        pack_leave_out(pack, name, "neither a file nor a folder");
        return TRUE;
    }
    g_autoptr(GPtrArray) names = folder_names(path);
    for (guint i = 0; i < names->len; i++) {
        const char *one = g_ptr_array_index(names, i);
        g_autofree char *below = g_build_filename(path, one, NULL);
        g_autofree char *shown = g_build_filename(name, one, NULL);
        if (!pack_tree(pack, below, shown, depth + 1, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Why a folder on the way from the recipe's to that path is not for others to see; NULL: none is. */
static const char *private_on_the_way(const Pack *pack, const char *path)
{
    const char *why = NULL;
    for (const char *end = strchr(path + strlen(pack->root) + 1, '/'); end != NULL && why == NULL;
         end = strchr(end + 1, '/')) {
        struct stat st;
        g_autofree char *folder = g_strndup(path, (gsize)(end - path)), *own = g_path_get_basename(folder);
        why = stat(folder, &st) != 0 ? "cannot be read" : private_by_look(own, st.st_mode);
    }
    return why;
}

/* Where the recipe says it is and where it is must both lie in the recipe's folder. */
static gboolean pack_input(Pack *pack, const StepInput *input, GError **error)
{
    g_autofree char *folder = g_canonicalize_filename(pack->recipe->folder, NULL);
    g_autofree char *said = g_canonicalize_filename(input->path, folder);
    g_autofree char *real = realpath(said, NULL);
    g_autofree char *within = g_strconcat(folder, "/", NULL);
    g_autofree char *really = g_strconcat(pack->root, "/", NULL);
    if (!g_str_has_prefix(said, within) || real == NULL || !g_str_has_prefix(real, really)) {
        pack_leave_out(pack, input->name, "outside of the recipe's folder");
        return TRUE;
    }
    const char *why = json_is_false(json_object_get(json_object_get(pack->recipe->tree, "evidence"), "files"))
                          ? "the recipe says so (evidence.files)"
                          : private_on_the_way(pack, real);
    if (why != NULL) {
        pack_leave_out(pack, input->name, why);
        return TRUE;
    }
    return pack_tree(pack, said, said + strlen(within), 0, error);
}

static gboolean pack_steps(Pack *pack, GError **error)
{
    const json_t *steps = json_object_get(pack->recipe->tree, "steps");
    const json_t *shown = json_object_get(pack->recipe->public_tree, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        g_autoptr(GPtrArray) inputs = step_inputs(json_array_get(steps, i), json_array_get(shown, i));
        for (guint k = 0; k < inputs->len; k++) {
            if (!pack_input(pack, g_ptr_array_index(inputs, k), error)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

/* What the source names on this host: another recipe, whose image has its own attached, or a disk. */
static void pack_leave_out_source(const Pack *pack)
{
    const json_t *source = json_object_get(pack->recipe->public_tree, "source");
    const char *path = json_string_value(json_object_get(source, "path"));
    if (path != NULL) {
        pack_leave_out(pack, path, "the source");
    }
}

static json_t *pack_annotations(const Pack *pack, const char *file)
{
    json_t *annotations = ingot_json_pack("{s:o}", RECIPE_TAR_PATH, ingot_json_text(file));
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < pack->left_out->len && i < LISTED_MAX; i++) {
        g_string_append_printf(list, "%s%s", i == 0 ? "" : "\n", (const char *)g_ptr_array_index(pack->left_out, i));
    }
    if (pack->left_out->len > LISTED_MAX) {
        g_string_append_printf(list, "\nand %u more", pack->left_out->len - LISTED_MAX);
    }
    ingot_json_set_string(annotations, RECIPE_TAR_LEFT_OUT, list->len == 0 ? NULL : list->str);
    return annotations;
}

gboolean recipe_tar_make(const Recipe *recipe, RecipeTar *out, GError **error)
{
    g_auto(Pack) pack = {.recipe = recipe,
                         .root = realpath(recipe->folder, NULL),
                         .archive = archive_write_new(),
                         .bytes = g_byte_array_new(),
                         .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                         .left_out = g_ptr_array_new_with_free_func(g_free)};
    g_autofree char *file = g_path_get_basename(recipe->path);
    if (pack.root == NULL) {
        return ingot_error_set_errno(error, ENOENT, "%s", recipe->folder);
    }
    archive_write_set_format_pax_restricted(pack.archive);
    archive_write_set_bytes_per_block(pack.archive, 0);
    g_hash_table_add(pack.names, g_strdup(file));
    if (archive_write_set_options(pack.archive, "hdrcharset=BINARY") != ARCHIVE_OK ||
        archive_write_open(pack.archive, pack.bytes, NULL, pack_take, NULL) != ARCHIVE_OK) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", file, archive_error_string(pack.archive));
        return FALSE;
    }
    pack_leave_out_source(&pack);
    if (!pack_write(&pack, file, S_IRUSR, recipe->public_text, strlen(recipe->public_text), error) ||
        !pack_steps(&pack, error)) {
        return FALSE;
    }
    if (archive_write_close(pack.archive) != ARCHIVE_OK) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", file, archive_error_string(pack.archive));
        return FALSE;
    }
    out->annotations = pack_annotations(&pack, file);
    out->files = g_hash_table_size(pack.names) - 1;
    out->left_out = g_steal_pointer(&pack.left_out);
    out->tar = g_byte_array_free_to_bytes(g_steal_pointer(&pack.bytes));
    return TRUE;
}
