// What the cluster needs of GnuTLS: a key from a secret, authenticated encryption, a keyed hash, chance.
// Every function answers 0, or GnuTLS's negative error code.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
  NEXUS_KEY_BYTES = 32,
  NEXUS_NONCE_BYTES = 12,
  NEXUS_TAG_BYTES = 16,
  NEXUS_PROOF_BYTES = 32,
};

/// HKDF with SHA-256 (RFC 5869): `key` gets NEXUS_KEY_BYTES.
int nexus_derive_key(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const void *info,
                     size_t info_bytes, void *key);

/// A key made ready for ChaCha20-Poly1305 (RFC 8439). NULL where the library refuses.
void *nexus_aead_open(const void *key);
void nexus_aead_close(void *aead);

/// `sealed` gets `text_bytes` + NEXUS_TAG_BYTES.
int nexus_aead_seal(void *aead, const void *nonce, const void *outside, size_t outside_bytes, const void *text,
                    size_t text_bytes, void *sealed);

/// `text` gets `sealed_bytes` - NEXUS_TAG_BYTES. Fails where a bit of the text, of `outside` or of the nonce differs.
int nexus_aead_unseal(void *aead, const void *nonce, const void *outside, size_t outside_bytes, const void *sealed,
                      size_t sealed_bytes, void *text);

/// HMAC-SHA256: `proof` gets NEXUS_PROOF_BYTES.
int nexus_prove(const void *key, const void *message, size_t message_bytes, void *proof);

/// The same with a key of any length.
int nexus_prove_with(const void *secret, size_t secret_bytes, const void *message, size_t message_bytes, void *proof);

/// Unpredictable bytes.
int nexus_random(void *bytes, size_t count);

/// Compares in a time that does not depend on where the first difference is.
int nexus_equal(const void *left, const void *right, size_t count);
