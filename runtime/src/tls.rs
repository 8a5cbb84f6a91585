//! One TLS provider for everything: ring.

/// Makes ring the process-wide default provider. May be called often; the first call wins.
pub fn install() {
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
