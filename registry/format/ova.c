/* OVA: a tar of the OVF description, the manifest of SHA-256 sums, and the disks, in this order (DMTF DSP0243, "OVF
 * package distribution as a single file"). */
#include "format/all.h"
#include "format/attach.h"
#include "format/guest.h"
#include "format/ovf.h"
#include "format/streamed.h"
#include "format/tar.h"
#include "format/vmdk.h"

#include <string.h>

static void add_sum(GString *manifest, const char *file, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_string_append_printf(manifest, "SHA256(%s)= %s\n", file, text + strlen("sha256:"));
}

static IngotLayout *lay_out(const IngotFormatInput *input, const GArray *disks)
{
    g_autofree char *ovf_name = guest_file(input, ".ovf"), *manifest_name = guest_file(input, ".mf");
    g_autofree char *prefix = guest_file(input, "-disk");
    g_autoptr(GArray) files = ovf_files(disks, prefix);
    g_autofree char *ovf = ovf_describe(input, files, "vmx-10");
    g_autoptr(GString) manifest = g_string_new(NULL);
    IngotDigest ovf_digest;
    ingot_digest_of(ovf, strlen(ovf), &ovf_digest);
    add_sum(manifest, ovf_name, &ovf_digest);
    for (guint k = 0; k < disks->len; k++) {
        add_sum(manifest, ovf_file(files, k)->name, &streamed_disk(disks, k)->digest);
    }
    IngotLayout *layout = ingot_layout_new();
    tar_add_text(layout, ovf_name, ovf);
    tar_add_text(layout, manifest_name, manifest->str);
    for (guint k = 0; k < disks->len; k++) {
        tar_add(layout, ovf_file(files, k)->name, streamed_disk(disks, k)->layout);
    }
    tar_end(layout);
    return layout;
}

static GPtrArray *files(const IngotFormatInput *input, GError **error)
{
    g_autofree char *file = guest_file(input, ".ova");
    g_autoptr(GArray) disks = streamed_disks(input, lay_out, TRUE, error);
    return disks == NULL ? NULL : ingot_format_files_one(file, lay_out(input, disks));
}

const IngotFormat format_ova = {"ova",
                                "VMware, VirtualBox, Proxmox, clouds: one file to import",
                                vmdk_can_machine,
                                files,
                                vmdk_stream_codec,
                                ATTACH_DISKS_MAX,
                                NULL};
