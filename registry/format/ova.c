/* OVA: a tar of the OVF description, the manifest of SHA-256 sums, and the disk, in this order (DMTF DSP0243, "OVF
 * package distribution as a single file"). */
#include "format/all.h"
#include "format/early.h"
#include "format/guest.h"
#include "format/ovf.h"
#include "format/tar.h"
#include "format/vmdk.h"

#include <string.h>

static void add_sum(GString *manifest, const char *file, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_string_append_printf(manifest, "SHA256(%s)= %s\n", file, text + strlen("sha256:"));
}

static IngotLayout *lay_out(const IngotFormatInput *input, IngotLayout *disk, const IngotDigest *disk_digest)
{
    g_autofree char *disk_file = guest_file(input, "-disk0.vmdk");
    g_autofree char *ovf_file = guest_file(input, ".ovf"), *manifest_file = guest_file(input, ".mf");
    g_autofree char *ovf = ovf_describe(input, disk_file, ingot_layout_size(disk), "vmx-10");
    g_autoptr(GString) manifest = g_string_new(NULL);
    IngotDigest ovf_digest;
    ingot_digest_of(ovf, strlen(ovf), &ovf_digest);
    add_sum(manifest, ovf_file, &ovf_digest);
    add_sum(manifest, disk_file, disk_digest);
    IngotLayout *layout = ingot_layout_new();
    tar_add_text(layout, ovf_file, ovf);
    tar_add_text(layout, manifest_file, manifest->str);
    tar_add(layout, disk_file, disk);
    tar_end(layout);
    return layout;
}

/* The disk comes after what tells its size and its sum. */
static void expect_disk(const IngotFormatInput *input)
{
    if (input->early != NULL) {
        g_autoptr(IngotLayout) disk = early_guess(input);
        g_autoptr(IngotLayout) guess = lay_out(input, disk, &(IngotDigest){0});
        early_expect(input->early, guess, disk);
    }
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    g_autofree char *file = guest_file(input, ".ova");
    expect_disk(input);
    g_autoptr(GPtrArray) inner = ingot_format_files(&format_vmdk_stream, input, error);
    const IngotFormatFile *disk = inner == NULL ? NULL : g_ptr_array_index(inner, 0);
    IngotDigest digest;
    if (disk == NULL || !ingot_format_digest(&format_vmdk_stream, input, disk, &digest, error)) {
        return NULL;
    }
    return ingot_format_files_one(file, lay_out(input, disk->layout, &digest));
}

const IngotFormat format_ova = {"ova", "VMware, VirtualBox, Proxmox, clouds: one file to import", vmdk_can, files,
                                vmdk_stream_codec};
