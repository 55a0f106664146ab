/* OpenSSL asks for a passphrase where a block of PEM, of whatever kind, says that it is encrypted: at the terminal or
 * on standard input, unless it is given who answers. Whoever reads PEM here gives it this. */
#pragma once

/* A pem_password_cb; user is the passphrase, "" where there is none: then nobody is asked, and the block is not read.
 */
int pem_passphrase(char *buffer, int size, int writing, void *user);
