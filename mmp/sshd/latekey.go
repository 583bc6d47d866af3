package sshd

import (
	"io"

	"golang.org/x/crypto/ssh"
)

// late stands for a host key that is not made yet. The server offers its algorithms like those of any other; the first client
// that settles for one of them has the key made and waits for it. Clients that know Ed25519 or ECDSA never do,
// so that the machine's first minute is not spent on a key that nobody asks for.
type late struct {
	keys *HostKeys
	// which of keyTypes it is.
	which int
}

func (l late) PublicKey() ssh.PublicKey { return latePublic{l} }

func (l late) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return l.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm implements ssh.AlgorithmSigner.
func (l late) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	key, err := l.keys.need(l.which)
	if err != nil {
		return nil, err
	}
	if s, ok := key.(ssh.AlgorithmSigner); ok && algorithm != "" {
		return s.SignWithAlgorithm(rand, data, algorithm)
	}
	return key.Sign(rand, data)
}

// latePublic is its public half. The handshake asks for the type of each key it may offer, and for the bytes of the one that was
// chosen.
type latePublic struct{ of late }

// Type is that of the one slow type there is.
func (latePublic) Type() string { return ssh.KeyAlgoRSA }

// Marshal is empty, and the handshake fails, if the key cannot be made; Sign says why.
func (p latePublic) Marshal() []byte {
	key, err := p.of.keys.need(p.of.which)
	if err != nil {
		return nil
	}
	return key.PublicKey().Marshal()
}

func (p latePublic) Verify(data []byte, signature *ssh.Signature) error {
	key, err := p.of.keys.need(p.of.which)
	if err != nil {
		return err
	}
	return key.PublicKey().Verify(data, signature)
}
