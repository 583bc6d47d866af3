package commands

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"strconv"

	"golang.org/x/crypto/ssh"

	"rotunda/mmp/grammar"
)

// serverKeys are the host keys of the deployment guide's table 16. Two of them are not made any more: SSH version 1
// and DSA, which OpenSSH has removed as too weak.
var serverKeys = []struct{ file, algorithm, kind, absent string }{
	{file: "ssh_host_dsa_key.pub", absent: "none, DSA is too weak to be offered"},
	{file: "ssh_host_ecdsa_key.pub", algorithm: ssh.KeyAlgoECDSA256, kind: "ECDSA", absent: "none"},
	{file: "ssh_host_ed25519_key.pub", algorithm: ssh.KeyAlgoED25519, kind: "ED25519", absent: "none"},
	{file: "ssh_host_key.pub", absent: "none, SSH version 1 is too weak to be offered"},
	{file: "ssh_host_rsa_key.pub", algorithm: ssh.KeyAlgoRSA, kind: "RSA", absent: "none yet, it is made for the first client that asks for it"},
}

func (d Deps) serverKeyCommands() []grammar.Command {
	return []grammar.Command{{
		Syntax: "ssh server_key list", Roles: readers,
		Help:   "List the SSH host keys with size, type and fingerprint",
		Detail: "Compare the fingerprint with what the SSH client shows at the first connection.",
		Run: func(c *grammar.Call) error {
			listServerKeys(c, d.HostKeys.Public())
			return nil
		},
	}}
}

func listServerKeys(c *grammar.Call, keys []ssh.PublicKey) {
	rows := [][]string{{"KEY", "SIZE", "TYPE", "FINGERPRINT"}}
	for _, k := range serverKeys {
		r := []string{k.file, "-", "-", k.absent}
		for _, key := range keys {
			if key.Type() == k.algorithm {
				r = []string{k.file, keySize(key), k.kind, ssh.FingerprintSHA256(key)}
			}
		}
		rows = append(rows, r)
	}
	table(c, "", rows)
}

// keySize is in bits.
func keySize(key ssh.PublicKey) string {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return "-"
	}
	switch k := crypto.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		return strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return strconv.Itoa(k.Curve.Params().BitSize)
	}
	return "256" // Ed25519 has one size
}
