package transport

import (
	"crypto/fips140"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
)

// approved is what FIPS mode allows of DTLS: AES-GCM, and the curves of NIST. SRTP's profiles are all of AES with HMAC or GCM and stay.
func approved() []dtls.Option {
	if !fips140.Enabled() {
		return nil
	}
	return []dtls.Option{
		dtls.WithCipherSuites(dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
		dtls.WithEllipticCurves(elliptic.P256, elliptic.P384),
	}
}
