#include "nexus_gnutls.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static gnutls_datum_t datum(const void *bytes, size_t count) {
  gnutls_datum_t datum = {(unsigned char *)bytes, (unsigned int)count};
  return datum;
}

int nexus_derive_key(const void *secret, size_t secret_bytes, const void *salt, size_t salt_bytes, const void *info,
                     size_t info_bytes, void *key) {
  unsigned char extracted[32];
  gnutls_datum_t input = datum(secret, secret_bytes), salted = datum(salt, salt_bytes);
  int code = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &input, &salted, extracted);
  if (code < 0) return code;
  gnutls_datum_t pseudorandom = datum(extracted, sizeof extracted), about = datum(info, info_bytes);
  code = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &pseudorandom, &about, key, NEXUS_KEY_BYTES);
  gnutls_memset(extracted, 0, sizeof extracted);
  return code;
}

void *nexus_aead_open(const void *key) {
  gnutls_aead_cipher_hd_t handle;
  gnutls_datum_t bytes = datum(key, NEXUS_KEY_BYTES);
  return gnutls_aead_cipher_init(&handle, GNUTLS_CIPHER_CHACHA20_POLY1305, &bytes) < 0 ? NULL : handle;
}

void nexus_aead_close(void *aead) { gnutls_aead_cipher_deinit(aead); }

int nexus_aead_seal(void *aead, const void *nonce, const void *outside, size_t outside_bytes, const void *text,
                    size_t text_bytes, void *sealed) {
  size_t count = text_bytes + NEXUS_TAG_BYTES;
  return gnutls_aead_cipher_encrypt(aead, nonce, NEXUS_NONCE_BYTES, outside, outside_bytes, NEXUS_TAG_BYTES, text,
                                    text_bytes, sealed, &count);
}

int nexus_aead_unseal(void *aead, const void *nonce, const void *outside, size_t outside_bytes, const void *sealed,
                      size_t sealed_bytes, void *text) {
  size_t count = sealed_bytes;
  if (sealed_bytes < NEXUS_TAG_BYTES) return GNUTLS_E_DECRYPTION_FAILED;
  return gnutls_aead_cipher_decrypt(aead, nonce, NEXUS_NONCE_BYTES, outside, outside_bytes, NEXUS_TAG_BYTES, sealed,
                                    sealed_bytes, text, &count);
}

int nexus_prove(const void *key, const void *message, size_t message_bytes, void *proof) {
  return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, NEXUS_KEY_BYTES, message, message_bytes, proof);
}

int nexus_prove_with(const void *secret, size_t secret_bytes, const void *message, size_t message_bytes, void *proof) {
  return gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, secret_bytes, message, message_bytes, proof);
}

int nexus_random(void *bytes, size_t count) { return gnutls_rnd(GNUTLS_RND_NONCE, bytes, count); }

int nexus_equal(const void *left, const void *right, size_t count) { return gnutls_memcmp(left, right, count) == 0; }
