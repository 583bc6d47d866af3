package sshd

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/crypto/ssh"

	"rotunda/init/durable"
	"rotunda/mmp/shell"
)

// rsaBits is what NIST SP 800-57 asks for beyond 2030.
const rsaBits = 3072

// keyTypes are the host keys in the order in which clients are offered them.
var keyTypes = []struct {
	name string
	// slow keys take seconds to make, many under emulation: they come when a client asks for one (see [late]), or with Complete.
	slow bool
	make func() (crypto.Signer, error)
}{
	{"ed25519", false, func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
	{"ecdsa", false, func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	{"rsa", true, func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }},
}

// HostKeys are the keys by which clients know this machine. They lie in one folder, in OpenSSH's format:
// ssh_host_<type>_key (mode 0600) and ssh_host_<type>_key.pub. What is missing is made and stored in one step a file, so
// that a power cut leaves a key whole or absent; one that cannot be read is replaced, with a warning, because a machine
// that cannot be reached is worse than one whose key has changed.
type HostKeys struct {
	disk durable.FS
	log  *shell.Log

	mu   sync.Mutex
	keys map[string]ssh.Signer
	// making is held while a slow key is made, which mu must not be: that no two of a type are made.
	making sync.Mutex
}

// OpenHostKeys reads or makes the keys that are quick to make. Without a disk the keys live until the process ends.
func OpenHostKeys(disk durable.FS, log *shell.Log) (*HostKeys, error) {
	h := &HostKeys{disk: disk, log: log, keys: map[string]ssh.Signer{}}
	for _, t := range keyTypes {
		if err := h.load(t.name); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("the SSH host key is made anew: %v", err)
		}
		if t.slow {
			continue
		}
		if err := h.generate(t.name, t.make); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Complete makes the keys that are slow to make. It returns early with nil if the context ends.
func (h *HostKeys) Complete(ctx context.Context) error {
	for i := range keyTypes {
		if ctx.Err() != nil {
			return nil
		}
		if _, err := h.need(i); err != nil {
			return err
		}
	}
	return nil
}

// need returns the key of keyTypes[i], which it makes if there is none.
func (h *HostKeys) need(i int) (ssh.Signer, error) {
	h.making.Lock()
	defer h.making.Unlock()
	t := keyTypes[i]
	if key := h.key(t.name); key != nil {
		return key, nil
	}
	if err := h.generate(t.name, t.make); err != nil {
		return nil, err
	}
	return h.key(t.name), nil
}

func (h *HostKeys) key(keyType string) ssh.Signer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys[keyType]
}

func fileName(keyType string) string { return "ssh_host_" + keyType + "_key" }

// load reads one key.
func (h *HostKeys) load(keyType string) error {
	if h.disk == nil {
		return fs.ErrNotExist
	}
	data, err := fs.ReadFile(h.disk, fileName(keyType))
	if err != nil {
		return fmt.Errorf("read %s: %w", fileName(keyType), err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return fmt.Errorf("read %s: %w", fileName(keyType), err)
	}
	h.add(keyType, key)
	return nil
}

// generate makes one key and stores it. If the disk refuses it, the key is used all the same.
func (h *HostKeys) generate(keyType string, make func() (crypto.Signer, error)) error {
	private, err := make()
	if err != nil {
		return fmt.Errorf("make an SSH host key of type %s: %w", keyType, err)
	}
	key, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return fmt.Errorf("make an SSH host key of type %s: %w", keyType, err)
	}
	if err := h.store(keyType, private, key.PublicKey()); err != nil {
		h.log.Error("the SSH host key holds until the next restart only: %v", err)
	}
	h.add(keyType, key)
	h.log.Info("made an SSH host key: %s %s", keyType, ssh.FingerprintSHA256(key.PublicKey()))
	return nil
}

func (h *HostKeys) store(keyType string, private crypto.Signer, public ssh.PublicKey) error {
	if h.disk == nil {
		return errors.New("there is no disk")
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	// The public file first: a private key without it would never get one.
	if err := durable.WriteFile(h.disk, fileName(keyType)+".pub", ssh.MarshalAuthorizedKey(public), 0o644, nil); err != nil {
		return err
	}
	return durable.WriteFile(h.disk, fileName(keyType), pem.EncodeToMemory(block), 0o600, nil)
}

func (h *HostKeys) add(keyType string, key ssh.Signer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[keyType] = key
}

// signers returns the keys that there are now, and stand-ins for those that are still to be made.
func (h *HostKeys) signers() []ssh.Signer {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []ssh.Signer
	for i, t := range keyTypes {
		if key := h.keys[t.name]; key != nil {
			list = append(list, key)
		} else if t.slow {
			list = append(list, late{h, i})
		}
	}
	return list
}

// Public returns the public keys that there are now.
func (h *HostKeys) Public() []ssh.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []ssh.PublicKey
	for _, t := range keyTypes {
		if key := h.keys[t.name]; key != nil {
			list = append(list, key.PublicKey())
		}
	}
	return list
}
