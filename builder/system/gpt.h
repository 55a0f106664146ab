/* The types of partitions that Ingot writes or looks for: GUIDs of a GPT, as sfdisk spells them. */
#pragma once

#define GPT_BIOS_BOOT "21686148-6449-6E6F-744E-656564454649"
#define GPT_EFI_SYSTEM "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define GPT_SWAP "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
#define GPT_ROOT_X86_64 "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709" /* systemd-repart grows it */
