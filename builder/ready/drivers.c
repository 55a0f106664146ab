#include "ready/drivers.h"

#include <stddef.h>

#define LIST(...)                                                                                                      \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }
#define VIRTIO LIST("virtio_pci", "virtio_blk", "virtio_net")
/* SATA and, for the older of its machines, IDE; Intel's PRO/1000. */
#define VIRTUALBOX LIST("ahci", "ata_piix", "sd_mod", "e1000")
/* SATA, as our .vmx has it, LSI Logic, which a VMDK says it wants, and the paravirtual one; vmxnet3 in newer machines.
 */
#define VMWARE LIST("ahci", "mptspi", "vmw_pvscsi", "sd_mod", "e1000", "vmxnet3")
/* Read by both. */
#define DESKTOP LIST("ahci", "ata_piix", "mptspi", "vmw_pvscsi", "sd_mod", "e1000", "vmxnet3")
/* Generation 1 boots from IDE, generation 2 from SCSI over the bus. */
#define HYPERV LIST("hv_vmbus", "hv_storvsc", "hv_netvsc", "ata_piix", "sd_mod")

const ReadyOutput ready_outputs[] = {
    {"raw", VIRTIO},
    {"qcow2", VIRTIO},
    {"qcow2-zstd", VIRTIO},
    {"vdi", VIRTUALBOX},
    {"vhd", HYPERV},
    {"vhdx", HYPERV},
    {"vmdk", DESKTOP},
    {"vmdk-stream", DESKTOP},
    {"ova", DESKTOP},
    {"vmx", VMWARE},
    {"vagrant-libvirt", VIRTIO},
    {"vagrant-qemu", VIRTIO},
    {"vagrant-virtualbox", VIRTUALBOX},
    {"vagrant-vmware", VMWARE},
    {NULL, NULL},
};

const char *const ready_besides[] = {"virtio_scsi", "nvme",         "ata_generic",  "mptsas", "BusLogic",
                                     "e1000e",      "xen_blkfront", "xen_netfront", NULL};

const char *const ready_clouds[] = {"virtio_pci", "virtio_blk", "virtio_net", "ata_piix", "sd_mod", "hv_vmbus",
                                    "hv_storvsc", "hv_netvsc",  "vmw_pvscsi", "vmxnet3",  NULL};
