/* What the hypervisors behind each format have for a disk and a network, as the drivers of Linux that a guest needs
 * there. */
#pragma once

typedef struct {
    const char *format;         /* as in ingot_formats() */
    const char *const *drivers; /* modules of Linux, NULL-terminated; without any of them it does not run there */
} ReadyOutput;

/* A row for each format, ended by a NULL format. */
extern const ReadyOutput ready_outputs[];
/* Taken into the initramfs besides, where the kernel has them: nobody knows what a disk is hung on later. */
extern const char *const ready_besides[];
/* What Debian's kernel for clouds (linux-image-cloud-amd64) has of all these. */
extern const char *const ready_clouds[];
